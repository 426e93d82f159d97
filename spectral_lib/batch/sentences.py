"""Sentences for wrong names and values."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails


def sentences(
    error: ValidationError, known: Sequence[str] = (), *, name: str = ""
) -> str:
    """Return one sentence for each of pydantic's errors.

    Parameters
    ----------
    error
        What pydantic found.
    known
        The names that are allowed.
    name
        What the value as a whole is called, if it is not a set of named ones.
    """
    return " ".join(_sentence(details, known, name) for details in error.errors())


def unknown(name: str, known: Sequence[str]) -> str:
    """Return that a name is not known, and what may have been meant."""
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}."
    return f"Unknown name {name!r}: {hint}"


def _sentence(error: ErrorDetails, known: Sequence[str], name: str) -> str:
    parts = [name, *map(str, error["loc"])]
    where = ".".join(part for part in parts if part)
    if error["type"] == "extra_forbidden":
        return unknown(where, known)
    if error["type"] == "missing":
        return f"{where!r} is missing."
    why = error["msg"].removeprefix("Value error, ").rstrip(".")
    if error["type"] == "value_error":
        return f"{where}: {why}."
    return f"{where} = {error['input']!r}: {why}."
