"""The rows of the ledger: what a claims file says, joined with what was measured.

A row holds all that its verdict follows from, so that anybody can judge it again:
`rejudged` does, and builds do so with every recorded row.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from spectral_book.claims.claims_file import Claim, ClaimsFile
from spectral_book.claims.intervals import Estimate, holm
from spectral_book.claims.numbers import Row, number, required
from spectral_book.claims.scales import LOGARITHMS, Scale, scale_of
from spectral_book.claims.sentences import fill_from_row
from spectral_book.claims.statistics import STATISTICS, Values
from spectral_book.claims.verdicts import Bar, Verdict, judge
from spectral_book.claims.words import has_held, word

Inputs = Mapping[str, ArrayLike]

_JACKKNIFED = (
    "spread_ratio",
    "share_within",
    "correlation_over_runs",
    "rank_correlation_between_runs",
)
"""Statistics whose entries are a jackknife's pseudo-values, not one number a seed."""

_ENDS = ("estimate", "ci_low", "ci_high", "n", "missing")


def values_of(statistic: str, inputs: Inputs) -> Values:
    """A statistic's value for each seed, as readers see it, [R]."""
    with np.errstate(all="ignore"):
        raw = np.atleast_1d(STATISTICS[statistic](**inputs))
        return np.exp(raw) if statistic in LOGARITHMS else raw


def judged_row(
    claim: Claim,
    file: ClaimsFile,
    inputs: Inputs,
    control: Inputs,
    precondition: ArrayLike | None = None,
    rounding: tuple[float, float] | None = None,
    reach: float | None = None,
    **run: Any,
) -> dict[str, Any]:
    """A claim's row, judged from its statistic's inputs and its control's.

    Parameters
    ----------
    precondition
        The quantity of the claim's precondition, one number a seed: their mean counts.
    rounding
        How far the claim's numbers are known to move between processors.
    reach
        How far the ends of its interval may lie from here on another processor.
    run
        What else the row holds of the run it comes from.

    Raises
    ------
    ValueError
        If the claim has a precondition and nothing is given for it, or the other way.
    """
    if (claim.precondition is None) != (precondition is None):
        has = "has no" if claim.precondition is None else "needs its"
        raise ValueError(f"Claim {claim.id!r} {has} precondition's numbers.")
    held = None
    if claim.precondition is not None:
        measured = _plain(float(np.mean(np.asarray(precondition, float))))
        held = {**claim.precondition.model_dump(), "measured": measured}
    row = _row(
        claim,
        file,
        scale_of(claim.statistic, inputs, claim.bounds),
        values_of(claim.statistic, inputs),
        values_of(claim.statistic, control),
        precondition=held,
        rounding=None if rounding is None else list(rounding),
        **run,
    )
    sentence = claim.otherwise.get(row["rule"], "")
    said = {"otherwise": fill_from_row(sentence, row)}
    return {**row, **said, "elsewhere": _elsewhere(row, reach)}


def row_without_numbers(
    claim: Claim, file: ClaimsFile, verdict: Verdict, why: str, **run: Any
) -> dict[str, Any]:
    """A claim's row where its experiment did not run, or gave nothing to judge."""
    row = _row(claim, file, Scale(), (), (), precondition=None, rounding=None, **run)
    said = {"rule": verdict, "verdict": word(verdict, claim.origin), "why": why}
    none = {"ci_method": "", "difference": None, "elsewhere": None, "otherwise": ""}
    return {**row, **none, **said}


def _row(
    claim: Claim,
    file: ClaimsFile,
    scale: Scale,
    values: Iterable[float],
    control: Iterable[float],
    **more: Any,
) -> dict[str, Any]:
    """What a claims file says, with numbers and what they were judged to be."""
    said = claim.model_dump(
        mode="json", exclude={"bounds", "precondition", "control", "otherwise"}
    )
    row = {
        **{"chapter": file.chapter, "paper": file.paper, "frozen": file.frozen},
        **said,
        "scale": scale.to_dict(),
        "values": [_plain(x) for x in values],
        "control": {"name": claim.control, "values": [_plain(x) for x in control]},
        **more,
    }
    return row | _findings(row, bar_of(row))


def bar_of(row: Row) -> Bar:
    """What a row's claim asks for."""
    start, end = row["band"] or (row["no_effect"], row["threshold"])
    exact = row["interval"] == "range"
    return Bar(row["direction"], (start, end), exact, tuple(row["rounding"] or (0, 0)))


