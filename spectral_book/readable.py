"""Sentences for what somebody wrote and nothing can be done with."""

import difflib
import re
from collections.abc import Callable, Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails

Place = Sequence[int | str]

_TAG = re.compile(r"<(?=[A-Za-z/!?])")


class InputError(ValueError):
    """Something written by hand cannot be used; the text is one message."""


class SweepStopped(RuntimeError):
    """A sweep broke off; what is done stays, and the same command goes on."""


def without_html(text: str) -> str:
    """Return a Markdown text in which nothing is read as HTML, as it may be data.

    The space after a "<" makes text of a tag, in prose and in code; it does not show in
    a formula, which an entity would break.
    """
    return _TAG.sub("< ", text)


def unknown_name(name: str, known: Sequence[str], kind: str = "name") -> str:
    """Return that a name is not known, and what may have been meant."""
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}."
    return f"Unknown {kind} {name!r}: {hint}"


def error_sentences(
    error: ValidationError,
    known: Sequence[str] = (),
    kind: str = "name",
    where: Callable[[Place], str] = lambda place: ".".join(map(str, place)),
) -> str:
    """Return one sentence for each of pydantic's errors.

    `known` are the allowed names, of a `kind` such as `parameter`; `where` turns the
    keys and numbers that lead to a value into text.
    """
    return " ".join(_sentence(e, known, kind, where) for e in error.errors())


def _sentence(
    details: ErrorDetails,
    known: Sequence[str],
    kind: str,
    where: Callable[[Place], str],
) -> str:
    *above, last = details["loc"] or ("",)
    place = where(details["loc"])
    if details["type"] == "extra_forbidden":
        prefix = f"{where(above)}: " if above else ""
        return prefix + unknown_name(str(last), known, kind)
    if details["type"] == "missing":
        return f"{kind.capitalize()} {place!r} is missing."
    why = details["msg"].removeprefix("Value error, ").rstrip(".")
    if not place or why.startswith(f"{place} is "):
        return f"{why}."
    if isinstance(details["input"], dict):
        return f"{place}: {why}."
    if details["type"] == "float_type":
        why += _as_number(details["input"])
    return f"{place} = {details['input']!r}: {why}."


def _as_number(value: object) -> str:
    """Return how to write a number that YAML takes for text: `-y "rate: 1e-3"`."""
    found = re.fullmatch(r"([-+]?\d+)(\.\d*)?[eE]([-+]?)(\d+)", str(value))
    if not found:
        return ""
    whole, part, sign, power = found.groups(default="")
    return f"; write {whole}{part if part > '.' else '.0'}e{sign or '+'}{power}"
