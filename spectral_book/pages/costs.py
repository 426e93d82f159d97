"""What things cost: measurements in a file, as the page "What it costs" shows them.

``python -m benchmarks`` measures and writes ``results/costs/<device>.json``; the
directive `costs` makes the tables from that file, so that nothing is typed.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from spectral_book.claims.numbers import NOTHING, number, scientific
from spectral_book.files import write_atomic
from spectral_book.readable import error_sentences

COLUMNS = ("What", "Ours", "Compared with", "Ratio", "Same result")
"""Titles of the cells that `Cost.cells` returns."""

QUESTIONS = (
    ("How many times faster than a plain PyTorch loop?", "peers", "plain loop"),
    ("How many times faster than Lightning?", "peers", "Lightning"),
    ("How much of the speed of bare matrix products?", "rate", "product"),
    ("How long is a build, beside its training and computing?", "book", "Whole build,"),
    ("How long is a reading of R_k, beside an epoch?", "local_spectrum", "an epoch"),
    (
        "How many times faster is a sweep than papermill in a loop?",
        "batch",
        "papermill",
    ),
)
"""What the short table asks: words, group, and how the quantity or its peer begins."""

_COUNTED = {"cores": "core", "threads": "thread", "rounds": "round"}
_PEERS = ("Lightning",)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Cost(_Strict):
    """One quantity, ours and what it is compared with.

    ``ours`` and ``other`` are medians over rounds, in ``unit``. ``ratio`` is lowest,
    median and highest over rounds of other / ours, or of ours / other if it is a
    ``share``, shown in per cent. ``gap`` is the largest relative difference of the two
    ways' results, or None where there is nothing to compare.
    """

    quantity: str
    unit: str
    ours: float
    against: str
    other: float
    ratio: tuple[float, float, float]
    share: bool = False
    gap: float | None = None
    note: str = ""

    @model_validator(mode="after")
    def _ratio_is_ordered(self) -> Self:
        low, median, high = self.ratio
        if not 0 <= low <= median <= high:
            raise ValueError("ratio must be lowest, median, highest, none below 0")
        return self

    def middle(self) -> str:
        """The median ratio, as text."""
        return self._ratios()[1]

    def _ratios(self) -> list[str]:
        scale, sign = (100, "%") if self.share else (1, "")
        return [_together(scale * r, sign) for r in self.ratio]

    def cells(self) -> tuple[str, ...]:
        """The row of a table, as texts."""
        low, middle, high = self._ratios()
        same = "identical" if self.gap == 0 else NOTHING
        if self.gap:
            same = f"to\u00a0{scientific(self.gap, 0)}"
        return (
            f"{self.quantity} ({self.note})" if self.note else self.quantity,
            _together(self.ours, self.unit),
            f"{self.against}: {_together(self.other, self.unit)}",
            middle if low == high else f"{middle} ({low} to {high})",
            same,
        )


class CostGroup(_Strict):
    """Rows that belong together, and what they were measured on.

    ``made`` holds processor, device, cores, threads, versions, rounds and commit; a
    file may hold groups that were measured apart.
    """

    title: str
    about: str
    made: dict[str, str | int]
    rows: list[Cost]

    def origin(self) -> str:
        """One sentence: where the numbers come from.

        The version of a peer is told only where a row is compared with it.
        """
        parts = []
        for name, value in self.made.items():
            if name in _COUNTED:
                parts.append(f"{value} {_COUNTED[name] if value == 1 else name}")
            elif name not in _PEERS or any(name in row.against for row in self.rows):
                parts.append(f"{name} {value}")
        return f"Measured on: {', '.join(parts)}."


class Costs(_Strict):
    """All groups of a file, by name."""

    groups: dict[str, CostGroup] = {}


def read_costs(path: Path) -> Costs:
    """Read measurements; none if there is no such file.

    Raises
    ------
    ValueError
        If the file is not what `write_group` writes; the message names the place.
    """
    if not path.is_file():
        return Costs()
    try:
        return Costs.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        problems = error_sentences(error, list(Cost.model_fields), "field")
        raise ValueError(
            f"{path} holds no measurements: {problems} Remove it and "
            f"measure again: {command(path.stem)}"
        ) from error


def write_group(path: Path, name: str, group: CostGroup) -> None:
    """Put a group into a file in place of an earlier one; the others stay.

    Raises
    ------
    ValueError
        If the file is there and holds something else.
    """
    groups = {**read_costs(path).groups, name: group}
    write_atomic(path, Costs(groups=groups).model_dump_json(indent=1) + "\n")


def command(device: str, groups: Sequence[str] = ()) -> str:
    """The command that measures."""
    only = "".join(f" --only {name}" for name in groups)
    return (
        f"python -m benchmarks --device {device} --json results/costs/{device}.json"
        f"{only}"
    )


def filled(group: CostGroup) -> list[int]:
    """Return the places of the columns that some row of a group fills."""
    rows = [row.cells() for row in group.rows]
    return [
        i for i in range(len(COLUMNS)) if any(cells[i] != NOTHING for cells in rows)
    ]


def in_short(groups: Mapping[str, CostGroup]) -> list[tuple[str, ...]]:
    """The questions that groups answer: words, lowest and highest ratio, and of what.

    A question with one row has no highest.
    """
    lines: list[tuple[str, ...]] = []
    for words, group, start in QUESTIONS:
        rows = groups[group].rows if group in groups else []
        found = [
            row
            for row in rows
            if row.quantity.startswith(start) or row.against.startswith(start)
        ]
        if found:
            ends = sorted(found, key=lambda row: row.ratio[1])[
                :: max(1, len(found) - 1)
            ]
            told = [f"{row.middle()}, {row.quantity}" for row in ends]
            lines.append((words, told[0], told[1] if told[1:] else NOTHING))
    return lines


def _together(value: float, unit: str) -> str:
    """A number and its unit on one line."""
    return "\u00a0".join([number(value), unit]) if unit else number(value)
