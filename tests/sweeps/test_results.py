"""What comes of a sweep: the table, the page with its figures, and the HTML book."""

from __future__ import annotations

import re
import shutil
import sqlite3
from html.parser import HTMLParser

import pandas
import pytest
from tiny import command, printed, write_tiny

from spectral_book.sweeps.cli import main
from spectral_book.sweeps.collect import swept
from spectral_book.sweeps.errors import SweepError
from spectral_book.sweeps.html import write_book
from spectral_book.sweeps.manifest import open_manifest
from spectral_book.sweeps.page import sentence, write_page
from spectral_book.sweeps.results import notebook_path
from spectral_book.sweeps.run import Settings, execute_sweep, run_sweep
from spectral_book.sweeps.status import status
from spectral_book.sweeps.sweep_figures import draw_estimates, draw_shares, shares

MARK = """
import uuid
def note(event):
    print("ran", uuid.uuid4())
"""
GRID = {"size": [4, 1, 2, 3], "word": ["a", "b"]}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A finished sweep and its table."""
    folder = tmp_path_factory.mktemp("results")
    chapter = write_tiny(folder, work=MARK)
    out = folder / "out"
    return out, run_sweep({"chapter": chapter, "grid": GRID}, out, progress=False)


def test_a_row_for_each_point_and_claim(done):
    _, table = done
    assert len(table) == 16
    assert list(table.columns[:4]) == ["point", "size", "word", "claim"]
    found = {
        (row.size, row.word, row.claim): (row.estimate, row.verdict)
        for row in table.itertuples()
        if row.claim == "grows"
    }
    assert found == {
        (s, w, "grows"): (s * 0.5, "replicated" if s < 3 else "not replicated")
        for s in (1, 2, 3, 4)
        for w in "ab"
    }
    assert (table["ci_high"] - table["estimate"]).round(9).eq(0.1).all()
    assert table["control_estimate"].eq(0).all()
    assert not table["stale"].any()


def test_swept_are_the_names_that_differ():
    values = [{"a": 1, "b": [1, 2], "c": "x"}, {"a": 1, "b": [1, 3], "c": "x"}]
    assert swept(values) == ["b"]
    assert swept(values[:1]) == []


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_tables_as_files(done, tmp_path, ending):
    out, table = done
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    file = tmp_path / f"table.{ending}"
    code, said = command("collect", out, file)
    assert (code, said) == (0, f"16 rows in {file}\n")
    read = pandas.read_csv if ending == "csv" else pandas.read_parquet
    for name in ("point", "size", "word", "claim", "verdict", "estimate"):
        assert read(file)[name].tolist() == table[name].tolist()
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_a_table_of_another_kind(done, tmp_path):
    code, said = command("collect", done[0], tmp_path / "table.xls")
    assert code == 2
    assert "must end in .csv or .parquet" in said


def test_shares_and_sentences_say_where_a_claim_stops(done):
    _, table = done
    wide = shares(table, "size")
    assert list(wide.columns) == [1, 2, 3, 4]
    assert wide.loc["grows"].tolist() == [1, 1, 0, 0]
    assert wide.loc["stays"].tolist() == [1, 1, 1, 1]
    assert (
        sentence(table, "grows", "size")
        == "`size`: replicated at 1, 2; not replicated at 3, 4."
    )
    expected = "`word`: not replicated or replicated at a, b."
    assert sentence(table, "grows", "word") == expected


def test_figures_show_the_numbers(done):
    _, table = done
    axes = draw_shares(table, "size").axes[0]
    assert axes.images[0].get_array().tolist() == [[1, 1, 0, 0], [1, 1, 1, 1]]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["1", "2", "3", "4"]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["grows", "stays"]
    axes = draw_estimates(table, "grows", "size", ["word"]).axes[0]
    lines = [line.get_ydata().tolist() for line in axes.lines]
    assert lines == [[0.5, 1.0, 1.5, 2.0]] * 2
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert texts == ["word = a", "word = b", "replicated", "not replicated"]


def test_the_page(done):
    out, _ = done
    page = write_page(out)
    text = page.read_text()
    assert page == out / "page/index.md"
    assert "# Sweep of `tiny`" in text
    assert "8 points, 2 claims each." in text
    assert "- `size`: replicated at 1, 2; not replicated at 3, 4." in text
    assert "### grows" in text
    assert "### stays" not in text
    assert "| `grows` | 4 | 4 |" in text
    assert "Incomplete" not in text
    names = sorted(path.stem for path in (page.parent / "figures").glob("*.svg"))
    assert names == ["by-size", "by-word", "claim-grows"]
    # The parameter that decides the verdict is the one to draw against.
    assert "Estimate of grows with its interval against size." in text
    for name in names:
        assert f"(figures/{name}.svg)" in text


def test_the_page_says_what_is_missing(done, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(done[0], out)
    connection = sqlite3.connect(out / "manifest.sqlite")
    with connection:
        connection.execute("UPDATE points SET state = 'failed' WHERE place = 0")
        connection.execute("UPDATE points SET code = 'old' WHERE place = 1")
    connection.close()
    text = write_page(out).read_text()
    assert "**Incomplete:** 1 points failed or have not run." in text
    assert "**1 points** ran with older code" in text


class Pictures(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.sources = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag == "img":
            self.sources.append(dict(attributes)["src"])


def test_the_book_shows_the_runs_without_running_them(done, tmp_path):
    out, _ = done
    before = {path: path.stat().st_mtime_ns for path in out.glob("points/*")}
    # A page of an earlier book goes; what is not of the book stays.
    old = tmp_path / "book/points/00099.ipynb"
    old.parent.mkdir(parents=True)
    old.touch()
    with pytest.raises(SweepError, match="holds other files"):
        write_book(out, tmp_path / "book")
    assert old.exists()
    (tmp_path / "book/.spectral-batch-book").touch()
    index = write_book(out, tmp_path / "book")
    assert not old.exists()
    html = index.parent
    assert {path: path.stat().st_mtime_ns for path in out.glob("points/*")} == before
    pages = sorted((html / "points").glob("*.html"))
    assert len(pages) == 8
    with open_manifest(out) as manifest:
        names = [row.id for row in manifest.rows()]
    for page, name in zip(pages, names, strict=True):
        text = page.read_text()
        (mark,) = re.findall(r"ran (\S+)", printed(notebook_path(out, name)))
        assert mark in text
        assert name.rpartition("-")[0] in text
    front = (html / "page/index.html").read_text()
    sources = [s for s in Pictures(front).sources if s.endswith(".svg")]
    assert len([s for s in sources if "by-size" in s]) == 1
    for source in sources:
        assert (html / "page" / source).resolve().is_file()
    assert "cdn" not in front
    assert (html / "_static/mathjax").is_dir()


def test_a_book_takes_the_place_of_nothing_else(done, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(done[0], out)
    (out / "page").mkdir(exist_ok=True)
    (tmp_path / "points").mkdir()
    (tmp_path / "points/mine").touch()
    # Also not of a sweep in a folder that was made for a book.
    (tmp_path / ".spectral-batch-book").touch()
    other = shutil.copytree(out, out / "b")
    before = sorted(tmp_path.rglob("*"))
    for place in ("", "points", "points/book", "page", "..", "b"):
        target = str(out / place)
        assert main(["to-book", str(out), target]) == 2
        assert main(["run", "none.yaml", str(other), "--to-book", target]) == 2
    assert sorted(tmp_path.rglob("*")) == before


def test_status_and_the_time_left(done, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(done[0], out)
    connection = sqlite3.connect(out / "manifest.sqlite")
    # Six of eight points are done, four of them since this call began at 1000.
    with connection:
        connection.execute("UPDATE facts SET value = '1000.0' WHERE name = 'started'")
        connection.execute("UPDATE points SET changed = 1000 + 10 * place")
        connection.execute("UPDATE points SET changed = 900 WHERE place < 2")
        connection.execute("UPDATE points SET state = 'pending' WHERE place > 5")
        connection.execute(
            "UPDATE points SET state = 'failed', cell = 3, "
            "error = 'E: m' WHERE place = 5"
        )
    connection.close()
    found = status(out)
    # Four points in 50 seconds, two to go.
    assert found.seconds_left == pytest.approx(25)
    assert found.text().splitlines()[:2] == [
        "8 points: 5 done, 1 failed, 0 submitted, 2 pending",
        "time left at this pace: 25 s",
    ]
    assert found.text().endswith("cell 3: E: m")


def test_nothing_to_show_yet(tmp_path):
    with open_manifest(tmp_path, write=True):
        pass
    for show in (write_page, lambda out: write_book(out, tmp_path / "book")):
        with pytest.raises(SweepError, match="yet"):
            show(tmp_path)


def test_a_smaller_sweep_keeps_what_was_done(done, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(done[0], out)
    chapter = done[0].parent / "tiny.ipynb"
    connection = sqlite3.connect(out / "manifest.sqlite")
    with connection:
        connection.execute(
            "INSERT INTO points (id, place, parameters, state) "
            "VALUES ('never-ran', 9, '{}', 'pending')"
        )
    connection.close()
    sweep = {"chapter": chapter, "grid": {"size": [1]}}
    summary = execute_sweep(sweep, out, Settings(), progress=False)
    assert (summary.total, summary.done, summary.ran) == (1, 1, 0)
    with open_manifest(out) as manifest:
        names = [row.id for row in manifest.rows()]
    assert len(names) == 8
    assert "never-ran" not in names
