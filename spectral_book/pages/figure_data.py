"""The numbers of figures: files beside the pages, each with a link below its figure."""

import json
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from spectral_book.claims.places import FIGURE, KEY, data_of_figures, mark_of
from spectral_book.files import remove_all, write_atomic

FOLDER = "_data"


def write_figure_data(html: Path, notebooks: Mapping[str, NotebookNode]) -> None:
    """Write what the figures of notebooks draw, a file each, in place of former ones.

    `notebooks` are as they were executed, by document name.
    """
    remove_all([html / FOLDER])
    for docname, notebook in notebooks.items():
        for number, data in data_of_figures(notebook).items():
            write_atomic(html / _place(docname, number), json.dumps(data))


def with_data_links(docname: str, notebook: NotebookNode) -> NotebookNode:
    """Return a notebook with links in place of what its figures draw."""
    linked = deepcopy(notebook)
    up = "../" * docname.count("/")
    for output in (one for cell in linked.cells for one in cell.get("outputs", [])):
        marked: dict[str, Any] = dict(mark_of(output))
        if marked.pop("data", None):
            output.metadata[KEY], number = marked, marked[FIGURE]
            link = (
                f'<a class="figure-data" href="{up}{_place(docname, number)}">'
                f"data of figure {number}</a>"
            )
            html = output.data["text/html"]
            output.data["text/html"] = html.replace("<details", f"{link}<details", 1)
    return linked


def _place(docname: str, number: int) -> str:
    return f"{FOLDER}/{docname}/figure-{number}.json"
