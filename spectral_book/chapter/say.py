"""Sentences with the numbers of a run: claims by their ids, other numbers by name."""

from collections.abc import Mapping
from string import Formatter
from typing import Any

import numpy as np

from spectral_book.claims.tables import interval, number

Row = Mapping[str, Any]


class ShownClaim:
    """A claim of this run in a sentence: ``{id}``, ``{id:verdict}``, ``{id:interval}``.

    ``{id}`` is the estimate with the verdict behind it, ``{id:control}`` the control's
    estimate; any other form is that of a number (`ShownNumber`).
    """

    def __init__(self, row: Row) -> None:
        self.row = row

    def __format__(self, form: str) -> str:
        if form == "verdict":
            return str(self.row["verdict"])
        if form == "interval":
            return interval(self.row)
        if form == "control":
            return number(self.row["control"]["estimate"])
        shown = format(ShownNumber(self.row["estimate"]), form)
        return shown if form else f"{shown} ({self.row['verdict']})"


class ShownNumber:
    """A number as the book writes it: three digits, a true minus sign, "41 %".

    Forms are those of `format`; ``%`` and ``.0%`` write a percentage with a space.
    """

    def __init__(self, value: float | None) -> None:
        self.value = value

    def __format__(self, form: str) -> str:
        if self.value is None or not np.isfinite(self.value):
            return "–"
        if not form:
            return number(self.value)
        if form == "%":
            return f"{number(100.0 * self.value)} %"
        if form.endswith("%"):
            return f"{100 * self.value:{form[:-1]}f} %".replace("-", "−")
        return f"{self.value:{form}}".replace("-", "−")


class ShownList:
    """Numbers or words as "a, b and c", each in the form that the field names."""

    def __init__(self, values: list[Any]) -> None:
        self.values = values

    def __format__(self, form: str) -> str:
        *most, last = [format(_shown(value), form) for value in self.values]
        return f"{', '.join(most)} and {last}" if most else last


def _shown(value: Any) -> Any:
    """Return what formats a value as the book writes it; texts stay as they are."""
    if value is None:
        return ShownNumber(None)
    if isinstance(value, str | ShownClaim | ShownNumber | ShownList):
        return value
    values = np.asarray(value)
    if values.ndim == 0:
        plain = values.item()
        return plain if isinstance(plain, str) else ShownNumber(plain)
    return ShownList(list(values))


def fill_sentence(
    text: str, rows: Mapping[str, Row], numbers: Mapping[str, Any]
) -> str:
    """Fill the braces of a text with numbers by name and claims by id.

    Raises
    ------
    ValueError
        If a brace names neither, a number has a claim's name, or one is never used.
    """
    named = {name for _, name, _, _ in Formatter().parse(text) if name is not None}
    known = {**rows, **numbers}
    for name in sorted(named - known.keys()):
        raise ValueError(
            f"the sentence names {{{name}}}, which is no claim judged so far and no "
            f"number given to it ({', '.join(numbers) or 'none'})."
        )
    for name in sorted(numbers.keys() - named):
        raise ValueError(f"the sentence never uses the number {name!r} given to it.")
    for name in sorted(numbers.keys() & rows.keys()):
        raise ValueError(f"{name!r} is a claim; give the number another name.")
    shown = {name: ShownClaim(row) for name, row in rows.items()}
    shown |= {name: _shown(value) for name, value in numbers.items()}
    return text.format_map(shown)
