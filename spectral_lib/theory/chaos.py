"""The one-dimensional map behind the non-linear kernel equation on a checkerboard.

Every patch of a checkerboard is plus or minus one pattern c, so the gradient of
Sun et al. 2022 (25) sees the kernel only through ``s = <K, c>``. All other components
shrink by ``1 - rate weight_decay`` a step, while s follows

    s <- s - rate [ (sigmoid(g(s)) - label) g'(s) k^2 + weight_decay s ],

with g the pooled Swish of the responses s and -s. Its fixed points, their slopes and
its Lyapunov exponent say at which learning rates rounding errors grow (figure 4).
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

    Attributes
    ----------
    kernel_size, image_size : int
        Sides in pixels.
    weight_decay : float
        Positive.
    beta : float
        Steepness of Swish, positive.
    label : float
        Target of the image, 0 to 1.

    Raises
    ------
    ValueError
        If a setting is out of range.

    Notes
    -----
    The defaults are the settings of Sun et al. 2022, figure 4, with mean pooling.
    """

    kernel_size: int = 32
    image_size: int = 256
    weight_decay: float = 20.0
    beta: float = 1.0
    label: float = 1.0

    def __post_init__(self) -> None:
        if not 1 <= self.kernel_size <= self.image_size:
            raise ValueError(
                f"kernel_size is {self.kernel_size}; give a kernel of 1 to "
                f"{self.image_size} pixels, the side of the image."
            )
        for name in ("weight_decay", "beta"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(
                    f"{name} is {getattr(self, name)}; give a positive finite number."
                )
        if not 0 <= self.label <= 1:
            raise ValueError(f"label is {self.label}; give a number from 0 to 1.")

    def value(self, s: ArrayLike) -> Array:
        """Compute the force at s, any shape."""
        pooled, slope, _ = self._pooled(np.asarray(s, dtype=float))
        pull = (expit(pooled) - self.label) * slope * self.kernel_size**2
        return pull + self.weight_decay * np.asarray(s)

    def slope(self, s: ArrayLike) -> Array:
        """Compute the derivative of the force at s, any shape."""
        pooled, slope, bend = self._pooled(np.asarray(s, dtype=float))
        chance = expit(pooled)
        change = chance * (1.0 - chance) * slope**2 + (chance - self.label) * bend
        return change * self.kernel_size**2 + self.weight_decay

    def _pooled(self, s: Array) -> tuple[Array, Array, Array]:
        # With an odd number of positions one sign of the pattern occurs once more.
        positions = (self.image_size + 1 - self.kernel_size) ** 2
        plus = (positions + positions % 2) // 2 / positions
        x = self.beta * s
        gate = expit(x)
        bell = gate * (1.0 - gate)
        # r(-s) = r(s) - s, hence r'(-s) = 1 - r'(s) and r''(-s) = r''(s).
        active = s * gate
        slope = gate + x * bell
        bend = self.beta * bell * (2.0 + x * (1.0 - 2.0 * gate))
        return (
            active - (1.0 - plus) * s,
            slope - (1.0 - plus),
            bend,
        )


@dataclass(frozen=True)
class FixedPoint:
    """A zero of the force.

    Attributes
    ----------
    position : float
        Where it is.
    slope : float
        Derivative of the force there.
    """

    position: float
    slope: float

    @property
    def critical_rate(self) -> float:
        """Learning rate beyond which the point repels: ``2 / slope``, or 0."""
        return 2.0 / self.slope if self.slope > 0 else 0.0


def fixed_points(
    force: CheckerboardForce, reach: float = 100.0, cells: int = 20001
) -> list[FixedPoint]:
    """Find all fixed points of the map within a reach of 0.

    Parameters
    ----------
    force : CheckerboardForce
        Settings.
    reach : float
        Largest distance from 0, positive.
    cells : int
        Number of equal cells searched for a change of sign, odd so that 0, where a
        point may lie, is inside a cell.

    Returns
    -------
    list of FixedPoint
        In ascending order. With the defaults of the force, points near -3.87 and 3.87
        with slope 61.99 and one near 0 that repels at every rate: the threshold
        "0.03" of Sun et al. 2022, section 5.4, is 2 / 61.99.

    Raises
    ------
    ValueError
        If `reach` is not positive or `cells` is not odd.
    """
    if not reach > 0 or cells < 1 or cells % 2 == 0:
        raise ValueError(
            f"reach is {reach} and cells {cells}; give a positive reach and an odd "
            "number of cells."
        )
    grid = np.linspace(-reach, reach, cells + 1)
    signs = np.sign(force.value(grid))
    points = []
    for cell in np.flatnonzero(signs[:-1] * signs[1:] < 0):
        root = brentq(lambda s: float(force.value(s)), grid[cell], grid[cell + 1])
        points.append(FixedPoint(float(root), float(force.slope(root))))
    return points


def orbit(
    force: CheckerboardForce,
    learning_rates: ArrayLike,
    initial: ArrayLike,
    steps: int,
) -> Array:
    """Iterate the map for many learning rates at once.

    Parameters
    ----------
    force : CheckerboardForce
        Settings.
    learning_rates : array_like
        Positive, shape ``(rates,)``.
    initial : array_like
        Starting point, one number or one for each rate.
    steps : int
        Number of steps, at least 0.

    Returns
    -------
    ndarray
        Shape ``(rates, steps + 1)``, the start included; inf or nan after a blow-up.

    Raises
    ------
    ValueError
        If a learning rate is not positive or `steps` is negative.
    """
    rates = _check_rates(learning_rates, steps)
    states = np.empty((rates.size, steps + 1))
    states[:, 0] = initial
    with np.errstate(over="ignore", invalid="ignore"):
        for step in range(steps):
            s = states[:, step]
            states[:, step + 1] = s - rates * force.value(s)
    return states


def bifurcation(
    force: CheckerboardForce,
    learning_rates: ArrayLike,
    initial: ArrayLike,
    settle: int = 2000,
    keep: int = 200,
) -> Array:
    """Record where the map ends up for each learning rate.

    Parameters and errors are those of `orbit`; the first `settle` steps are thrown
    away.

    Returns
    -------
    ndarray
        Shape ``(rates, keep)``; nan where the orbit blew up.
    """
    tail = orbit(force, learning_rates, initial, settle + keep)[:, -keep:]
    return np.where(np.isfinite(tail), tail, np.nan)


def lyapunov_exponent(
    force: CheckerboardForce,
    learning_rates: ArrayLike,
    initial: ArrayLike,
    settle: int = 2000,
    steps: int = 8000,
) -> Array:
    """Average the logarithm of the growth of an infinitesimal error, per step.

    Parameters and errors are those of `orbit`; the first `settle` steps are thrown
    away and `steps` are averaged.

    Returns
    -------
    ndarray
        Shape ``(rates,)``: mean of ``log |1 - rate force'(s)|``. Positive where
        rounding errors grow (chaos), negative where they die out, 0 where neutral.
        Where the orbit blows up, nan.
    """
    rates = _check_rates(learning_rates, settle + steps)
    states = orbit(force, rates, initial, settle + steps)[:, settle:-1]
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        factors = np.abs(1.0 - rates[:, None] * force.slope(states))
    # A factor of exactly 0 would end the average; the smallest number stands for it.
    factors = np.maximum(factors, np.finfo(float).tiny)
    return np.where(np.isfinite(states).all(-1), np.log(factors).mean(-1), np.nan)


def _check_rates(learning_rates: ArrayLike, steps: int) -> Array:
    rates = np.atleast_1d(np.asarray(learning_rates, dtype=float))
    if rates.ndim != 1 or not np.all(rates > 0) or steps < 0:
        raise ValueError(
            f"learning_rates are {learning_rates!r} for {steps} steps; give one row of "
            "positive numbers and at least 0 steps."
        )
    return rates
