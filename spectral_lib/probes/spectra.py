"""Spectra of functions and of what networks make of them."""

import torch
from torch import Tensor

from spectral_lib.data.dataset import Dataset
from spectral_lib.training.ensemble import Ensemble
from spectral_lib.training.settings import Measure


def coefficients(f: Tensor, max_frequency: int) -> Tensor:
    """Fourier coefficients k = 0 ... max_frequency of samples on [0, 2 pi].

    f [..., points] gives complex [..., max_frequency + 1]; a sine of amplitude A has
    modulus A / 2. Source: Wang, Wang & Lai 2024, equation (2).
    """
    return torch.fft.rfft(f)[..., : max_frequency + 1] / f.shape[-1]


def amplitudes(f: Tensor, max_frequency: int) -> Tensor:
    """Moduli of :func:`coefficients`.

    >>> x = torch.arange(64) * 2 * torch.pi / 64
    >>> [round(float(a), 3) for a in amplitudes(2 * torch.sin(3 * x) + 1, 4)]
    [1.0, 0.0, 0.0, 1.0, 0.0]
    """
    return coefficients(f, max_frequency).abs()


def relative_error(prediction: Tensor, target: Tensor, max_frequency: int) -> Tensor:
    """Relative error of each frequency over a set of functions.

    ``sqrt(sum |f^ - t^|^2 / sum |t^|^2)``, sums over functions. Shapes: [R, functions,
    points] and [functions, points] to [R, max_frequency] for k = 1 ... max_frequency.
    """
    whole = coefficients(target, max_frequency)
    rest = coefficients(prediction, max_frequency) - whole
    share = rest.abs().square().sum(-2) / whole.abs().square().sum(-2)
    return share.sqrt()[..., 1:]


def spectra_of_set(data: Dataset, max_frequency: int) -> Measure:
    """Measure what an ensemble makes of a set, by frequency.

    Readings: ``amplitude`` [R, functions, k = 0 ... max_frequency] (the heat maps),
    ``relative error`` [R, k = 1 ... max_frequency], ``output`` [R, functions, points].
    """

    def measure(ensemble: Ensemble) -> dict[str, Tensor]:
        output = ensemble.predict(data.inputs)
        return {
            "output": output,
            "amplitude": amplitudes(output, max_frequency),
            "relative error": relative_error(output, data.targets, max_frequency),
        }

    return measure
