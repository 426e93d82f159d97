"""In what order chapters run, and whether all ran with the same code."""

from __future__ import annotations

from pathlib import Path

import pytest

from spectral_book.budget import Budget
from spectral_book.pages import execution
from spectral_book.pages.costs import Cost, CostGroup, write_group
from spectral_book.pages.execution import (
    CodeWatch,
    execute_chapters,
    longest_first,
    measured_seconds,
)
from spectral_book.runner import Execution, NotebookJob

REPOSITORY = Path(__file__).resolve().parents[2]
JOBS = [NotebookJob(name, Path(f"{name}.ipynb")) for name in ("a", "b", "c")]


def names(seconds):
    return "".join(job.name for job in longest_first(JOBS, seconds))


@pytest.mark.parametrize(
    ("seconds", "order"),
    [
        ({}, "abc"),
        ({"a": 1.0, "b": 2.0, "c": 3.0}, "cba"),
        ({"a": 2.0, "b": 2.0, "c": 2.0}, "abc"),
        ({"a": 1.0, "c": 9.0}, "bca"),  # nobody knows how long a new one takes
    ],
)
def test_the_longest_chapter_comes_first(seconds, order):
    assert names(seconds) == order


def test_the_first_build_in_a_clone_goes_by_the_measured_seconds(tmp_path, monkeypatch):
    """A later one goes by its own, of the chapters that have any."""
    order = []

    def run(jobs, **_):
        order.append("".join(job.name for job in jobs))
        return [Execution(job.name, None, 1.0, None) for job in jobs]

    def execute():
        watch = CodeWatch("code")
        execute_chapters(JOBS, Budget(2, 1), 9, tmp_path / "build", watch, tmp_path)

    monkeypatch.setattr(execution, "execute_notebooks", run)
    same = {"unit": "s", "against": "", "other": 1, "ratio": (1, 1, 1), "share": True}
    seconds = {"a": 1.0, "b": 3.0, "c": 2.0}
    rows = [Cost(quantity=name, ours=s, **same) for name, s in seconds.items()]
    costs = tmp_path / "results" / "costs" / "cpu.json"
    write_group(costs, "book", CostGroup(title="", about="", made={}, rows=rows))
    execute()
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "seconds.json").write_text('{"a": 4.0, "b": 0.5}')
    execute()
    costs.write_text('{"groups": {"book": 7}}')
    execute()
    assert order == ["bca", "acb", "cab"]


def test_the_measured_seconds_are_those_of_this_book_s_chapters():
    chapters = {path.stem for path in (REPOSITORY / "book").glob("*.ipynb")}
    assert len(chapters & measured_seconds(REPOSITORY).keys()) > 5
    assert measured_seconds(REPOSITORY / "book") == {}


def test_the_chapter_after_which_the_code_was_another_is_named(monkeypatch):
    found = "old"
    monkeypatch.setattr(execution, "chapter_code", lambda: found)
    watch = CodeWatch("old")
    watch.look("a")
    assert watch.problems() == []
    found = "new"
    watch.look("b")
    found = "old"  # taken back meanwhile
    watch.look("c")
    (told,) = watch.problems()
    assert "as seen after b" in told
