"""Estimates over seeds, differences of two, and corrections for many tests."""

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from spectral_book.claims.scales import Scale
from spectral_book.claims.statistics import Values

CONFIDENCE = 0.95

FALSE_POSITIVES = (1 - CONFIDENCE) / 2
"""How often an interval clears a bar that the truth lies exactly on."""

ROUNDING = 1e-12
"""Relative difference below which numbers are the same but for rounding."""

AT_ZERO = 1e-15
"""What rounding leaves of 0, as in the logarithm of a ratio that is 1."""

FEWEST_SEEDS = 3
"""With fewer numbers an interval says nothing, and the verdict says so."""


FEWEST_INFINITE = 4
"""The range of fewer says too little: equal samples part by chance in 1 of 8 cases."""


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its interval, and how many seeds gave a number.

    An infinite value counts where it falls: with one, the interval is the range of all
    values. ``missing`` seeds gave no number at all.
    """

    middle: float | None
    low: float | None
    high: float | None
    n: int
    missing: int
    method: str

    def shown(self, scale: Scale) -> "Estimate":
        """The same as readers see it."""
        ends = (self.middle, self.low, self.high)
        middle, low, high = (None if x is None else scale.shown(x) for x in ends)
        return replace(self, middle=middle, low=low, high=high)


def interval(z: Values, exact: bool = False) -> Estimate:
    """The mean of the numbers that are there, with a 95 % t interval.

    It is their range, with the median, if they are exact or one is infinite; and of no
    width if they are all alike. None with too few numbers.
    """
    there = z[~np.isnan(z)]
    n, missing = len(there), len(z) - len(there)
    if not n:
        return Estimate(None, None, None, 0, missing, "")
    infinite = not np.isfinite(there).all()
    with np.errstate(invalid="ignore"):
        middle = float(np.median(there) if infinite else there.mean())
    if n < FEWEST_SEEDS or (infinite and not exact and n < FEWEST_INFINITE):
        return Estimate(middle, None, None, n, missing, "")
    if exact or infinite:
        low, high = float(there.min()), float(there.max())
        method = "range of all entries" if exact else "range, as a value is infinite"
        return Estimate(middle, low, high, n, missing, method)
    reach = 0.0
    if not alike(there):
        reach = _quantile(n - 1) * float(there.std(ddof=1)) / math.sqrt(n)
    method = "95 % t interval"
    return Estimate(middle, middle - reach, middle + reach, n, missing, method)


def difference(mine: Values, other: Values, exact: bool = False) -> Estimate:
    """Measurement less control with its interval: paired, or by Welch's test.

    Skewed numbers that are not equally many deceive Welch's test, and not that of their
    ranks (Mann and Whitney): where ranks do not differ, the interval holds 0.

    Two equal infinite values do not differ. Exact or infinite numbers that are not
    equally many lie apart by the gap between their ranges.
    """
    if len(mine) == len(other):
        with np.errstate(invalid="ignore"):
            pairs = np.where(mine == other, 0.0, mine - other)
        size = np.fmax(np.abs(mine), np.abs(other))
        pairs[np.abs(pairs) < ROUNDING * size] = 0.0
        found = interval(pairs, exact)
        return replace(found, method="paired" if found.method else "")
    a, b = mine[~np.isnan(mine)], other[~np.isnan(other)]
    missing = len(mine) + len(other) - len(a) - len(b)
    if min(len(a), len(b)) < FEWEST_SEEDS:
        return Estimate(None, None, None, len(a), missing, "")
    if exact or not np.isfinite([*a, *b]).all():
        with np.errstate(invalid="ignore"):
            middle = float(np.median(a) - np.median(b))
            low, high = float(a.min() - b.max()), float(a.max() - b.min())
        return Estimate(middle, low, high, len(a), missing, "two ranges")
    middle = float(a.mean() - b.mean())
    of_a, of_b = float(a.var(ddof=1)) / len(a), float(b.var(ddof=1)) / len(b)
    squares = of_a**2 / (len(a) - 1) + of_b**2 / (len(b) - 1)
    reach = 0.0
    if squares > 0:
        freedom = (of_a + of_b) ** 2 / squares
        reach = _quantile(freedom) * math.sqrt(of_a + of_b)
    low, high = middle - reach, middle + reach
    if reach and ranks_alike(a, b):
        low, high = min(low, 0.0), max(high, 0.0)
    return Estimate(middle, low, high, len(a), missing, "Welch")


def ranks_alike(a: Values, b: Values) -> NDArray[np.bool_]:
    """Whether the ranks of samples [..., n] and [..., m] may differ by chance alone."""
    test = scipy.stats.mannwhitneyu(a, b, axis=-1, method="asymptotic")
    return np.asarray(test.pvalue > 1 - CONFIDENCE)


def holm(p_values: ArrayLike) -> list[bool]:
    """Which of several tests still hold if one false positive is one too many.

    Source: S. Holm, A simple sequentially rejective multiple test procedure,
    Scandinavian Journal of Statistics 6 (1979). One-sided, as the intervals' ends.
    """
    p = np.asarray(p_values, float)
    held = [False] * len(p)
    for rank, i in enumerate(np.argsort(p)):
        if p[i] > FALSE_POSITIVES / (len(p) - rank):
            break
        held[i] = True
    return held


def alike(there: Values) -> bool:
    """Whether values differ by no more than rounding: a t test divides by that."""
    return bool(np.ptp(there) <= ROUNDING * np.abs(there).max())


@lru_cache
def _quantile(freedom: float) -> float:
    return float(scipy.stats.t.ppf((1 + CONFIDENCE) / 2, freedom))
