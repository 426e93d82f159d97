"""The scale that a claim is judged on: one on which its numbers know no bounds.

Intervals by Student's t may reach beyond what a correlation or a share can be, and near
a bound they cover too little. So ratios and magnitudes are judged as logarithms,
correlations as Fisher's z and shares as log odds; all that readers see is turned back.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from spectral_book.claims.statistics import Values

LOGARITHMS = ("magnitude", "ratio", "ratio_to", "spread_ratio")
"""Statistics that return logarithms; all others return what readers see."""

RANKED = ("spearman", "rank_correlation")
"""Correlations of ranks, which reach 1 with few numbers by chance."""

CORRELATIONS = ("correlation", *RANKED)
"""Statistics between -1 and 1."""

MARGIN = 1e-3
"""A share or correlation this near its bound counts as no nearer, in its full width."""


@dataclass(frozen=True)
class Scale:
    """A scale: its name, and the bounds of numbers where it takes them away.

    Within ``bounds`` (a, b) a number x becomes log((x - a) / (b - x)), halved for
    correlations; what is nearer to a bound than ``margin`` counts as at the margin.
    """

    name: str = "numbers"
    bounds: tuple[float, float] | None = None
    margin: float = 0.0

    def judged(self, x: ArrayLike) -> Values:
        """Numbers as readers see them, turned to this scale; 0 is -inf as a log."""
        given = np.asarray(x, float)
        if self.name == "logarithms":
            with np.errstate(divide="ignore", invalid="ignore"):
                return np.log(given)
        if self.bounds is None:
            return given
        low, high = self.bounds
        inside = np.clip(given, low + self.margin, high - self.margin)
        return self._stretch * np.log((inside - low) / (high - inside))

    def shown(self, z: float) -> float:
        """A number of this scale as readers see it; within the margin, the bound."""
        if self.name == "logarithms":
            return math.exp(min(z, 709.0)) if math.isfinite(z) else float(np.exp(z))
        if self.bounds is None:
            return z
        low, high = self.bounds
        share = 0.5 + 0.5 * math.tanh(0.5 * z / self._stretch)
        edge = (1 + 1e-9) * self.margin / (high - low)
        if share <= edge:
            return low
        return high if share >= 1 - edge else low + (high - low) * share

    def to_dict(self) -> dict[str, Any]:
        """The scale as a row of the ledger holds it."""
        bounds = None if self.bounds is None else list(self.bounds)
        return {"name": self.name, "bounds": bounds, "margin": self.margin}

    @classmethod
    def from_dict(cls, held: Mapping[str, Any]) -> "Scale":
        """The scale that a row holds."""
        bounds = held["bounds"] and (float(held["bounds"][0]), float(held["bounds"][1]))
        return cls(str(held["name"]), bounds, float(held["margin"]))

    @property
    def _stretch(self) -> float:
        return 0.5 if self.name == "Fisher's z" else 1.0


def scale_of(
    statistic: str,
    inputs: Mapping[str, ArrayLike],
    bounds: tuple[float, float] | None = None,
) -> Scale:
    """The scale of a statistic, given what it is computed from.

    Parameters
    ----------
    statistic
        A name of `spectral_book.claims.statistics.STATISTICS`.
    inputs
        The statistic's arguments. A correlation of K ranks moves in steps of
        12 / (K^3 - K) or so; a quarter of one is its margin.
    bounds
        Bounds that the claims file names.
    """
    if statistic in LOGARITHMS:
        return Scale("logarithms")
    if statistic in CORRELATIONS:
        margin = MARGIN
        if statistic in RANKED:
            k = np.shape(inputs["y"])[-1]
            margin = max(MARGIN, 3 / (k**3 - k)) if k > 1 else 1.0
        return Scale("Fisher's z", (-1.0, 1.0), margin)
    if bounds is None:
        return Scale()
    name = "Fisher's z" if bounds[0] < 0 else "log odds"
    return Scale(name, bounds, MARGIN * (bounds[1] - bounds[0]))
