"""An HTML book of the executed notebooks of a sweep, without running them again."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import yaml
from nbformat import NotebookNode
from sphinx.application import Sphinx

from spectral_book.claims.ledger import without_claims
from spectral_book.files import write_atomic
from spectral_book.pages import assets
from spectral_book.readable import InputError, SweepStopped
from spectral_book.sweeps.page import write_page
from spectral_book.sweeps.results import (
    notebook_path,
    read_request,
    records_of,
    storing,
)

_LABEL = re.compile(r"^\([\w-]+\)=\s*$", re.MULTILINE)
_ENDING = 15  # lines of the build's output to show when it fails


def write_book(out: Path, target: Path) -> Path:
    """Build a book of a sweep's page and its executed notebooks; return its index.

    The folder `target` must be a new or an empty one.
    """
    if target.is_file() or (target.is_dir() and any(target.iterdir())):
        raise InputError(f"{target} is there already; choose a new or an empty folder")
    names = [name for name, r in records_of(out) if r and r["state"] == "done"]
    if not names:
        raise InputError(f"no point in {out} is done yet")
    with storing(target):
        write_page(out, target / "page")
        for number, name in enumerate(names):
            notebook = nbformat.read(notebook_path(out, name), as_version=4)
            text = nbformat.writes(_page_of(notebook, name))
            write_atomic(target / "points" / f"{number:05}.ipynb", text)
        _configure(target, read_request(out)["chapter"], names)
    _build(target)
    return target / "_build" / "html" / "index.html"


def setup(app: Sphinx) -> dict[str, Any]:
    """Give the pages of a sweep the looks of the book and the scripts to be offline."""
    app.add_css_file("chapter.css")
    app.add_css_file("ledger.css")
    app.connect("config-inited", assets.use_local_scripts)
    app.connect("builder-inited", assets.copy_scripts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _page_of(notebook: NotebookNode, name: str) -> NotebookNode:
    """Return an executed notebook as a page of a book that holds it many times."""
    page = without_claims(notebook)
    for cell in page.cells:
        if cell.cell_type == "markdown":
            # The same label on every page would be ambiguous.
            cell.source = _LABEL.sub("", cell.source)
    title = nbformat.v4.new_markdown_cell(f"# {name.rpartition('-')[0]}")
    return NotebookNode({**page, "cells": [title, *page.cells]})


def _configure(target: Path, chapter: str, names: list[str]) -> None:
    """Write the book's settings and its table of contents."""
    config = {
        "title": f"Sweep of {chapter}",
        "author": "",
        "only_build_toc_files": True,
        "execute": {"execute_notebooks": "off"},
        "parse": {"myst_enable_extensions": ["amsmath", "colon_fence", "dollarmath"]},
        "sphinx": {
            "extra_extensions": [__name__],
            "config": {
                "nb_merge_streams": True,
                # A page refers to chapters and papers that this book does not hold.
                "suppress_warnings": ["ref", "myst", "toc", "bibtex"],
            },
        },
    }
    pages = [{"file": f"points/{number:05}"} for number in range(len(names))]
    toc = {"format": "jb-book", "root": "page/index", "chapters": pages}
    write_atomic(target / "_config.yml", yaml.safe_dump(config))
    write_atomic(target / "_toc.yml", yaml.safe_dump(toc))


def _build(target: Path) -> None:
    """Build the HTML with the plain command; if it fails, show the end of its words."""
    program = str(Path(sys.executable).with_name("jupyter-book"))
    command = [program, "build", str(target.absolute())]
    ran = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    if ran.returncode != 0:
        ending = "\n".join((ran.stdout + ran.stderr).splitlines()[-_ENDING:])
        raise SweepStopped(f"the book in {target} could not be built:\n{ending}")
