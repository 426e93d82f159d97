"""The verdict: a pure function of a claim's bar, its numbers and its control's.

"Replicated" asks for two things. The whole interval clears the bar, and so does not the
control's; and the interval of measurement less control excludes 0 on the claim's side.
Numbers are compared on the claim's scale (`spectral_book.claims.scales`).
"""

import math
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal, Self

import numpy as np
import scipy
from numpy.typing import ArrayLike

from spectral_book.claims.intervals import (
    AT_ZERO,
    FEWEST_INFINITE,
    FEWEST_SEEDS,
    ROUNDING,
    Estimate,
    alike,
    difference,
    interval,
)
from spectral_book.claims.scales import Scale
from spectral_book.claims.statistics import Values

Verdict = Literal[
    "replicated",
    "weaker than claimed",
    "not replicated",
    "inconclusive",
    "not comparable",
]

LIKE_CONTROL = "It cannot be told from its control."
CONTROL_BETTER = "The control does better."
CONTROL_TOO = "The control shows the effect, too."
BY_CONTROL = (LIKE_CONTROL, CONTROL_BETTER, CONTROL_TOO)
"""What a control says against an interval that clears the bar."""

SOME_EFFECT = "The interval lies between “no effect” and the bar."
PERHAPS_ENOUGH = "The interval excludes “no effect”, but holds the bar."
SOME_ENTRIES = "Some entries clear the bar, others do not."
"""What an interval says that excludes "no effect" on the claim's side, and no more."""

EITHER_WAY = "The interval holds both “no effect” and the bar."
ACROSS_EDGE = "The interval crosses the edge of the band."
FEW_CONTROLS = "The control gave too few numbers."
"""What else keeps a claim open."""

Shown = Literal["shows it", "shows some of it", "does not show it", "undecided"]
"""What a control says of the claim."""


@dataclass(frozen=True)
class Bar:
    """What a claim asks for.

    Attributes
    ----------
    direction
        "greater", "less" or "within".
    ends
        "No effect" and the smallest effect that counts; for "within" the band's ends.
    exact
        Whether the numbers are all entries of a table, and not a sample of seeds.
    rounding
        How far the ends of the measurement's interval, and of that of its difference
        from the control, are known to move between processors, on the claim's scale.
    """

    direction: str
    ends: tuple[float, float]
    exact: bool = False
    rounding: tuple[float, float] = (0.0, 0.0)

    def on(self, scale: Scale) -> Self:
        """The bar on the scale."""
        start, end = (float(scale.judged(x)) for x in self.ends)
        return replace(self, ends=(start, end))


@dataclass(frozen=True)
class Judgement:
    """A verdict with all that it rests on, numbers as readers see them.

    ``difference`` is measurement less control on the claim's scale: a ratio for
    logarithms. ``p_bar`` is the one-sided p of the t test against the bar, and
    ``share`` how much of the effect that was asked for was reached, on the claim's
    scale; None where there is none. Where ``rounding_decides``, the verdict depends on
    how a processor rounds, and is left open.
    """

    verdict: Verdict
    why: str
    measured: Estimate
    control: Estimate
    control_shows: Shown
    difference: Estimate
    p_bar: float | None = None
    share: float | None = None
    rounding_decides: bool = False


def judge(
    bar: Bar,
    values: ArrayLike,
    control: ArrayLike,
    scale: Scale,
    unmet: str = "",
) -> Judgement:
    """Judge a claim.

    Parameters
    ----------
    bar
        What the claim asks for, in the numbers that readers see.
    values, control
        The statistic of each seed, and of each seed of the control. Equally many are
        compared one by one, others as two samples.
    scale
        The scale to compare on.
    unmet
        Why the claim's precondition does not hold; then it is not comparable.
    """
    mine, other = scale.judged(values), scale.judged(control)
    judged = bar.on(scale)
    measured, compared = interval(mine, bar.exact), interval(other, bar.exact)
    apart = difference(mine, other, bar.exact)
    shows = _shows(judged, compared)

    seen = np.asarray(values, float)

    def found(ends: Estimate, beside: Estimate) -> tuple[Verdict, str]:
        return _verdict(judged, seen, ends, compared, beside, shows)

    verdict, why = found(measured, apart)
    own, beside = bar.rounding
    moved = product(_moved(measured, own), _moved(apart, beside))
    shaky = any(found(*ends)[0] != verdict for ends in moved)
    if shaky and verdict != "inconclusive":
        why = f"{why} Rounding on another processor could turn that."
        verdict = "inconclusive"
    if unmet:
        verdict, why = "not comparable", unmet
    return Judgement(
        verdict,
        why,
        measured.shown(scale),
        compared.shown(scale),
        shows,
        apart.shown(scale) if scale.name == "logarithms" else apart,
        _p_bar(judged, mine),
        _share(judged, measured),
        shaky,
    )


