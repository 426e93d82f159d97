"""How far a claim's numbers move from one processor to another, measured by two builds.

Two processors, or two sets of instructions of one, round in other ways; a training that
amplifies this ends elsewhere. A verdict is left open where its interval ends so near an
edge that such a move would change it.
"""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from spectral_book.claims.intervals import Estimate, difference, interval
from spectral_book.claims.numbers import Row
from spectral_book.claims.rows import numbers_of
from spectral_book.claims.scales import Scale


def spreads(one: Iterable[Row], other: Iterable[Row]) -> dict[str, float]:
    """Return how far the ends of each claim's intervals lie apart in two builds.

    It is the largest move of the measurement's and the difference's ends, on the scale
    that the claim is judged on; claims that are alike in both are left out.
    """
    rows = {row["id"]: row for row in other}
    found = {}
    for row in one:
        if not row["values"] or not rows.get(row["id"], {}).get("values"):
            continue
        here, there = _ends(row), _ends(rows[row["id"]])
        moves = [
            abs(a - b)
            for a, b in zip(here, there, strict=True)
            if a != b and not (math.isnan(a) and math.isnan(b))
        ]
        if any(not math.isfinite(move) for move in moves):
            moves = [float("1e300")]  # no number on one of the two
        if moves:
            found[row["id"]] = max(moves)
    return found


def read_spreads(results: Path, profile: str) -> dict[str, float]:
    """Return how far to reckon with for each claim of a profile, by its id.

    It is twice what was measured, as two processors are few; nothing where none was.
    """
    path = results / "rounding" / f"{profile}.json"
    if not path.is_file():
        return {}
    measured = json.loads(path.read_text("utf-8"))["spreads"]
    return {name: 2 * float(spread) for name, spread in measured.items()}


def spreads_file(
    one: Mapping[str, Any], other: Mapping[str, Any], names: tuple[str, str]
) -> str:
    """Return the file of spreads between two ledgers, as JSON."""
    made = {
        "between": list(names),
        "commit": one["commit"],
        "date": one["date"],
    }
    found = spreads(one["claims"], other["claims"])
    return json.dumps({"made": made, "spreads": found}, indent=1) + "\n"


def _ends(row: Row) -> list[float]:
    """The ends of a row's two intervals on its scale."""
    scale, exact = Scale.from_dict(row["scale"]), row["interval"] == "range"
    mine = scale.judged(numbers_of(row["values"]))
    other = scale.judged(numbers_of(row["control"]["values"]))
    found: list[Estimate] = [interval(mine, exact), difference(mine, other, exact)]
    ends = [end for one in found for end in (one.low, one.high)]
    return [math.nan if end is None else end for end in ends]
