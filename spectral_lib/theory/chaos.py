"""The one-dimensional map behind the non-linear kernel equation on a checkerboard.

Every patch of a checkerboard is plus or minus one pattern c, so the gradient of
Sun et al. 2022 (25) sees the kernel only through ``s = <K, c>``. All other components
shrink by ``1 - rate weight_decay`` a step, while s follows

    s <- s - rate [ (sigmoid(g(s)) - 1) g'(s) k^2 + weight_decay s ],

with g the mean Swish of the responses s and -s. Its fixed points, their slopes and its
Lyapunov exponent say at which learning rates rounding errors grow (figure 4).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import expit

Array = NDArray[np.float64]


@dataclass(frozen=True)
class CheckerboardForce:
    """The force on s, the bracket above, and its derivative.

    The sides of kernel and image are in pixels; the weight decay is positive. Defaults
    are those of Sun et al. 2022, figure 4, with mean pooling, beta 1 and label 1.

    Raises
    ------
    ValueError
        If the kernel does not fit or the weight decay is not positive and finite.
    """

    kernel_size: int = 32
    image_size: int = 256
    weight_decay: float = 20.0

    def __post_init__(self) -> None:
        if not 1 <= self.kernel_size <= self.image_size:
            raise ValueError(
                f"kernel_size is {self.kernel_size}; give a kernel of 1 to "
                f"{self.image_size} pixels, the side of the image."
            )
        if not 0 < self.weight_decay < float("inf"):
            raise ValueError(
                f"weight_decay is {self.weight_decay}; give a positive finite number."
            )

    def value(self, s: ArrayLike) -> Array:
        """Compute the force at s, any shape."""
        pooled, slope, _ = self._pooled(np.asarray(s, dtype=float))
        pull = (expit(pooled) - 1.0) * slope * self.kernel_size**2
        return pull + self.weight_decay * np.asarray(s)

    def slope(self, s: ArrayLike) -> Array:
        """Compute the derivative of the force at s, any shape."""
        pooled, slope, bend = self._pooled(np.asarray(s, dtype=float))
        chance = expit(pooled)
        change = chance * (1.0 - chance) * slope**2 + (chance - 1.0) * bend
        return change * self.kernel_size**2 + self.weight_decay

    def _pooled(self, s: Array) -> tuple[Array, Array, Array]:
        """The mean response g(s) and its first two derivatives."""
        # With an odd number of positions one sign of the pattern occurs once more.
        positions = (self.image_size + 1 - self.kernel_size) ** 2
        minus = 1.0 - (positions + 1) // 2 / positions
        gate = expit(s)
        bell = gate * (1.0 - gate)
        # r(-s) = r(s) - s, hence r'(-s) = 1 - r'(s) and r''(-s) = r''(s).
        bend = bell * (2.0 + s * (1.0 - 2.0 * gate))
        return s * gate - minus * s, gate + s * bell - minus, bend


def fixed_points(force: CheckerboardForce) -> Array:
    """Find all zeros of the force from -100 to 100, in ascending order.

    A point attracts below the learning rate ``2 / force.slope(point)`` and, where that
    slope is negative, at none. With the defaults of the force they lie near -3.87 and
    3.87, with slope 62.0, and near 0, repelling: the threshold "0.03" of Sun et al.
    2022, section 5.4, is 2 / 62.0.
    """
    # An odd number of cells: 0, where a point may lie, is inside one.
    grid = np.linspace(-100.0, 100.0, 20002)
    signs = np.sign(force.value(grid))
    cells = np.flatnonzero(signs[:-1] * signs[1:] < 0)
    return np.array([brentq(force.value, grid[i], grid[i + 1]) for i in cells])


def orbit(
    force: CheckerboardForce, learning_rates: ArrayLike, initial: float, steps: int
) -> Array:
    """Iterate the map for many learning rates at once, ``(rates, steps + 1)``.

    The start is included; after a blow-up values are infinite or nan.

    Raises
    ------
    ValueError
        If a learning rate is not positive or there is not one row of them.
    """
    rates = np.asarray(learning_rates, dtype=float)
    if rates.ndim != 1 or not np.all(rates > 0):
        raise ValueError(
            f"learning_rates are {learning_rates!r}; give one row of positive numbers."
        )
    states = np.empty((rates.size, steps + 1))
    states[:, 0] = initial
    with np.errstate(over="ignore", invalid="ignore"):
        for step in range(steps):
            s = states[:, step]
            states[:, step + 1] = s - rates * force.value(s)
    return states


def lyapunov_exponent(
    force: CheckerboardForce,
    learning_rates: ArrayLike,
    initial: float,
    settle: int = 2000,
    steps: int = 8000,
) -> Array:
    """Average the logarithm of the growth of an infinitesimal error, per step.

    Parameters and errors are those of `orbit`; the first ``settle`` steps are thrown
    away and ``steps`` are averaged. Returns the mean of ``log |1 - rate force'(s)|``,
    ``(rates,)``: positive where rounding errors grow (chaos), nan where the orbit blows
    up.
    """
    states = orbit(force, learning_rates, initial, settle + steps)[:, settle:-1]
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        slopes = force.slope(states)
        factors = np.abs(1.0 - np.asarray(learning_rates)[:, None] * slopes)
    # A factor of exactly 0 would end the average; the smallest number stands for it.
    factors = np.maximum(factors, np.finfo(float).tiny)
    return np.where(np.isfinite(states).all(-1), np.log(factors).mean(-1), np.nan)
