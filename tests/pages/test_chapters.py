"""A real chapter at a tiny size: the same numbers, until a probe is changed."""

import json
import shutil
from pathlib import Path

import nbformat
import pytest
from minibook import REPOSITORY, MiniBook

pytestmark = [pytest.mark.book, pytest.mark.processes]

CHAPTER = "derivative_operator"
TINY = {
    "points": 64,
    "functions": 24,
    "test_functions": 8,
    "batch_size": 8,
    "channels": 4,
    "kernel_sizes": [3, 7],
    "layer_counts": [3, 4],
    "epochs": 6,
    "loss_epochs": 8,
    "gap_epochs": 8,
    "last_epochs": 2,
    "early_learning_rate": 1e-2,
    "early_epochs": 60,
    "early_readings": [4, 40],
    "watched_kernels": [3, 7],
    "measure_every": 1,
}


@pytest.fixture(scope="module")
def tiny_chapter() -> nbformat.NotebookNode:
    """The committed notebook with tiny values in its parameters cell."""
    path = REPOSITORY / "book" / f"{CHAPTER}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    (cell,) = (c for c in notebook.cells if "parameters" in c.metadata.get("tags", []))
    lines = []
    for line in cell.source.splitlines():
        name = line.split(":")[0]
        head = line.split(" =")[0]  # with the type, which the class need not name
        lines.append(f"{head} = {TINY[name]!r}" if name in TINY else line)
    cell.source = "\n".join(lines)
    return notebook


def book_of(notebook: nbformat.NotebookNode, folder: Path) -> MiniBook:
    """A book of the tiny chapter, and what it refers to on other pages."""
    book = MiniBook(folder)
    book.write(CHAPTER, notebook)
    book.pages.append("bibliography")
    book.configure("(how-to-read)=\n## How to read")
    (folder / "claims").mkdir()
    names = ("references.bib", "bibliography.md", f"claims/{CHAPTER}.yaml")
    for name in names:
        shutil.copy(REPOSITORY / "book" / name, folder / name)
    return book


def copied_library(folder: Path) -> Path:
    """A copy of the library that can be edited; on the path it goes first."""
    shutil.copytree(REPOSITORY / "spectral_lib", folder / "spectral_lib")
    return folder / "spectral_lib"


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times"
    path.write_text(text.replace(old, new), encoding="utf-8")


def rows_of(book: MiniBook, library: Path) -> list[dict]:
    """Build a book with a library of its own; return its rows but for the seconds."""
    built = book.build(env={"PYTHONPATH": str(library.parent)})
    assert built.returncode == 0, built.stdout
    rows = json.loads((book.html / "ledger.json").read_text())["claims"]
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


def test_builds_give_the_same_numbers_in_new_figures_until_a_probe_is_changed(
    tiny_chapter, tmp_path
):
    library = copied_library(tmp_path)
    (tmp_path / "book").mkdir()
    book = book_of(tiny_chapter, tmp_path / "book")
    ledgers, figures = [], []
    for _ in range(2):
        ledgers.append(rows_of(book, library))
        images = sorted((book.html / "_images").glob("*.png"))
        figures.append({image.name: image.stat().st_mtime_ns for image in images})
    assert len(ledgers[0]) > 20
    for row in ledgers[0]:
        assert row["control"]["name"]
    assert sum(len(row["values"]) >= 5 for row in ledgers[0]) > 15
    assert ledgers[0] == ledgers[1]
    assert len(figures[0]) >= 8
    assert not set(figures[0].items()) & set(figures[1].items())

    edit(
        library / "probes" / "errors.py",
        "cosine = output @ target",
        "cosine = -output @ target",
    )
    right, wrong = (
        {row["id"]: row["verdict"] for row in rows}
        for rows in (ledgers[0], rows_of(book, library))
    )
    # So small a chapter leaves it open: its control does as well.
    assert right["shape-before-amplitude"] != "not replicated"
    assert wrong["shape-before-amplitude"] == "not replicated"
