"""Wave packets on the interval [-1, 1], and whether a grid of points can carry them.

The tangent kernel of a network with trained frequencies contains x x', so the origin
matters and the interval is centred. Targets and grids are this book's choice; those of
Molina et al. 2024 are not known.
"""

import math
import warnings
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Packets:
    """The function exp(-(x - centre)^2 / (2 width^2)) sum_k cos(w_k x + phase).

    The frequencies w_k are angular, in radians per unit of x. The width is the standard
    deviation of the Gaussian window, infinite for no window; the phase is 0 for cosines
    and -pi / 2 for sines.

    Raises
    ------
    ValueError
        If there are no frequencies or the width is not positive.
    """

    frequencies: tuple[float, ...] = (10.0, 30.0, 50.0)
    width: float = 0.15
    centre: float = 0.0
    phase: float = 0.0

    def __post_init__(self) -> None:
        if not self.frequencies:
            raise ValueError("frequencies is empty; give at least one in radians.")
        if not self.width > 0:
            raise ValueError(
                f"width is {self.width}; give a positive one, inf for no window."
            )

    def __call__(self, x: Tensor) -> Tensor:
        """Values at x of any shape."""
        waves = sum(torch.cos(w * x + self.phase) for w in self.frequencies)
        return torch.exp(-(((x - self.centre) / self.width) ** 2) / 2) * waves


def midpoints(points: int) -> Tensor:
    """Midpoints of equal cells of the interval, [points] in float64.

    A mean over them is the midpoint rule for the mean over the interval.

    Raises
    ------
    ValueError
        If points is below 1.
    """
    if points < 1:
        raise ValueError(f"points is {points}; give at least 1.")
    cells = torch.arange(points, dtype=torch.float64)
    return 2.0 * ((cells + 0.5) / points - 0.5)


def nyquist(points: int) -> float:
    """Largest angular frequency that equally spaced points can tell: pi points / 2."""
    return math.pi * points / 2.0


def check_points(points: int, bandwidth: float) -> bool:
    """Warn if equally spaced points are too few for a bandwidth in radians.

    Ask for both: the bandwidth of the target, and that of the initial frequencies.
    Beyond the Nyquist frequency the density of frequencies is folded back, and what
    looks like a cure of the frequency bias is aliasing. Returns whether they suffice.
    """
    if bandwidth <= nyquist(points):
        return True
    warnings.warn(
        f"{points} points on a length of 2 tell frequencies up to "
        f"{nyquist(points):.4g} rad (Nyquist), but the bandwidth is {bandwidth:.4g} "
        f"rad; use at least {math.ceil(bandwidth * 2.0 / math.pi)} points.",
        stacklevel=2,
    )
    return False


def transform_matrix(x: Tensor, xi: Tensor) -> Tensor:
    """Matrix [frequencies, points] of the transform of samples cut to the interval.

    Its product with u [points] is the midpoint rule for int u(x) e^(-i xi x) dx over
    the interval; complex128. x are `midpoints`.
    """
    angle = xi.double()[:, None] * x.double().flatten()
    return torch.polar(torch.full_like(angle, 2.0 / x.numel()), -angle)