def rejudged(row: Row, bar: Bar | None = None) -> Row:
    """The same row with its verdict computed anew, by its own bar or another one."""
    if not row["values"]:
        return row
    return {**row, **_findings(row, bar or bar_of(row))}


def with_holm(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Mark which rows of a chapter still clear their bar by Holm's procedure.

    ``holm`` is None for those that are not replicated, or have no p-value.
    """
    tested = [i for i, row in enumerate(rows) if row["p_bar"] is not None]
    passed = dict(zip(tested, holm([rows[i]["p_bar"] for i in tested]), strict=True))
    return [
        {**row, "holm": passed.get(i) if has_held(row) else None}
        for i, row in enumerate(rows)
    ]


def contradictions(rows: Iterable[Row]) -> list[str]:
    """One sentence for each row whose verdict does not follow from its values."""
    found = []
    for row in rows:
        if not row["values"] and row["rule"] not in ("inconclusive", "not comparable"):
            found.append(f"{row['id']}: it has no values, and is {row['verdict']}.")
        here, again = _flat(row), _flat(rejudged(row))
        for key, value in again.items():
            if not _same(value, here[key]):
                found.append(
                    f"{row['id']}: its {key} is {here[key]!r}, and {value!r} follows "
                    "from its values."
                )
    return found


def _flat(row: Row) -> dict[str, Any]:
    """What follows from a row's values, by one name each."""
    keys = ("verdict", "rule", "p_bar", "share", "rounding_decides", *_ENDS)
    parts = {"control": row["control"], "difference": row["difference"] or {}}
    inner = {
        f"{name} {key}": part[key]
        for name, part in parts.items()
        for key in (*_ENDS, "shows")
        if key in part
    }
    return {key: row[key] for key in keys} | inner


def _findings(row: Row, bar: Bar) -> dict[str, Any]:
    """What judging a row's numbers by a bar adds to it."""
    scale = Scale.from_dict(row["scale"])
    mine, other = (numbers_of(part["values"]) for part in (row, row["control"]))
    found = judge(bar, mine, other, scale, _unmet(row["precondition"]))
    method = found.measured.method
    if scale.name != "numbers" and method:
        method = f"{method} of {scale.name}"
    if row["statistic"] in _JACKKNIFED:
        method = f"{method}, jackknife"
    apart = found.difference
    return {
        **_ends(found.measured),
        "ci_method": method,
        "control": {
            **row["control"],
            **_ends(found.control),
            "shows": found.control_shows,
        },
        "difference": {**_ends(apart), "how": apart.method},
        "p_bar": found.p_bar,
        "share": found.share,
        "rounding_decides": found.rounding_decides,
        "rule": found.verdict,
        "verdict": word(found.verdict, row["origin"]),
        "why": found.why,
        "holm": None,
    }


def _elsewhere(row: Row, reach: float | None) -> list[float | str | None] | None:
    """Where an interval may end on another processor, if that decides the verdict."""
    if reach is None or row["ci_low"] is None or not row["rounding_decides"]:
        return None
    scale = Scale.from_dict(row["scale"])
    low, high = scale.judged([float(row["ci_low"]), float(row["ci_high"])])
    return [_plain(scale.shown(z)) for z in (float(low) - reach, float(high) + reach)]


def _unmet(held: Mapping[str, Any] | None) -> str:
    """Why a precondition does not hold; empty if it does, or there is none.

    A number that is not there meets nothing.
    """
    if held is None:
        return ""
    (measured,) = numbers_of([held["measured"]])
    above, below = held["above"], held["below"]
    met = measured < below if above is None else measured > above
    if met:
        return ""
    was = "no number" if math.isnan(measured) else number(float(measured))
    return f"{held['quantity']} is {was}; it has to be {required(held)}."


def _ends(found: Estimate) -> dict[str, Any]:
    return {
        "estimate": _plain(found.middle),
        "ci_low": _plain(found.low),
        "ci_high": _plain(found.high),
        "n": found.n,
        "missing": found.missing,
    }


def _plain(x: float | None) -> float | str | None:
    """A number as JSON can hold it: None if there is none, "inf" or "-inf"."""
    if x is None or math.isnan(x):
        return None
    return float(x) if math.isfinite(x) else str(float(x))


def numbers_of(held: Iterable[float | str | None]) -> Values:
    """Numbers that a row holds, as an array."""
    return np.array([math.nan if x is None else float(x) for x in held])


def _same(a: Any, b: Any) -> bool:
    """Whether two entries of a row agree but for rounding."""
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)
    return bool(a == b)
