"""How far a claim's numbers move from one processor to another, measured by builds.

Two processors, or two sets of instructions of one, round in other ways; a training that
amplifies this ends elsewhere. A verdict is left open where its interval ends so near an
edge that such a move would change it. Of all pairs of builds that were compared, the
one that moved a claim most counts.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from spectral_book.claims.intervals import (
    AT_ZERO,
    ROUNDING,
    Estimate,
    difference,
    interval,
)
from spectral_book.claims.numbers import Row
from spectral_book.claims.rows import numbers_of, rejudged
from spectral_book.claims.scales import Scale

LOST = 1e9
"""The move of an end that only one of two builds has."""

NOTHING: Mapping[str, Any] = {
    "made": [],
    "decides": [],
    "spreads": {},
    "expected": {},
}
"""What a file of spreads holds where nothing was measured."""

Spread = tuple[float, float]
"""How far the measurement's ends move, and those of its difference from the control."""


def spreads(one: Iterable[Row], other: Iterable[Row]) -> dict[str, Spread]:
    """Return how far the ends of each claim's intervals lie apart in two builds.

    On the scale that the claim is judged on; claims alike in both are left out.
    """
    rows = {row["id"]: row for row in other}
    found = {}
    for row in one:
        if not row["values"] or not rows.get(row["id"], {}).get("values"):
            continue
        here, there = _intervals(row), _intervals(rows[row["id"]])
        own, beside = (_move(a, b) for a, b in zip(here, there, strict=True))
        if own or beside:
            found[row["id"]] = own, beside
    return found


def read_spreads(results: Path, profile: str) -> dict[str, Spread]:
    """Return how far to reckon with for each claim of a profile, by its id.

    It is twice what was measured, as two processors are few; nothing where none was.
    Where such a move would change the verdict of either build, it has no bound: seen
    from the other one alone, the edge could be out of reach.
    """
    held = read_measured(results, profile)
    reckoned = {name: _twice(spread) for name, spread in held["spreads"].items()}
    return reckoned | dict.fromkeys(held["decides"], (LOST, LOST))


def read_reaches(results: Path, profile: str) -> dict[str, float]:
    """Return how far an end of a claim's interval may lie elsewhere, by the claim's id.

    It is what parts two builds, and twice that beyond either of them. Ends that
    never moved, or that only one of the builds has, are left out.
    """
    spreads = read_measured(results, profile)["spreads"]
    return {name: 3 * own for name, (own, _) in spreads.items() if 0 < own < LOST}


def read_expected(results: Path, profile: str) -> dict[str, float]:
    """Return the estimate that a build of a profile had of each claim, by its id."""
    found: dict[str, float] = read_measured(results, profile)["expected"]
    return found


def spreads_file(
    one: Mapping[str, Any],
    other: Mapping[str, Any],
    names: tuple[str, str],
    before: Mapping[str, Any] = NOTHING,
) -> str:
    """Return the file of spreads between two ledgers as JSON.

    With the estimates of the first one, which checks of other builds start from. A
    larger move that was measured ``before`` stays, and what rounding decided then.
    """
    both = {r["id"] for r in one["claims"]} & {r["id"] for r in other["claims"]}
    mine, its = ([r for r in x["claims"] if r["id"] in both] for x in (one, other))
    found = spreads(mine, its)
    for name, (own, beside) in before["spreads"].items():
        moved = found.get(name, (0.0, 0.0))
        found[name] = max(own, moved[0]), max(beside, moved[1])
    rounded = {k: [float(f"{x:.3g}") for x in v] for k, v in sorted(found.items())}
    made = {
        "between": names,
        "commit": one["commit"],
        "date": one["date"],
        "chapters": sorted({row["chapter"] for row in mine}),
    }
    content = {
        "made": [*before["made"], made],
        "decides": sorted({*before["decides"], *decided((*mine, *its), found)}),
        "spreads": rounded,
        "expected": before["expected"] | estimates(mine),
    }
    return json.dumps(content, indent=1) + "\n"


def read_measured(results: Path, profile: str) -> Mapping[str, Any]:
    """Return what two builds of a profile showed; empty parts where none was made."""
    path = results / "rounding" / f"{profile}.json"
    if not path.is_file():
        return NOTHING
    held: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return held


def estimates(rows: Iterable[Row]) -> dict[str, float]:
    """Return the finite estimates of rows, by id, to three digits."""
    found = {row["id"]: row["estimate"] for row in rows}
    return {k: float(f"{x:.3g}") for k, x in found.items() if isinstance(x, float)}


def decided(rows: Iterable[Row], found: Mapping[str, Spread]) -> list[str]:
    """Return the claims of which twice the measured move changes a row's verdict."""
    moved = ({**row, "rounding": _twice(found.get(row["id"], (0, 0)))} for row in rows)
    names = [row["id"] for row in moved if rejudged(row)["rounding_decides"]]
    return sorted(set(names))


def _twice(spread: Sequence[float]) -> Spread:
    return 2 * spread[0], 2 * spread[1]


def _intervals(row: Row) -> tuple[Estimate, Estimate]:
    """A row's two intervals on its scale."""
    scale, exact = Scale.from_dict(row["scale"]), row["interval"] == "range"
    mine = scale.judged(numbers_of(row["values"]))
    other = scale.judged(numbers_of(row["control"]["values"]))
    return interval(mine, exact), difference(mine, other, exact)


def _move(one: Estimate, other: Estimate) -> float:
    """The larger move of two ends; a very large one where only one has a number.

    What no training amplified is no move: it could turn nothing but an end that lies on
    an edge, such as the 0 of a difference from the control, and there it would.
    """
    moves = [0.0]
    for a, b in ((one.low, other.low), (one.high, other.high)):
        if a is None or b is None:
            moves.append(0.0 if a is b else LOST)
        elif not math.isclose(a, b, rel_tol=ROUNDING, abs_tol=AT_ZERO):
            moves.append(min(abs(a - b), LOST))
    return max(moves)
