"""From a claim's numbers to its verdict: estimate, interval, control, threshold."""

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np
import scipy.stats
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict

from spectral_book.claims.claims_file import Claim
from spectral_book.claims.statistics import SCALES, STATISTICS, Values

Verdict = Literal[
    "replicated",
    "direction only",
    "not replicated",
    "inconclusive",
    "not comparable",
]

METHODS = {"t": "95 % t interval", "range": "range of all entries"}
"""How each kind of interval is named in the ledger."""

_JACKKNIFED = (
    "spread_ratio",
    "grid_spread_ratio",
    "correlation_over_runs",
    "rank_correlation_between_runs",
)
"""Statistics whose entries are a jackknife's pseudo-values, not one number a seed."""

_SHOWN = ("direction only", "replicated")  # an effect, the weaker first

ROUNDING = 1e-12
"""Relative difference below which numbers are the same but for rounding."""

FEWEST_SEEDS = 3
"""With fewer finite values an interval says nothing, and the verdict says so."""


class Estimate(BaseModel):
    """Mean over seeds with its 95 % confidence interval, on the reader's scale."""

    model_config = ConfigDict(frozen=True)

    estimate: float | None
    ci_low: float | None
    ci_high: float | None
    ci_method: str
    p_value: float | None
    n: int
    values: tuple[float | None, ...]


def estimate(claim: Claim, inputs: Mapping[str, ArrayLike]) -> Estimate:
    """Compute a claim's statistic per seed, and its mean with a confidence interval.

    Values that are not finite (a diverged seed) are kept in ``values`` as None and left
    out of the mean; ``n`` counts the finite ones. The p-value is of the one-sided test
    against ``no_effect``.
    """
    with np.errstate(all="ignore"):
        raw = np.atleast_1d(STATISTICS[claim.statistic](**inputs))
    log = SCALES.get(claim.statistic) == "log"
    finite = raw[np.isfinite(raw)]
    low = high = middle = p_value = None
    if len(finite):
        middle = float(finite.mean())
    if len(finite) >= FEWEST_SEEDS:
        low, high = _interval(finite, claim.interval)
        p_value = _p_value(finite, claim, log)

    def back(x: float | None) -> float | None:
        return float(np.exp(x)) if log and x is not None else x

    scale = " of logarithms" if log else ""
    entries = ", jackknife" if claim.statistic in _JACKKNIFED else ""
    method = METHODS[claim.interval]
    return Estimate(
        estimate=back(middle),
        ci_low=back(low),
        ci_high=back(high),
        ci_method=f"{method}{scale}{entries}",
        p_value=p_value,
        n=len(finite),
        values=tuple(back(float(v)) if np.isfinite(v) else None for v in raw),
    )


def _interval(finite: Values, method: str) -> tuple[float, float]:
    if _alike(finite):  # a t interval divides by the spread
        middle = float(finite.mean())
        return middle, middle
    if method == "range":
        return float(finite.min()), float(finite.max())
    low, high = scipy.stats.ttest_1samp(finite, 0.0).confidence_interval(0.95)
    return float(low), float(high)


def _alike(finite: Values) -> bool:
    """Whether values differ by no more than rounding."""
    return bool(np.ptp(finite) <= ROUNDING * np.abs(finite).max())


def _p_value(finite: Values, claim: Claim, log: bool) -> float | None:
    if claim.no_effect is None or claim.interval == "range" or _alike(finite):
        return None
    popmean = np.log(claim.no_effect) if log else claim.no_effect
    test = scipy.stats.ttest_1samp(finite, popmean, alternative=claim.direction)
    return float(test.pvalue)


def judge(
    claim: Claim, measured: Estimate, control: Estimate
) -> tuple[Verdict, Verdict, str]:
    """Verdict of a claim, verdict of its control, and the reason in one sentence.

    A claim is only as good as its control: where the control does as well as the claim,
    by its verdict, the statistic does not isolate the effect and the verdict is
    ``inconclusive``.
    """
    verdict, why = _compare(claim, measured)
    control_verdict, _ = _compare(claim, control)
    if control.ci_low is None:
        if measured.ci_low is not None:
            why = "The control gave too few numbers."
        return "inconclusive", control_verdict, why
    if verdict in _SHOWN and control_verdict in _SHOWN[_SHOWN.index(verdict) :]:
        why = "The control shows the effect too."
        if control_verdict == "direction only":  # it may be far weaker
            why = (
                "The interval does not clear the threshold, and the control, too, "
                "excludes no effect."
            )
        return "inconclusive", control_verdict, why
    return verdict, control_verdict, why


def _compare(claim: Claim, measured: Estimate) -> tuple[Verdict, str]:
    low, high = measured.ci_low, measured.ci_high
    if low is None or high is None:
        return "inconclusive", (
            f"{measured.n} finite values; at least {FEWEST_SEEDS} are needed."
        )
    if claim.band is not None:
        if claim.band[0] <= low and high <= claim.band[1]:
            return "replicated", "The interval lies inside the band."
        if high < claim.band[0] or low > claim.band[1]:
            return "not replicated", "The interval lies outside the band."
        return "inconclusive", "The interval crosses the edge of the band."
    assert claim.threshold is not None
    assert claim.no_effect is not None
    threshold, nothing = claim.threshold, claim.no_effect
    if claim.direction == "less":  # mirror, so that more is always better below
        low, high, threshold, nothing = -high, -low, -threshold, -nothing
    if low >= threshold:
        return "replicated", "The interval clears the threshold."
    if low > nothing and not math.isclose(low, nothing, rel_tol=ROUNDING):
        return (
            "direction only",
            "Right sign; the interval does not clear the threshold.",
        )
    if high < threshold:
        return "not replicated", "The interval excludes the threshold."
    return "inconclusive", "The interval holds both no effect and the threshold."
