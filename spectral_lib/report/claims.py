"""Claims as data, and the verdict that a claim's numbers lead to."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import scipy.stats
import yaml
from numpy.typing import ArrayLike
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from spectral_lib.report.sentences import check_sentence, fill
from spectral_lib.report.statistics import SCALES, STATISTICS, Values

Profile = Literal["quick", "gpu", "paper"]

Verdict = Literal[
    "replicated",
    "direction only",
    "not replicated",
    "inconclusive",
    "not comparable",
    "paper inconsistent",
]
METHODS = {
    "t": "95 % t interval",
    "bootstrap": "95 % BCa bootstrap",
    "range": "range of all entries",
}
"""How each kind of interval is named in the ledger."""

Failed = Literal[
    "not replicated", "direction only", "inconclusive", "paper inconsistent"
]
"""Verdicts for which a claim may say what was seen instead."""

_SHORT = ("not replicated", "direction only")
_SHOWN = ("direction only", "replicated")  # an effect, the weaker first

FEWEST_SEEDS = 3
"""With fewer finite values an interval says nothing, and the verdict says so."""


class Claim(BaseModel):
    """One claim, its statistic and what counts as replicating it.

    ``direction`` is ``greater`` or ``less`` with a ``threshold`` (the smallest effect
    that counts) and the value of ``no_effect``; or ``within`` with a ``band``, the
    claim that there is *no* effect larger than the band. ``interval`` is ``t`` or
    ``bootstrap`` over seeds; or ``range`` for exact numbers, where the values are all
    entries of a table and not a sample: then every entry has to clear the threshold.
    ``rounding_decides`` marks numbers that depend on how the machine rounds, so much
    that another processor reached another verdict. ``between`` names two places of the
    paper whose agreement the claim tests; the ``control`` is then a known agreement,
    which has to be found before the paper is said to contradict itself.
    ``otherwise`` is what readers are told in place of the statement if the claim is not
    replicated: a sentence that is true whether nothing or too little of it was seen,
    or one for each verdict. In braces stand numbers of the run, by the names of
    :data:`spectral_lib.report.sentences.FIELDS`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[a-z0-9-]+$")
    source: str
    origin: Literal["paper", "book"] = "paper"
    statement: str
    statistic: str
    quantity: str
    direction: Literal["greater", "less", "within"]
    threshold: float | None = None
    no_effect: float | None = None
    band: tuple[float, float] | None = None
    interval: Literal["t", "bootstrap", "range"] = "t"
    rounding_decides: bool = False
    control: str
    between: tuple[str, str] | None = None
    otherwise: dict[Failed, str] = {}
    differs: dict[Profile, str]

    @field_validator("otherwise", mode="before")
    @classmethod
    def _by_verdict(cls, given: Any) -> Any:
        if isinstance(given, str):
            return dict.fromkeys((*_SHORT, "paper inconsistent"), given)
        return given

    @field_validator("otherwise")
    @classmethod
    def _filled_in(cls, sentences: dict[Failed, str]) -> dict[Failed, str]:
        for sentence in sentences.values():
            check_sentence(sentence)
        return sentences

    @field_validator("statistic")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in STATISTICS:
            close = difflib.get_close_matches(name, STATISTICS, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise ValueError(
                f"statistic {name!r} is unknown; {hint}known are "
                f"{', '.join(STATISTICS)}."
            )
        return name

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.direction == "within":
            if self.band is None or self.band[0] >= self.band[1]:
                raise ValueError("direction 'within' needs a band [low, high].")
            if self.threshold is not None or self.no_effect is not None:
                raise ValueError("direction 'within' takes a band and nothing else.")
        elif self.band is not None:
            raise ValueError(f"direction {self.direction!r} takes no band.")
        elif self.threshold is None or self.no_effect is None:
            raise ValueError(
                f"direction {self.direction!r} needs threshold and no_effect."
            )
        elif (self.threshold < self.no_effect) == (self.direction == "greater"):
            raise ValueError("the threshold lies on the wrong side of no_effect.")
        for sentence in self.otherwise.values():
            kind = "band_" if self.band is None else "threshold"
            if f"{{{kind}" in sentence:
                raise ValueError(
                    f"otherwise names {{{kind}...}}, which a claim of direction "
                    f"{self.direction!r} has not."
                )
        return self

    def resolution(self) -> float:
        """Below this an estimate is as good as zero beside what the claim asks."""
        if self.band is not None:
            return 0.05 * (self.band[1] - self.band[0])
        assert self.threshold is not None
        assert self.no_effect is not None
        return 0.05 * abs(self.threshold - self.no_effect)

    def bar(self) -> str:
        """What the interval must clear, for readers."""
        if self.band is not None:
            return f"within [{self.band[0]:g}, {self.band[1]:g}]"
        sign = "≥" if self.direction == "greater" else "≤"
        return f"{sign} {self.threshold:g} (no effect {self.no_effect:g})"


class ClaimsFile(BaseModel):
    """All claims of a chapter, frozen before the run.

    ``question`` is what the chapter asks, in one sentence for the front page, and
    ``citation`` the paper's key in the bibliography.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    chapter: str
    paper: str
    question: str = ""
    citation: str = ""
    frozen: str
    claims: tuple[Claim, ...]

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        ids = [claim.id for claim in self.claims]
        if len(set(ids)) < len(ids):
            raise ValueError("two claims share an id.")
        return self


def load_claims(path: Path | str) -> ClaimsFile:
    """Read a claims file.

    Raises
    ------
    ValueError
        If the file is not there or not as :class:`Claim` describes, naming it.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"There is no claims file {path}.")
    raw = yaml.safe_load(path.read_text("utf-8"))
    try:
        return ClaimsFile.model_validate(raw)
    except ValidationError as error:
        problems = "; ".join(_problem(raw, e) for e in error.errors())
        raise ValueError(f"The claims file {path} is not valid: {problems}") from None


