"""In what a run differs from the paper's: computed from the parameters of both."""

from collections.abc import Mapping
from typing import Any

from spectral_book.chapter.parameters import MACHINE, assignments


def differences(
    here: Mapping[str, Any], paper: Mapping[str, Any], meanings: Mapping[str, str]
) -> list[dict[str, str]]:
    """Return the parameters that differ, with what they are, in this run's order."""
    return [
        {
            "name": name,
            "here": _text(value),
            "paper": _text(paper[name]),
            "meaning": meanings.get(name, ""),
        }
        for name, value in here.items()
        if name in paper and value != paper[name]
        if name not in (*MACHINE, "profile")
    ]


def meanings(source: str) -> dict[str, str]:
    """Return what the comments of a parameters cell say of each name."""
    lines = source.splitlines()
    found: dict[str, str] = {}
    for name, value in assignments(source).items():
        written = lines[value.lineno - 1 : value.end_lineno]
        comments = (line.partition("  # ")[2].strip() for line in written)
        found[name] = " ".join(filter(None, comments))
    return found


def _text(value: Any) -> str:
    """Return a parameter's value as it is written, lists without brackets."""
    if isinstance(value, list | tuple):
        return ", ".join(_text(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
