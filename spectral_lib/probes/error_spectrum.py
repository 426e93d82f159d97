"""Spectrum of the error of an ensemble on an interval, and how fast it decays."""

from collections.abc import Callable

import torch
from torch import Tensor

from spectral_lib.data.packets import LENGTH, transform_matrix
from spectral_lib.training.ensemble import Ensemble
from spectral_lib.training.loop import Measure


def error_spectrum(
    x: Tensor, target: Callable[[Tensor], Tensor], xi: Tensor, length: float = LENGTH
) -> Measure:
    """Measure the transform of f - g cut to the interval.

    int (f - g) e^(-i xi x) dx over the interval by the midpoint rule. Use points that
    were not trained on, and enough for the largest xi. Readings: ``spectrum``
    complex128 [R, frequencies], ``error`` [R, points].

    Parameters
    ----------
    x
        `midpoints` of the interval, [points].
    target
        The function g.
    xi
        Angular frequencies [frequencies], radians.
    length
        Of the interval.

    Raises
    ------
    ValueError
        If the points cannot tell the largest frequency.
    """
    largest = float(xi.abs().max())
    limit = torch.pi * len(x) / length
    if largest > limit:
        raise ValueError(
            f"xi reaches {largest:.4g} rad and {len(x)} points tell {limit:.4g} rad "
            "(Nyquist); use more points."
        )
    matrix = transform_matrix(x, xi, length)
    wanted = target(x)

    def measure(ensemble: Ensemble) -> dict[str, Tensor]:
        weights = next(iter(ensemble.parameters.values()))
        inputs = x.to(weights)[:, None]
        error = ensemble.predict(inputs).squeeze(-1) - wanted.to(weights)
        spectrum = error.to(torch.complex128) @ matrix.T.to(error.device)
        return {"spectrum": spectrum, "error": error}

    return measure


def decay_rates(times: Tensor, spectra: Tensor) -> Tensor:
    """Rates fitted to the moduli of spectra [times, ..., frequencies].

    The slope of -log(|u^(t)| / |u^(0)|) against t, by least squares through the first
    time; [..., frequencies]. Choose times that are short against 1 / rate to get
    initial rates.

    Raises
    ------
    ValueError
        If there are fewer than two times or they do not differ.
    """
    t = times.double() - times[0].double()
    if len(t) < 2 or len(t) != len(spectra) or not t.abs().sum() > 0:
        raise ValueError(
            f"{len(t)} times for {len(spectra)} spectra; give two or more different "
            "times, one a spectrum."
        )
    size = spectra.abs().double().log()
    fallen = size[:1] - size
    return torch.tensordot(t, fallen, dims=1) / t.square().sum()
