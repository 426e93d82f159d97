"""Where a chapter shows its claims: which figure belongs to one, and which cell."""

import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

FIGURE, CLAIMS, JUDGED = "figure", "claims", "judged"

KEY = "spectral"
_ANCHOR = '<div id="code-'
_FENCED = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{1,6} ", re.MULTILINE)


def mark(kind: str, name: str | int | list[str], **more: Any) -> dict[str, Any]:
    """Return metadata that tells what an output is: a figure, claims, a judgement."""
    return {KEY: {kind: name, **more}}


def mark_of(output: NotebookNode) -> Mapping[str, Any]:
    """Return what an output was marked with; empty if it was not."""
    marked = output.get("metadata", {}).get(KEY)
    return marked if isinstance(marked, Mapping) else {}


def data_of_figures(notebook: NotebookNode) -> dict[int, Mapping[str, Any]]:
    """Return what the figures of a notebook draw, by their numbers."""
    marked = (one for cell in notebook.cells for one in _marks(cell))
    return {one[FIGURE]: one["data"] for one in marked if one.get("data")}


def pictures_of_claims(notebook: NotebookNode) -> dict[str, bytes]:
    """Return the PNG of each figure that claims belong to, by the first one's id."""
    pictures: dict[int, bytes] = {}
    for cell in notebook.cells:
        png = None
        for output in cell.get("outputs", []):
            number = mark_of(output).get(FIGURE)
            if number is not None and png is not None:
                pictures[number] = b64decode(png)
            png = output.get("data", {}).get("image/png")
    firsts: dict[int, str] = {}
    for claim, number in figures_of_claims(notebook).items():
        firsts.setdefault(number, claim)
    return {firsts[n]: png for n, png in pictures.items() if n in firsts}


def code_anchors(notebook: NotebookNode) -> dict[str, str]:
    """Return the name under which a page has the code that judges each claim."""
    marked = (one for cell in notebook.cells for one in _marks(cell))
    return {one[JUDGED]: f"code-{one[JUDGED]}" for one in marked if JUDGED in one}


def figures_of_claims(notebook: NotebookNode) -> dict[str, int]:
    """Return the number of the figure that each claim belongs to, where there is one.

    It is the last one shown before the claim under the same heading, or else the first
    one shown after it there.
    """
    found: dict[str, int] = {}
    waiting: list[str] = []
    last: int | None = None
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and _has_heading(cell.source):
            waiting, last = [], None
        for marked in _marks(cell):
            if FIGURE in marked:
                last = int(marked[FIGURE])
                found |= dict.fromkeys(waiting, last)
                waiting = []
            elif CLAIMS in marked and last is not None:
                found |= dict.fromkeys(marked[CLAIMS], last)
            elif CLAIMS in marked:
                waiting += marked[CLAIMS]
    return found


def with_code_anchors(notebook: NotebookNode) -> NotebookNode:
    """Return a notebook with an anchor before each cell that judges claims.

    The notebook itself is left as it is.
    """
    anchors = code_anchors(notebook)
    cells = []
    for cell in notebook.cells:
        names = [marked[JUDGED] for marked in _marks(cell) if JUDGED in marked]
        if names:
            lines = [f'<div id="{anchors[name]}"></div>' for name in names]
            cells.append(new_markdown_cell("\n".join(lines)))
        cells.append(cell)
    return NotebookNode({**notebook, "cells": cells})


def is_anchor(cell: NotebookNode) -> bool:
    """Return whether `with_code_anchors` has added a cell."""
    return cell.cell_type == "markdown" and cell.source.startswith(_ANCHOR)


def _marks(cell: NotebookNode) -> Iterator[Mapping[str, Any]]:
    """Yield what a cell's outputs were marked with, in order."""
    yield from filter(None, map(mark_of, cell.get("outputs", [])))


def _has_heading(text: str) -> bool:
    """Return whether a Markdown text has a heading, comments in code aside."""
    return _HEADING.search(_FENCED.sub("", text)) is not None
