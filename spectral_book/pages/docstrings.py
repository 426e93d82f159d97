"""Docstrings as the pages show them: attributes that share a line stay together."""

import re

from sphinx.application import Sphinx

_NAMES = re.compile(r"(?<=^:ivar )[^:]+")


def keep_together(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Close up the names of `a, b`, whose first would be read as a type."""
    lines[:] = [_NAMES.sub(lambda s: s[0].replace(", ", ","), line) for line in lines]
