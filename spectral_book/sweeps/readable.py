"""Sentences for wrong names and values."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from spectral_book.chapter.parameters import unknown_name


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


def _sentence(error: ErrorDetails, known: Sequence[str], name: str) -> str:
    parts = [name, *map(str, error["loc"])]
    where = ".".join(part for part in parts if part)
    if error["type"] == "extra_forbidden":
        return unknown_name(where, known, "name")
    if error["type"] == "missing":
        return f"{where!r} is missing."
    why = error["msg"].removeprefix("Value error, ").rstrip(".")
    if error["type"] == "value_error":
        return f"{where}: {why}."
    return f"{where} = {error['input']!r}: {why}."
