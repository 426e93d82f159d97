"""A chapter as it is read: the answer first, code folded, how to cite it last.

The notebook that a reader opens in Jupyter stays as it is; its page gets these.
"""

from __future__ import annotations

from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

CORE = "core"
"""The tag of a cell whose code a page shows unfolded: a paper's algorithm."""

MINUTE = "```{minute}\n```"
_CITE = "```{cite-chapter}\n```"

_CHECKED = "nbval-check-output"


def for_reading(notebook: NotebookNode) -> NotebookNode:
    """Return a chapter's notebook with what its page adds and folds.

    Below the first paragraph stands *In one minute*, at the end *Cite this chapter*.
    Code is folded but for cells tagged ``core``, and so is the table for automatic
    checks. The notebook itself is left as it is.
    """
    cells = [_folded(cell) for cell in notebook.cells]
    first = next((i for i, c in enumerate(cells) if c.cell_type == "markdown"), None)
    if first is not None:
        text = _with_minute(cells[first].source)
        cells[first] = NotebookNode({**cells[first], "source": text})
        cells.append(new_markdown_cell(_CITE))
    return NotebookNode({**notebook, "cells": cells})


def _with_minute(text: str) -> str:
    """Return a chapter's first text with `MINUTE` below its first paragraph."""
    blocks = text.split("\n\n")
    # Before it stand a label, the title and comments.
    begins = (i for i, block in enumerate(blocks) if block[:1] not in ("(", "#", "%"))
    after = next(begins, len(blocks)) + 1
    return "\n\n".join([*blocks[:after], MINUTE, *blocks[after:]])


def _folded(cell: NotebookNode) -> NotebookNode:
    """Return a cell with the tags that fold its code."""
    tags = cell.metadata.get("tags", [])
    if cell.cell_type != "code" or CORE in tags:
        return cell
    whole = _CHECKED in tags
    fold = "hide-cell" if whole else "hide-input"
    if any(tag.startswith(("hide-", "remove-")) for tag in tags) and not whole:
        return cell
    return NotebookNode({**cell, "metadata": {**cell.metadata, "tags": [*tags, fold]}})


def bibtex(
    docname: str, *, title: str, book: str, author: str, version: str, date: str
) -> str:
    """Return the BibTeX entry of a chapter."""
    key = docname.rsplit("/", 1)[-1].replace("_", "-")
    return (
        f"@incollection{{{key},\n"
        f"  title     = {{{title}}},\n"
        f"  booktitle = {{{book}}},\n"
        f"  author    = {{{{{author}}}}},\n"
        f"  year      = {{{date[:4]}}},\n"
        f"  note      = {{Version {version}, built on {date}}},\n"
        "}"
    )
