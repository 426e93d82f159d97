"""In what order chapters run, and whether all ran with the same code."""

from __future__ import annotations

from pathlib import Path

import pytest

from spectral_book.pages import execution
from spectral_book.pages.execution import CodeWatch, last_seconds, longest_first
from spectral_book.runner import NotebookJob


def names(seconds):
    jobs = [NotebookJob(name, Path(f"{name}.ipynb")) for name in ("a", "b", "c")]
    return "".join(job.name for job in longest_first(jobs, seconds))


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


@pytest.mark.parametrize("text", ["", "[1]", '{"a": "long"}', '{"a": 1.5'])
def test_times_that_cannot_be_read_are_unknown(tmp_path, text):
    assert last_seconds(tmp_path) == {}
    (tmp_path / "seconds.json").write_text(text)
    assert last_seconds(tmp_path) == {}


def test_the_chapter_after_which_the_code_was_another_is_named(monkeypatch):
    found = "old"
    monkeypatch.setattr(execution, "code", lambda: found)
    watch = CodeWatch("old")
    watch.look("a")
    assert watch.problems() == []
    found = "new"
    watch.look("b")
    found = "old"  # taken back meanwhile
    watch.look("c")
    (told,) = watch.problems()
    assert "as seen after b" in told
