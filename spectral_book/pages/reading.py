"""A chapter as it is read: the answer first, code folded, how to cite it last.

The notebook that a reader opens in Jupyter stays as it is; its page gets these.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

from docutils import nodes
from markupsafe import Markup
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from spectral_book import __version__
from spectral_book.claims.recorded import compared
from spectral_book.claims.tables import marked_chip
from spectral_book.pages.directives import ClaimsDirective, Fill

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


def minute(page: ClaimsDirective) -> dict[str, Any]:
    """*In one minute*: what the paper says, what was measured, the verdict.

    Lines that follow each other and quote the same sentence stand beside it together.
    There are none where the chapter has no answer of this kind.
    """
    run = page.ledger.run_of(page.env.docname)
    lines = [] if run is None else run["minute"]
    asked = all(line["says"].endswith("?") for line in lines)
    parts = groupby(lines, key=itemgetter("says"))
    return {
        "lines": [(says, list(part)) for says, part in parts],
        "heads": ("We ask" if asked else "The paper says", "We measured", "Verdict"),
        "rows": {row["id"]: row for row in page.ledger.claims},
        "up": "../" * page.env.docname.count("/"),
    }


def cite_chapter(page: ClaimsDirective) -> dict[str, Any]:
    """The chapter's BibTeX entry; an empty text where the chapter has no run."""
    docname, config = page.env.docname, page.env.config
    if page.ledger.run_of(docname) is None:
        return {"entry": ""}
    title = page.state.document.next_node(nodes.title)
    date = datetime.now(UTC).date().isoformat()
    key = docname.rsplit("/", 1)[-1].replace("_", "-")
    return {
        "entry": f"@incollection{{{key},\n"
        f"  title     = {{{title.astext() if title else docname}}},\n"
        f"  booktitle = {{{config.html_title}}},\n"
        f"  author    = {{{{{config.author}}}}},\n"
        f"  year      = {{{date[:4]}}},\n"
        f"  note      = {{Version {__version__}, built on {date}}},\n"
        "}"
    }


def recorded(page: ClaimsDirective) -> dict[str, Any]:
    """Which verdicts of this build a recorded run shares, and which not."""
    run = page.ledger.run_of(page.env.docname)
    found = compared(page.ledger.rows_of(page.env.docname), page.records)
    pairs = [pair for kind in found.values() for pair in kind]
    return {
        "found": found,
        "runs": dict.fromkeys(then["recorded"] for _, then in pairs),
        "data": "" if run is None else run["parameters"].get("data", ""),
        "chip": lambda row: Markup(marked_chip(row)),
    }


CHAPTER_PAGE: Mapping[str, Fill] = {
    "minute": minute,
    "cite-chapter": cite_chapter,
    "recorded": recorded,
}
"""What fills each template of a chapter's page."""