def _moved(found: Estimate, by: float) -> list[Estimate]:
    """An interval, and it with each of its ends moved so far either way."""
    if not by or found.low is None or found.high is None:
        return [found]
    ends = product((found.low - by, found.low + by), (found.high - by, found.high + by))
    return [found, *(replace(found, low=low, high=high) for low, high in ends)]


def _verdict(
    bar: Bar,
    values: Values,
    measured: Estimate,
    control: Estimate,
    apart: Estimate,
    shows: Shown,
) -> tuple[Verdict, str]:
    """The verdict of numbers, of which the intervals are on the scale, and why."""
    there = values[~np.isnan(values)]
    if measured.low is None:
        needed = f"{FEWEST_SEEDS} are needed"
        if not np.isfinite(there).all():
            needed = f"{FEWEST_INFINITE} are needed where one is infinite"
        noun = "value" if measured.n == 1 else "values"
        few = f"{measured.n} {noun}; at least {needed}."
        return "inconclusive", f"{_lost(measured, '')} {few}".lstrip()
    if control.low is None:
        return "inconclusive", FEW_CONTROLS
    verdict, why = _compare(bar, measured)
    if verdict in ("replicated", "weaker than claimed"):
        reasons = (
            _lost(measured, ""),
            _lost(control, " of the control"),
            CONTROL_TOO if shows == "shows it" else "",
            _against(bar, apart),
        )
        against = " ".join(filter(None, reasons))
        if against:
            return "inconclusive", f"{why} {against}"
    elif measured.missing:
        why = f"{why} {_lost(measured, '')}"
    if not bar.exact and (there == there[0]).all():
        why = f"{why} All {len(there)} seeds gave the same number."
    return verdict, why


def _compare(bar: Bar, found: Estimate) -> tuple[Verdict, str]:
    """The verdict of an interval alone."""
    low, high = found.low, found.high
    assert low is not None
    assert high is not None
    start, end = bar.ends
    if bar.direction == "within":
        if _reaches(low, start) and _reaches(end, high):
            return "replicated", "The interval lies inside the band."
        if not _reaches(high, start) or not _reaches(end, low):
            return "not replicated", "The interval lies outside the band."
        return "inconclusive", ACROSS_EDGE
    if bar.direction == "less":
        low, high, start, end = -high, -low, -start, -end
    effect = not _reaches(start, low)
    if _reaches(low, end):
        return "replicated", "The interval clears the bar."
    if not _reaches(high, end):
        if effect:
            return "weaker than claimed", SOME_EFFECT
        return "not replicated", "The interval excludes the bar."
    if effect:
        return "inconclusive", SOME_ENTRIES if bar.exact else PERHAPS_ENOUGH
    return "inconclusive", EITHER_WAY


def _reaches(x: float, mark: float) -> bool:
    """Whether x is as large as a mark; what rounding parts from it is."""
    return x > mark or math.isclose(x, mark, rel_tol=ROUNDING, abs_tol=AT_ZERO)


def _shows(bar: Bar, control: Estimate) -> Shown:
    """What a control's interval shows of the claim."""
    if control.low is None:
        return "undecided"
    verdict, why = _compare(bar, control)
    if verdict == "replicated":
        return "shows it"
    if why in (SOME_EFFECT, PERHAPS_ENOUGH, SOME_ENTRIES):
        return "shows some of it"
    return "does not show it" if verdict == "not replicated" else "undecided"


def _against(bar: Bar, apart: Estimate) -> str:
    """What a difference from the control says against a claim; empty if nothing.

    Exact numbers leave nothing to chance: there, some entries may be alike.
    """
    low, high = apart.low, apart.high
    if low is None or high is None:
        return LIKE_CONTROL
    above, below = low > 0, high < 0
    if bar.exact:
        above, below = high > 0 and low >= 0, low < 0 and high <= 0
    if not (above or below):
        return LIKE_CONTROL
    better = {"greater": above, "less": below, "within": True}[bar.direction]
    return "" if better else CONTROL_BETTER


def _share(bar: Bar, measured: Estimate) -> float | None:
    """The effect reached, of that asked for; None of a band or what is infinite."""
    if bar.direction == "within" or measured.middle is None:
        return None
    start, end = bar.ends
    share = (measured.middle - start) / (end - start)
    return share if math.isfinite(share) else None


def _p_bar(bar: Bar, z: Values) -> float | None:
    """One-sided p against the bar; against both edges of a band, the larger one."""
    there = z[~np.isnan(z)]
    if bar.exact or len(there) < FEWEST_SEEDS:
        return None
    if not np.isfinite(there).all() or alike(there):
        return None

    def p(edge: float, side: str) -> float:
        test = scipy.stats.ttest_1samp(there, edge, alternative=side)
        return float(test.pvalue)

    start, end = bar.ends
    if bar.direction == "within":
        return max(p(start, "greater"), p(end, "less"))
    return p(end, bar.direction)


def _lost(found: Estimate, whose: str) -> str:
    """How many seeds gave no number; empty if all did."""
    if not found.missing:
        return ""
    return f"{found.missing} of {found.n + found.missing} seeds{whose} gave no number."
