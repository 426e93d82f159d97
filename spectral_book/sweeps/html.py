"""An HTML book of the executed notebooks of a sweep, without running them again."""

from __future__ import annotations

import re
import shutil
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
from spectral_book.sweeps.errors import SweepError, storing
from spectral_book.sweeps.manifest import NAME, open_manifest
from spectral_book.sweeps.page import write_page
from spectral_book.sweeps.results import notebook_path

_LABEL = re.compile(r"^\([\w-]+\)=\s*$", re.MULTILINE)
_MARK = ".spectral-batch-book"  # only folders with it are cleared
_RESULTS = ("points", "failed", "source", "page")  # in the folder of a sweep
_ENDING = 15  # lines of the build's output to show when it fails


def write_book(out: Path, target: Path) -> Path:
    """Build a book of a sweep's page and its executed notebooks; return its index.

    Parameters
    ----------
    out
        The folder of the sweep.
    target
        The folder for the book; `_build/html` in it holds the pages.

    Raises
    ------
    SweepError
        If no point is done, the folder is not one for a book, or the build fails.
    StorageError
        If the folder cannot be written.
    """
    check_target(target, out)
    with open_manifest(out) as manifest:
        names = [row.id for row in manifest.rows() if row.state == "done"]
        facts = manifest.facts()
    if not names:
        raise SweepError(f"no point in {out} is done yet")
    with storing(target):
        write_atomic(target / _MARK, "Made by spectral-batch to-book.\n")
        for part in ("points", "page"):
            if (target / part).exists():
                shutil.rmtree(target / part)
        write_page(out, target / "page")
        for number, name in enumerate(names):
            notebook = nbformat.read(notebook_path(out, name), as_version=4)
            text = nbformat.writes(_page_of(notebook, name))
            write_atomic(target / "points" / f"{number:05}.ipynb", text)
        _configure(target, str(facts["chapter"]), names)
    _build(target)
    return target / "_build" / "html" / "index.html"


def check_target(target: Path, out: Path) -> None:
    """Refuse a folder in which a book would take the place of something else.

    Raises
    ------
    SweepError
        If it is or lies among the results of a sweep, or holds what is no book of ours.
    """
    place, results = target.resolve(), out.resolve()
    for folder in (place, *place.parents):
        inside = place.relative_to(folder).parts[:1]
        if (folder == results or (folder / NAME).exists()) and (
            not inside or inside[0] in _RESULTS
        ):
            raise SweepError(
                f"{target} is for the results of a sweep; choose another folder for "
                "the book"
            )
    if place.is_file():
        raise SweepError(f"{target} is a file; choose a folder for the book")
    is_ours = (place / _MARK).is_file() and place not in results.parents
    if place.is_dir() and any(place.iterdir()) and not is_ours:
        raise SweepError(
            f"{target} holds other files than a book of spectral-batch; choose a new "
            "or an empty folder"
        )


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
    """Build the HTML with the plain command.

    Raises
    ------
    SweepError
        If it fails, with the end of what it said.
    """
    program = str(Path(sys.executable).with_name("jupyter-book"))
    ran = subprocess.run(
        [program, "build", str(target.absolute())],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if ran.returncode != 0:
        ending = "\n".join(ran.stdout.splitlines()[-_ENDING:])
        raise SweepError(f"the book in {target} could not be built:\n{ending}")
