"""Distributions of a network's initial frequencies.

A network with features cos(w x) and sin(w x) draws w from a density rho_w. What its
neural tangent kernel sees is the symmetrised density rho_s and its characteristic
function kappa(d) = E cos(w d). Frequencies are angular, in radians per unit of x. Only
the dependence on rho_w is from Molina et al. 2024; the formulas are textbook ones.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import special
from scipy.interpolate import CubicSpline
from torch import Tensor

Array = NDArray[np.float64]


class Frequencies(ABC):
    """A distribution of frequencies with a density."""

    @property
    @abstractmethod
    def bandwidth(self) -> float:
        """Frequency, in radians, below which (nearly) all |w| lie."""

    @abstractmethod
    def sample(self, count: int) -> Tensor:
        """Independent draws [count] in float64, from torch's random state."""

    @abstractmethod
    def density(self, xi: ArrayLike) -> Array:
        """Density rho_w at xi (any shape), per radian."""

    @abstractmethod
    def characteristic(self, distance: ArrayLike) -> Array:
        """Kernel kappa(d) = E cos(w d) at distances of any shape."""

    def symmetric_density(self, xi: ArrayLike) -> Array:
        """Symmetrised density (rho_w(xi) + rho_w(-xi)) / 2."""
        at = np.asarray(xi, dtype=float)
        return (self.density(at) + self.density(-at)) / 2.0

    def convolved_density(self, xi: ArrayLike, order: int) -> Array:
        """Density at xi of the sum of ``order`` independent symmetrised frequencies.

        By Fourier inversion of kappa ** order, but for normal frequencies.
        """
        at = np.asarray(xi, dtype=float)
        if order == 1:
            return self.symmetric_density(at)
        points = 2**14
        reach = max(float(np.abs(at).max(initial=0.0)), order * self.bandwidth)
        step = 2 * np.pi / (4.0 * reach)  # the density is repeated with period 4 reach
        kappa = self.characteristic(step * np.arange(points + 1)) ** order
        values = np.fft.irfft(kappa, 2 * points)[: points + 1] * (points * step / np.pi)
        grid = np.pi / (points * step) * np.arange(points + 1)
        return np.maximum(CubicSpline(grid, values)(np.abs(at)), 0.0)


@dataclass(frozen=True)
class Normal(Frequencies):
    """Normal distribution with mean 0 and standard deviation ``std`` in radians."""

    std: float

    def __post_init__(self) -> None:
        _check_positive("std", self.std)

    @property
    def bandwidth(self) -> float:
        """Three standard deviations."""
        return 3.0 * self.std

    def sample(self, count: int) -> Tensor:
        """Draw std times a standard normal number."""
        return self.std * torch.randn(count, dtype=torch.float64)

    def density(self, xi: ArrayLike) -> Array:
        """Evaluate the normal density."""
        z = np.asarray(xi, dtype=float) / self.std
        return np.exp(-(z**2) / 2.0) / (np.sqrt(2 * np.pi) * self.std)

    def characteristic(self, distance: ArrayLike) -> Array:
        """Evaluate exp(-std^2 d^2 / 2)."""
        return np.exp(-((self.std * np.asarray(distance, dtype=float)) ** 2) / 2.0)

    def convolved_density(self, xi: ArrayLike, order: int) -> Array:
        """Evaluate the normal density of a variance ``order`` times as large."""
        return Normal(self.std * order**0.5).density(xi)


@dataclass(frozen=True)
class Uniform(Frequencies):
    """Uniform distribution on (-half_width, half_width), in radians."""

    half_width: float

    def __post_init__(self) -> None:
        _check_positive("half_width", self.half_width)

    @property
    def bandwidth(self) -> float:
        """The half width."""
        return self.half_width

    def sample(self, count: int) -> Tensor:
        """Draw from the interval."""
        return self.half_width * (2.0 * _uniform(count) - 1.0)

    def density(self, xi: ArrayLike) -> Array:
        """Evaluate 1 / (2 half_width) inside and 0 outside."""
        inside = np.abs(np.asarray(xi, dtype=float)) < self.half_width
        return inside / (2.0 * self.half_width)

    def characteristic(self, distance: ArrayLike) -> Array:
        """Evaluate sin(W d) / (W d)."""
        return np.sinc(self.half_width * np.asarray(distance, dtype=float) / np.pi)


