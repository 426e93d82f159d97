"""Bounds on weight decay within which training a one-layer network is stable.

Sun et al. 2022, theorems 5.4 and D.3, bound it for a kernel without limits. For k x k
weights the same argument is exact once the frequencies ``|I^|^2`` are replaced by the
eigenvalues of the Gram operator (`gram_spectrum`): each eigenvector evolves alone, with
the curvature ``z = weight_decay - eigenvalue / 4`` of `LinearEquation`. `momentum` is
None for forward Euler, or that of the Nesterov scheme, as in `kernel_pde.Scheme`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import bisect

from spectral_lib.theory.kernel_pde import check_momentum


class Interval(NamedTuple):
    """An open interval, empty where lower >= upper."""

    lower: float
    upper: float


def exact_bounds(
    extremes: tuple[float, float], learning_rate: float, momentum: float | None = None
) -> Interval:
    """Give the weight decays that are stable, in closed form.

    ``extremes`` are the smallest and the largest eigenvalue, from `gram_extremes` (k x
    k weights) or `power_extremes` (a kernel without limits). Inside the bounds every
    curvature lies between 0 and `largest_curvature`. Compare Sun et al. 2022, (13) and
    tables 2 and 6.

    Raises
    ------
    ValueError
        If the learning rate is not positive or the momentum not in [0, 1).
    """
    lowest, highest = _shifts(extremes)
    return Interval(-lowest, largest_curvature(learning_rate, momentum) - highest)


def bisected_bounds(
    extremes: tuple[float, float], learning_rate: float, momentum: float | None = None
) -> Interval:
    """Find the same by bisection of `growth_factor` alone.

    Parameters and errors are those of `exact_bounds`. The lower bound is where the
    component of smallest curvature stops growing, the upper one where that of largest
    curvature starts to.
    """
    lowest, highest = _shifts(extremes)
    scale = 1.0 / _gradient_step(learning_rate, momentum)

    def excess(curvature: float) -> float:
        return float(growth_factor(curvature, learning_rate, momentum)) - 1.0

    # At the curvature 1 / step a component dies at once; below 0 and beyond 4 / step
    # it grows in every scheme considered.
    lower, upper = bisect(excess, -scale, scale), bisect(excess, scale, 5.0 * scale)
    return Interval(float(lower) - lowest, float(upper) - highest)


def growth_factor(
    curvature: ArrayLike, learning_rate: float, momentum: float | None = None
) -> NDArray[np.float64]:
    """Give the factor by which one step multiplies components of given curvature.

    It is ``|1 - dt z|`` for forward Euler, Sun et al. 2022, (12); with momentum the
    spectral radius of the 2 x 2 matrix that takes (K^n, K^(n-1)) to (K^(n+1), K^n),
    its (56) and (57). Shaped like ``curvature``.
    Errors are those of `exact_bounds`.
    """
    step = _gradient_step(learning_rate, momentum)
    keep = 1.0 - step * np.asarray(curvature, dtype=float)
    if momentum is None:
        return np.abs(keep)
    companion = np.zeros((*keep.shape, 2, 2))
    companion[..., 0, 0] = (1.0 + momentum) * keep
    companion[..., 0, 1] = -momentum * keep
    companion[..., 1, 0] = 1.0
    return np.abs(np.linalg.eigvals(companion)).max(axis=-1)


def largest_curvature(learning_rate: float, momentum: float | None = None) -> float:
    """Give the curvature at which a scheme stops being stable.

    It is ``2 / dt`` for forward Euler and ``4 / ((1 + 2 momentum) dt^2)`` for Nesterov.
    The paper's (59), ``4 / (3 dt^2)``, is its value for momentum 1: sufficient, and not
    necessary, for every other. Errors are those of `exact_bounds`.
    """
    step = _gradient_step(learning_rate, momentum)
    if momentum is None:
        return 2.0 / step
    return 2.0 * (1.0 + momentum) / ((1.0 + 2.0 * momentum) * step)


def _shifts(extremes: tuple[float, float]) -> tuple[float, float]:
    """Smallest and largest curvature without weight decay."""
    return -0.25 * extremes[1], -0.25 * extremes[0]


def _gradient_step(learning_rate: float, momentum: float | None) -> float:
    """Factor of the gradient in an update."""
    if not 0 < learning_rate < float("inf"):
        raise ValueError(
            f"learning_rate is {learning_rate}; give a positive finite number."
        )
    check_momentum(momentum)
    if momentum is None:
        return learning_rate
    return learning_rate**2 * (1.0 + momentum) / 2.0
