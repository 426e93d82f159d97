"""A book in which all goes well: what a build executes, keeps and clears."""

from __future__ import annotations

import json
import re
import shutil
import sys
from dataclasses import dataclass

import pytest
from minibook import claim

from spectral_book.pages.execution import last_seconds
from spectral_book.pages.ledger_files import LEDGER_FILES


def span(book, name):
    """Return when a chapter's first cell began and ended."""
    found = re.search(r"ran (\S+) (\S+)", book.printed(name))
    return float(found[1]), float(found[2])


def nonce(text):
    return re.search(r"nonce ([0-9a-f-]{36})", text)[1]


def pictures(book):
    """The names of the pictures, but for the stills of players, which do not change."""
    names = {path.name for path in (book.html / "_images").glob("*.png")}
    return {name for name in names if not name.startswith("player-")}


def test_log_says_what_runs(good_book):
    log = (good_book.folder / "first.log").read_text()
    assert "executing 2 chapters, 2 at a time, 3 thread(s) each" in log
    for name in good_book.pages:
        assert re.search(rf"{name}: done, \d+\.\d s", log)
    assert "without encryption" not in log


def test_the_next_build_knows_how_long_chapters_take(good_book):
    assert set(last_seconds(good_book.folder / "_build")) == set(good_book.pages)


def test_chapters_run_at_the_same_time(good_book):
    (start_a, end_a), (start_b, end_b) = (span(good_book, n) for n in ("alpha", "beta"))
    assert max(start_a, start_b) < min(end_a, end_b)


def test_kernel_is_the_build_s_python_with_its_budget(good_book):
    printed = good_book.printed("alpha")
    assert "threads 3 3\n" in printed
    assert "build 1\n" in printed
    assert f"python {sys.prefix}\n" in printed


def test_meant_error_is_shown_and_passes(good_book):
    page = (good_book.html / "alpha.html").read_text()
    assert "ZeroDivisionError" in page


def test_pages_do_not_hold_the_claims_data(good_book):
    page = (good_book.html / "alpha.html").read_text()
    assert "the claims" in page
    assert "spectral-ledger+json&quot;: {" not in page
    cells = json.loads((good_book.executed / "alpha.ipynb").read_text())["cells"]
    assert "application/vnd.spectral-ledger+json" in cells[-1]["outputs"][0]["data"]


def test_ledger_file_follows_the_table_of_contents(good_book):
    held = json.loads((good_book.html / "ledger.json").read_text())
    rows = held["claims"]
    assert [row["id"] for row in rows] == ["alpha-one", "alpha-two", "beta-one"]
    where = {"page": "alpha", "figure": None, "code": None}
    assert rows[0] == claim("alpha-one") | where
    assert [run["chapter"] for run in held["chapters"]] == ["alpha", "beta"]
    assert held["commit"] == "not under version control"
    table = (good_book.html / "ledger.csv").read_text().splitlines()
    assert [line.split(",")[1] for line in table[1:]] == [row["id"] for row in rows]


@dataclass
class Rebuilt:
    nonce: str
    pictures: set
    sources: dict
    log: str


@pytest.fixture(scope="module")
def rebuilt(good_book):
    """What was there before the same command ran once more, with nothing changed."""
    sources = {path: path.read_bytes() for path in good_book.folder.glob("*.ipynb")}
    before = Rebuilt(
        nonce(good_book.printed("alpha")), pictures(good_book), sources, ""
    )
    for stale in (
        good_book.html / "_images" / "stale.png",
        good_book.html / "stale.html",
        good_book.html / "_sources" / "stale.ipynb",
        good_book.html / "reports" / "stale.err.log",
        good_book.executed / "stale.ipynb",
        good_book.folder / "_build" / "jupyter_execute" / "stale.ipynb",
    ):
        stale.parent.mkdir(exist_ok=True)
        stale.touch()
    for name in LEDGER_FILES:
        (good_book.html / name).write_text("stale")
    result = good_book.build()
    assert result.returncode == 0, result.stdout
    before.log = result.stdout
    return before


def test_plain_build_executes_again_though_nothing_changed(good_book, rebuilt):
    assert nonce(good_book.printed("alpha")) != rebuilt.nonce
    page = (good_book.html / "alpha.html").read_text()
    assert nonce(page) == nonce(good_book.printed("alpha"))
    assert "executing 2 chapters" in rebuilt.log


def test_old_results_are_gone(good_book, rebuilt):
    assert len(pictures(good_book)) == 1
    assert not pictures(good_book) & rebuilt.pictures
    assert not list(good_book.folder.glob("_build/**/*stale*"))
    assert not any((good_book.html / n).read_text() == "stale" for n in LEDGER_FILES)


def test_sources_are_not_touched(good_book, rebuilt):
    for path, content in rebuilt.sources.items():
        assert path.read_bytes() == content


def test_off_shows_what_is_stored(good_book, rebuilt, new_book):
    book = new_book("off")
    for name in good_book.pages:
        book.write(name, good_book.notebook(name))
    shutil.copytree(good_book.folder / "claims", book.folder / "claims")
    book.configure("```{ledger}\n```\n", execute_notebooks="off")
    result = book.build("-W", "-n", "--keep-going")
    assert result.returncode == 0, result.stdout
    assert "executing" not in result.stdout
    assert not book.executed.exists()
    page = (book.html / "alpha.html").read_text()
    assert nonce(page) == nonce(good_book.printed("alpha"))
    ledgers = [
        json.loads((b.html / "ledger.json").read_text()) for b in (book, good_book)
    ]
    assert ledgers[0]["claims"] == ledgers[1]["claims"]
    assert ledgers[0]["chapters"] == ledgers[1]["chapters"]
    assert len(ledgers[0]["claims"]) == 3
