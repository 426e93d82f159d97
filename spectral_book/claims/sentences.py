"""Sentences with the numbers of a run, in braces that name claims and numbers.

A claim's row is named by its id: ``{id}`` gives the estimate with the verdict behind
it, ``{id:verdict}``, ``{id:interval}`` and ``{id:control}`` (the control's estimate)
one part. All else is a number by its name. Any other form is that of
`spectral_book.claims.numbers.number`; a list becomes "a, b and c".
"""

from collections.abc import Mapping, Sequence
from string import Formatter
from typing import Any

import numpy as np

from spectral_book.claims.numbers import Row, interval, number
from spectral_book.readable import without_html

FIELDS = (
    "estimate",
    "low",
    "high",
    "n",
    "threshold",
    "band_low",
    "band_high",
    "control",
    "control_low",
    "control_high",
)
"""What a claim's sentence may name; ``{low:%}`` writes a number as a percentage."""


class Field:
    """A claim's row, a number, a list of numbers or a word, to be named in a text."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __format__(self, form: str) -> str:
        if isinstance(self.value, str):
            return without_html(format(self.value, form))
        if isinstance(self.value, Mapping):
            return _claim(self.value, form)
        if self.value is None:
            return number(None)
        values = np.asarray(self.value)
        if values.ndim == 0:
            return number(values.item(), form)
        return listing([format(Field(value), form) for value in values])


def listing(words: Sequence[str], joint: str = "and") -> str:
    """Join words as "a, b and c"."""
    *most, last = words
    return f"{', '.join(most)} {joint} {last}" if most else last


def fill_sentence(
    text: str, rows: Mapping[str, Row], numbers: Mapping[str, Any]
) -> str:
    """Fill the braces of a text with numbers by name and claims by id.

    Raises
    ------
    ValueError
        If a brace names neither, a number has a claim's name, or one is never used.
    """
    named = _names(text)
    for name in sorted(named - rows.keys() - numbers.keys()):
        raise ValueError(
            f"the sentence names {{{name}}}, which is no claim judged so far and no "
            f"number given to it ({', '.join(numbers) or 'none'})."
        )
    for name in sorted(numbers.keys() - named):
        raise ValueError(f"the sentence never uses the number {name!r} given to it.")
    for name in sorted(numbers.keys() & rows.keys()):
        raise ValueError(f"{name!r} is a claim; give the number another name.")
    return _fill(text, {**rows, **numbers})


def check_sentence(text: str) -> None:
    """Check that a claim's sentence names fields of `FIELDS` alone.

    Raises
    ------
    ValueError
        If it names another field, formats one otherwise, or has unmatched braces.
    """
    for _, name, form, conversion in Formatter().parse(text):
        if name is None:
            continue
        if name not in FIELDS:
            raise ValueError(
                f"the sentence names {{{name}}}; known are {', '.join(FIELDS)}."
            )
        if form not in ("", "%") or conversion:
            raise ValueError(
                f"the sentence formats {{{name}}} by {form or conversion!r}; only "
                f"{{{name}}} and {{{name}:%}} are known."
            )


def fill_from_row(text: str, row: Row) -> str:
    """Fill a claim's sentence with the numbers of its ledger row.

    The result is empty where the sentence names a number that the run did not give.
    """
    control = row["control"]
    edges = row["band"] or (None, None)
    numbers = {
        "estimate": row["estimate"],
        "low": row["ci_low"],
        "high": row["ci_high"],
        "n": row["n"],
        "threshold": row["threshold"],
        "band_low": edges[0],
        "band_high": edges[1],
        "control": control["estimate"],
        "control_low": control["ci_low"],
        "control_high": control["ci_high"],
    }
    if any(numbers[name] is None for name in _names(text)):
        return ""
    # What is infinite stands in rows as a word.
    infinite = {k: float(x) for k, x in numbers.items() if isinstance(x, str)}
    return _fill(text, numbers | infinite)


def _names(text: str) -> set[str]:
    """Return what the braces of a text name."""
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def _fill(text: str, fields: Mapping[str, Any]) -> str:
    return text.format_map({name: Field(value) for name, value in fields.items()})


def _claim(row: Row, form: str) -> str:
    """Return the part of a claim's row that a form asks for."""
    if form == "verdict":
        return str(row["verdict"])
    if form == "interval":
        return interval(row)
    if form == "control":
        return number(row["control"]["estimate"])
    if form:
        return number(row["estimate"], form)
    return f"{number(row['estimate'])} ({row['verdict']})"
