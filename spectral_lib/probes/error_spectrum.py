"""Spectrum of the error of an ensemble on the interval [-1, 1]."""

from collections.abc import Callable

import torch
from torch import Tensor

from spectral_lib.data.packets import nyquist, transform_matrix
from spectral_lib.training.ensemble import Ensemble
from spectral_lib.training.settings import Measure


def error_spectrum(
    x: Tensor, target: Callable[[Tensor], Tensor], xi: Tensor
) -> Measure:
    """Measure the transform of f - g cut to the interval.

    int (f - g) e^(-i xi x) dx over the interval by the midpoint rule, with ``target``
    g, `midpoints` x [points] and angular frequencies xi [frequencies] in radians. Use
    points that were not trained on, and enough for the largest xi. Readings:
    ``spectrum`` complex128 [R, frequencies], ``error`` [R, points].

    Raises
    ------
    ValueError
        If the points cannot tell the largest frequency.
    """
    largest = float(xi.abs().max())
    if largest > nyquist(len(x)):
        raise ValueError(
            f"xi reaches {largest:.4g} rad and {len(x)} points tell "
            f"{nyquist(len(x)):.4g} rad (Nyquist); use more points."
        )
    matrix = transform_matrix(x, xi)
    wanted = target(x)

    def measure(ensemble: Ensemble) -> dict[str, Tensor]:
        inputs = x.to(ensemble.device, ensemble.dtype)[:, None]
        error = ensemble.predict(inputs).squeeze(-1) - wanted.to(inputs)
        spectrum = error.to(torch.complex128) @ matrix.T.to(error.device)
        return {"spectrum": spectrum, "error": error}

    return measure
