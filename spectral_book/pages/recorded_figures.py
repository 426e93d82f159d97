"""The figures of recorded runs: each folded below the figure that this build drew."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from copy import deepcopy
from html import escape
from pathlib import Path

from nbformat import NotebookNode

from spectral_book.claims.numbers import Row
from spectral_book.claims.places import FIGURE, figures_of_claims, mark_of
from spectral_book.claims.recorded import FIGURES
from spectral_book.files import remove_all

FOLDER = "_recorded"


def copy_recorded_figures(html: Path, results: Path) -> None:
    """Copy the pictures of all recorded runs beside the pages, in place of former ones.

    They lie in a folder for each profile and chapter.
    """
    remove_all([html / FOLDER])
    for path in sorted(results.glob(f"*/{FIGURES}/*/*.webp")):
        copy = html / FOLDER / _place(path)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def with_recorded_figures(
    docname: str,
    notebook: NotebookNode,
    recorded: Mapping[str, Row],
    results: Path,
) -> NotebookNode:
    """Return a notebook whose figures have what recorded runs drew folded below them.

    A recorded figure is found by a claim that belongs to both; one whose record does
    not count any more, and has no row in `recorded`, is not shown.
    """
    figures = figures_of_claims(notebook)
    up = "../" * docname.count("/")
    panels: dict[int, str] = {}
    for path in sorted(results.glob(f"*/{FIGURES}/*/*.webp")):
        number, row = figures.get(path.stem), recorded.get(path.stem)
        if number is not None and row is not None and row["profile"] == _profile(path):
            panel = _panel(number, f"{up}{FOLDER}/{_place(path)}", row)
            panels[number] = panels.get(number, "") + panel
    shown = deepcopy(notebook)
    for output in (one for cell in shown.cells for one in cell.get("outputs", [])):
        marked = mark_of(output)
        if FIGURE in marked and marked[FIGURE] in panels:
            output.data["text/html"] += panels[marked[FIGURE]]
    return shown


def _panel(number: int, source: str, row: Row) -> str:
    told = f"The same figure, recorded: {row['recorded']}"
    return (
        f'<details class="recorded-figure"><summary>{escape(told)}</summary>'
        f'<div class="recorded-box"><img src="{source}" loading="lazy" '
        f'alt="Figure {number} as the recorded run drew it"></div></details>'
    )


def _profile(path: Path) -> str:
    return path.parents[2].name


def _place(path: Path) -> str:
    return f"{_profile(path)}/{path.parent.name}/{path.name}"