def _problem(raw: Any, error: ErrorDetails) -> str:
    """One of pydantic's errors, with the claim's id in place of its number."""
    where = list(error["loc"])
    match where:
        case ["claims", int(i), *rest]:
            claim = raw["claims"][i]
            name = claim.get("id", i) if isinstance(claim, dict) else i
            where = [f"claim {name!r}", *rest]
    return f"{', '.join(map(str, where))}: {error['msg'].removeprefix('Value error, ')}"


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
    method = METHODS[claim.interval]
    return Estimate(
        estimate=back(middle),
        ci_low=back(low),
        ci_high=back(high),
        ci_method=f"{method}{scale}",
        p_value=p_value,
        n=len(finite),
        values=tuple(back(float(v)) if np.isfinite(v) else None for v in raw),
    )


def _interval(finite: Values, method: str) -> tuple[float, float]:
    if _alike(finite):  # both methods divide by the spread
        return float(finite[0]), float(finite[0])
    if method == "range":
        return float(finite.min()), float(finite.max())
    if method == "bootstrap":
        result = scipy.stats.bootstrap(
            (finite,), np.mean, rng=np.random.default_rng(0), method="BCa"
        ).confidence_interval
    else:
        result = scipy.stats.ttest_1samp(finite, 0.0).confidence_interval(0.95)
    return float(result[0]), float(result[1])


def _alike(finite: Values) -> bool:
    """Whether values differ by no more than rounding."""
    return bool(np.ptp(finite) <= 1e-12 * np.abs(finite).max())


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
    ``inconclusive``. Where a claim compares two places of the paper, the control is a
    known agreement instead: if the statistic finds that one and excludes the other, it
    is the paper that is at odds with itself.
    """
    verdict, why = _compare(claim, measured)
    control_verdict, _ = _compare(claim, control)
    if control.ci_low is None:
        return "inconclusive", control_verdict, "The control gave too few numbers."
    if claim.between:
        if control_verdict != "replicated":
            why = "The control, a known agreement, was not found to agree."
            return "inconclusive", control_verdict, why
        if verdict == "not replicated":
            one, other = claim.between
            why = f"{one} and {other} contradict each other. {why}"
            return "paper inconsistent", control_verdict, why
    elif verdict in _SHOWN and control_verdict in _SHOWN[_SHOWN.index(verdict) :]:
        return "inconclusive", control_verdict, "The control shows the effect too."
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
    if low > nothing:
        return (
            "direction only",
            "Right sign; the interval does not clear the threshold.",
        )
    if high < threshold:
        return "not replicated", "The interval excludes the threshold."
    return "inconclusive", "The interval holds both no effect and the threshold."


def entry(claim: Claim, file: ClaimsFile, **measured: Any) -> dict[str, Any]:
    """A ledger row: what the claims file says, joined with what was measured."""
    sentence = claim.otherwise.get(measured["verdict"], "")
    return {
        "id": claim.id,
        "chapter": file.chapter,
        "paper": file.paper,
        "source": claim.source,
        "origin": claim.origin,
        "statement": claim.statement,
        "statistic": claim.statistic,
        "quantity": claim.quantity,
        "threshold": claim.bar(),
        "interval": claim.interval,
        "resolution": claim.resolution(),
        "frozen": file.frozen,
        "rounding_decides": claim.rounding_decides,
        "between": list(claim.between) if claim.between else None,
        "otherwise": fill(sentence, measured, claim.threshold, claim.band),
        **measured,
    }
