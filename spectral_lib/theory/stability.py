"""Bounds on weight decay and learning rate within which training is stable.

The analytic bounds of Sun et al. 2022 hold for a kernel without limits (theorems 5.4
and D.3). For a kernel of k x k weights the same argument is exact once the frequencies
``|I^|^2`` are replaced by the eigenvalues of the Gram operator (`patch_operator`): each
eigenvector evolves alone, with the curvature
``z = weight_decay + residual beta eigenvalue / 2``.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import bisect
from torch import Tensor

from spectral_lib.theory.gram_spectrum import Normalisation, power_extremes
from spectral_lib.theory.kernel_gradient import check_linear
from spectral_lib.theory.kernel_pde import check_momentum

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """An open interval ``(lower, upper)``, empty where lower >= upper."""

    lower: float
    upper: float

    @property
    def empty(self) -> bool:
        """Whether no value lies inside."""
        return not self.lower < self.upper

    def __contains__(self, value: float) -> bool:
        return self.lower < value < self.upper


def cfl_learning_rate(weight_decay: ArrayLike) -> Array:
    """Give the learning rate ``2 / weight_decay`` at which decay alone is neutral.

    Sun et al. 2022, equation (65): the line that figure 6 compares with.

    Raises
    ------
    ValueError
        If a weight decay is not positive.
    """
    decay = np.asarray(weight_decay, dtype=float)
    if not np.all(decay > 0):
        raise ValueError(f"weight_decay is {weight_decay!r}; give positive numbers.")
    return 2.0 / decay


def printed_bounds(
    image: Tensor,
    learning_rate: float,
    residual: float = -0.5,
    beta: float = 1.0,
    momentum: bool = False,
    normalisation: Normalisation = "backward",
) -> Interval:
    """Evaluate the bounds on weight decay as the paper prints them.

    Parameters
    ----------
    image : Tensor
        Shape ``(height, width)``.
    learning_rate : float
        Positive.
    residual, beta : float
        As in `LinearEquation`.
    momentum : bool
        False for Sun et al. 2022, equation (13); True for (60) and (61), where the
        first term is ``4 / (3 dt^2)`` whatever the momentum (the names of the two
        bounds are exchanged in the paper).
    normalisation : str
        As in `power_extremes`.

    Returns
    -------
    Interval
        From ``-a beta max|I^|^2 / 2`` to ``2 / dt - a beta min|I^|^2 / 2``; it may be
        empty. For a positive residual the two extremes should change places, which
        the paper does not say; `exact_bounds` does it.

    Raises
    ------
    ValueError
        If a number is out of range.
    """
    check_rate(learning_rate)
    check_linear(residual, beta)
    smallest, largest = power_extremes(image, normalisation)
    top = 4.0 / (3.0 * learning_rate**2) if momentum else 2.0 / learning_rate
    half = residual * beta / 2.0
    return Interval(-half * largest, top - half * smallest)


def exact_bounds(
    extremes: tuple[float, float],
    learning_rate: float,
    residual: float = -0.5,
    beta: float = 1.0,
    momentum: float | None = None,
) -> Interval:
    """Give the exact bounds on weight decay of a scheme, in closed form.

    Parameters
    ----------
    extremes : tuple of float
        Smallest and largest eigenvalue, from `gram_extremes` (windowed) or
        `power_extremes` (kernel without limits).
    learning_rate : float
        Positive.
    residual, beta : float
        As in `LinearEquation`.
    momentum : float or None
        As in `Scheme`.

    Returns
    -------
    Interval
        Where every curvature lies between 0 and `largest_curvature`. Compare Sun et
        al. 2022, tables 2 and 6.

    Raises
    ------
    ValueError
        If a number is out of range.
    """
    check_linear(residual, beta)
    top = largest_curvature(learning_rate, momentum)
    shifts = sorted(residual * beta / 2.0 * value for value in extremes)
    return Interval(-shifts[0], top - shifts[1])


def bisected_bounds(
    extremes: tuple[float, float],
    learning_rate: float,
    residual: float = -0.5,
    beta: float = 1.0,
    momentum: float | None = None,
) -> Interval:
    """Find the same bounds by bisection of the growth factor on weight decay.

    Parameters and errors are those of `exact_bounds`. Nothing but `growth_factor` is
    used: the lower bound is where the component of smallest curvature stops growing,
    the upper one where that of largest curvature starts to.
    """
    check_linear(residual, beta)
    scale = 1.0 / _gradient_step(learning_rate, momentum)
    shifts = sorted(residual * beta / 2.0 * value for value in extremes)

    def excess(weight_decay: float, shift: float) -> float:
        factor = growth_factor(weight_decay + shift, learning_rate, momentum)
        return float(factor) - 1.0

    # At the curvature 1 / step a component dies at once; below 0 and beyond 4 / step
    # it grows in every scheme considered.
    lower = bisect(excess, -scale - shifts[0], scale - shifts[0], (shifts[0],))
    upper = bisect(excess, scale - shifts[1], 5.0 * scale - shifts[1], (shifts[1],))
    return Interval(float(lower), float(upper))


def growth_factor(
    curvature: ArrayLike, learning_rate: float, momentum: float | None = None
) -> Array:
    """Give the factor by which one step multiplies a component of given curvature.

    Parameters
    ----------
    curvature : array_like
        ``weight_decay + residual beta eigenvalue / 2``, any shape.
    learning_rate : float
        Positive.
    momentum : float or None
        As in `Scheme`.

    Returns
    -------
    ndarray
        ``|1 - dt z|`` for forward Euler, Sun et al. 2022, (12); with momentum the
        spectral radius of the 2 x 2 matrix that takes (K^n, K^(n-1)) to
        (K^(n+1), K^n), its (56) and (57).

    Raises
    ------
    ValueError
        If a number is out of range.
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

    Parameters and errors are those of `growth_factor`.

    Returns
    -------
    float
        ``2 / dt`` for forward Euler and ``4 / ((1 + 2 momentum) dt^2)`` for Nesterov.
        The paper's (59), ``4 / (3 dt^2)``, is its value for momentum 1: sufficient,
        and not necessary, for every other.
    """
    step = _gradient_step(learning_rate, momentum)
    if momentum is None:
        return 2.0 / step
    return 2.0 * (1.0 + momentum) / ((1.0 + 2.0 * momentum) * step)


def check_rate(learning_rate: float) -> None:
    """Raise ValueError unless a learning rate is positive and finite."""
    if not 0 < learning_rate < float("inf"):
        raise ValueError(
            f"learning_rate is {learning_rate}; give a positive finite number."
        )


def _gradient_step(learning_rate: float, momentum: float | None) -> float:
    check_rate(learning_rate)
    check_momentum(momentum)
    if momentum is None:
        return learning_rate
    return learning_rate**2 * (1.0 + momentum) / 2.0
