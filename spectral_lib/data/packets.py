"""Wave packets on an interval, and whether a grid of points can carry them.

The interval is [-1, 1] unless said otherwise: the tangent kernel of a network with
trained frequencies contains x x', so the origin matters and the interval is centred.
Targets and grids are this book's choice; those of Molina et al. 2024 are not known.
"""

import math
import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

LENGTH = 2.0
"""Length of the interval [-1, 1]."""


@dataclass(frozen=True)
class Packets:
    """The function exp(-(x - centre)^2 / (2 width^2)) sum_k cos(w_k x + phase).

    Attributes
    ----------
    frequencies
        Angular frequencies w_k, radians per unit of x.
    width
        Standard deviation of the Gaussian window; infinite for no window.
    centre
        Where the window stands.
    phase
        0 for cosines, -pi / 2 for sines.

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

    @property
    def bandwidth(self) -> float:
        """Largest frequency plus three widths of its line, in radians."""
        return max(abs(w) for w in self.frequencies) + 3.0 / self.width


def midpoints(points: int, length: float = LENGTH) -> Tensor:
    """Midpoints of equal cells of a centred interval, [points] in float64.

    A mean over them is the midpoint rule for the mean over the interval.

    Raises
    ------
    ValueError
        If there are no points or the length is not positive.
    """
    if points < 1:
        raise ValueError(f"points is {points}; give at least 1.")
    if not length > 0:
        raise ValueError(f"length is {length}; give a positive one.")
    cells = torch.arange(points, dtype=torch.float64)
    return length * ((cells + 0.5) / points - 0.5)


def nyquist(points: int, length: float = LENGTH) -> float:
    """Largest angular frequency that equally spaced points can tell: pi points / L."""
    return math.pi * points / length


def check_points(points: int, bandwidth: float, length: float = LENGTH) -> bool:
    """Warn if equally spaced points are too few for a bandwidth in radians.

    Ask for both: the bandwidth of the target, and that of the initial frequencies.
    Beyond the Nyquist frequency the density of frequencies is folded back, and what
    looks like a cure of the frequency bias is aliasing. Returns whether they suffice.
    """
    limit = nyquist(points, length)
    if bandwidth <= limit:
        return True
    needed = math.ceil(bandwidth * length / math.pi)
    warnings.warn(
        f"{points} points on a length of {length:g} tell frequencies up to "
        f"{limit:.4g} rad (Nyquist), but the bandwidth is {bandwidth:.4g} rad; "
        f"use at least {needed} points.",
        stacklevel=2,
    )
    return False


def transform_matrix(x: Tensor, xi: Tensor, length: float = LENGTH) -> Tensor:
    """Matrix [frequencies, points] of the transform of samples cut to the interval.

    Its product with u [points] is the midpoint rule for int u(x) e^(-i xi x) dx over
    the interval; complex128. x are equally spaced `midpoints`.
    """
    angle = xi.double()[:, None] * x.double().flatten()
    return torch.polar(torch.full_like(angle, length / x.numel()), -angle)