@dataclass(frozen=True, eq=False)
class Tabulated(Frequencies):
    """Piecewise linear density through ``heights`` at ``knots`` (radians), else 0.

    Heights are scaled so that the density integrates to 1. Two knots a hair apart make
    a jump.
    """

    knots: ArrayLike
    heights: ArrayLike

    def __post_init__(self) -> None:
        knots = np.asarray(self.knots, dtype=float)
        heights = np.asarray(self.heights, dtype=float)
        if knots.ndim != 1 or knots.shape != heights.shape or knots.size < 2:
            raise ValueError(
                f"knots have shape {knots.shape} and heights {heights.shape}; give two "
                "rows of the same length, at least 2."
            )
        if not np.all(np.diff(knots) > 0):
            raise ValueError("knots must increase strictly; sort them first.")
        if not (np.all(heights >= 0) and np.isfinite(heights).all()):
            raise ValueError("heights of a density must be finite and not negative.")
        total = np.trapezoid(heights, knots)
        if not total > 0:
            raise ValueError("all heights are 0; give a density that is somewhere > 0.")
        object.__setattr__(self, "knots", knots)
        object.__setattr__(self, "heights", heights / total)

    @property
    def bandwidth(self) -> float:
        """The largest |knot|."""
        return float(np.abs(np.asarray(self.knots)).max())

    def sample(self, count: int) -> Tensor:
        """Draw by inversion of the piecewise quadratic distribution function."""
        knots, heights = np.asarray(self.knots), np.asarray(self.heights)
        steps = np.diff(knots)
        mass = steps * (heights[1:] + heights[:-1]) / 2.0
        below = np.concatenate([[0.0], np.cumsum(mass)])
        u = _uniform(count).numpy() * below[-1]
        i = np.clip(np.searchsorted(below, u, side="right") - 1, 0, len(steps) - 1)
        slope = (heights[i + 1] - heights[i]) / steps[i]
        rest = u - below[i]
        # Root of slope t^2 / 2 + height t = rest in the form without cancellation.
        root = np.sqrt(np.maximum(heights[i] ** 2 + 2.0 * slope * rest, 0.0))
        bottom = heights[i] + root
        t = np.divide(2.0 * rest, bottom, out=np.zeros_like(rest), where=bottom > 0)
        return torch.from_numpy(knots[i] + np.minimum(t, steps[i]))

    def density(self, xi: ArrayLike) -> Array:
        """Interpolate linearly between the knots."""
        at = np.asarray(xi, dtype=float)
        knots, heights = np.asarray(self.knots), np.asarray(self.heights)
        return np.interp(at, knots, heights, left=0.0, right=0.0)

    def characteristic(self, distance: ArrayLike) -> Array:
        """Integrate density times cos(w d) exactly, piece by piece."""
        knots, heights = np.asarray(self.knots), np.asarray(self.heights)
        d = np.asarray(distance, dtype=float)
        total = np.zeros_like(d)
        for left, right, low, high in zip(
            knots, knots[1:], heights, heights[1:], strict=False
        ):
            half, middle = (right - left) / 2.0, (right + left) / 2.0
            mean, rise = (low + high) / 2.0, (high - low) / 2.0
            even = mean * np.cos(middle * d) * special.spherical_jn(0, half * d)
            odd = rise * np.sin(middle * d) * special.spherical_jn(1, half * d)
            total += 2.0 * half * (even - odd)
        return total


def _check_positive(name: str, value: float) -> None:
    if not 0 < value < float("inf"):
        raise ValueError(f"{name} is {value}; give a positive finite number.")


def _uniform(count: int) -> Tensor:
    return torch.rand(count, dtype=torch.float64)
