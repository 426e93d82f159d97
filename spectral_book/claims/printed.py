"""What a paper prints for a claim, held beside what was measured; other criteria.

A replication can be judged by several criteria, and none is the right one. Each
function answers one for a row, None where the row cannot tell.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from spectral_book.claims.numbers import Row, interval, number
from spectral_book.claims.scales import Scale
from spectral_book.claims.words import has_held


@dataclass(frozen=True)
class Criterion:
    """A criterion, and of how many of a paper's claims it can tell and holds."""

    name: str
    held: int
    told: int


def agreement(row: Row) -> str:
    """Return `0.88 ± 0.02 (Table 2); inside our interval, 1.1 times our estimate`."""
    printed = row["printed"]
    spread = "" if printed["spread"] is None else f" ± {number(printed['spread'])}"
    said = f"{number(printed['value'])}{spread} ({printed['where']})"
    inside = paper_inside(row)
    if inside is None:
        return said
    place = "inside" if inside else "outside"
    return f"{said}; {place} our interval {interval(row)}"


def sign_and_significance(row: Row) -> bool | None:
    """Whether the interval excludes "no effect" on the claimed side, and no more."""
    if row["ci_low"] is None or row["band"] is not None:
        return None
    nothing = row["no_effect"]
    if row["direction"] == "greater":
        return float(row["ci_low"]) > nothing
    return float(row["ci_high"]) < nothing


def paper_inside(row: Row) -> bool | None:
    """Whether the paper's number lies inside the interval."""
    if row["printed"] is None or row["ci_low"] is None:
        return None
    return float(row["ci_low"]) <= row["printed"]["value"] <= float(row["ci_high"])


def half_the_effect(row: Row) -> bool | None:
    """Whether the estimate is half the paper's effect or more, on the claim's scale."""
    printed, nothing = row["printed"], row["no_effect"]
    if printed is None or row["estimate"] is None or nothing is None:
        return None
    scale = Scale.from_dict(row["scale"])
    ours, theirs, none = (
        float(scale.judged(float(x)))
        for x in (row["estimate"], printed["value"], nothing)
    )
    if theirs == none:
        return None
    return (ours - none) / (theirs - none) >= 0.5


_CRITERIA: Mapping[str, Callable[[Row], bool | None]] = {
    "the rule of this book: bar cleared, and told from the control": has_held,
    "sign and significance alone: “no effect” excluded": sign_and_significance,
    "the paper's number lies inside our interval": paper_inside,
    "our estimate is at least half the paper's effect": half_the_effect,
}


def papers_claims(rows: Sequence[Row]) -> list[Row]:
    """Return the papers' claims that were tested."""
    return [r for r in rows if r["origin"] == "paper" and r["rule"] != "not comparable"]


def criteria(rows: Sequence[Row]) -> list[Criterion]:
    """Return of how many of the papers' claims each criterion can tell and holds."""
    found = []
    for name, holds in _CRITERIA.items():
        answers = [holds(row) for row in papers_claims(rows)]
        told = [answer for answer in answers if answer is not None]
        found.append(Criterion(name, sum(told), len(told)))
    return found
