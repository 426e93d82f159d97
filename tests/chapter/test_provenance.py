"""The provenance line, and a command that shells and papermill read back."""

import shlex
import shutil

import pytest
import yaml

from spectral_book.chapter import provenance as module
from spectral_book.chapter.provenance import Provenance


def test_line_and_command():
    changed = {"seeds": [1, 2], "reading": "paper", "learning_rate": 0.001}
    came = Provenance("a_chapter", "quick", [1, 2, 3, 4], "cpu", changed)
    line = came.line(12.4)
    for part in ("profile quick", "seeds 1 to 4", "cpu", "thread", "12 s"):
        assert part in line
    words = shlex.split(came.command)
    assert words[:1] == ["papermill"]
    assert "book/a_chapter.ipynb" in words
    assert yaml.safe_load(words[words.index("-y") + 1]) == changed


def test_command_without_changes_has_no_parameters():
    came = Provenance("a_chapter", "quick", [1, 5], "cpu", {})
    assert "-y" not in shlex.split(came.command)
    assert "seeds 1, 5 ·" in came.line()


def test_line_names_the_seeds_of_what_it_stands_under():
    came = Provenance("a_chapter", "quick", [1, 2], "cpu", {})
    assert "seeds 1 to 3, 7, 101, 102 ·" in came.line(seeds=[1, 2, 3, 7, 101, 102])
    assert " · seed 7 · " in came.line(seeds=[7])
    assert "seed" not in came.line(seeds=[])


@pytest.fixture
def module_of(repository, monkeypatch):
    """The module, as if it were a file of that repository."""
    file = repository / "spectral_book" / "chapter" / "provenance.py"
    monkeypatch.setattr(module, "__file__", str(file))
    return module


def test_only_what_results_depend_on_marks_a_commit(repository, module_of):
    plain = module_of._commit()
    assert len(plain) >= 7
    (repository / "out.ipynb").write_text("a run's notebook")
    assert module_of._commit() == plain
    (repository / "params").mkdir()
    (repository / "params" / "a.yaml").write_text("")
    assert module_of._commit() == plain + "+"


def test_a_checkout_of_another_owner_is_not_said_to_be_none(
    module_of, monkeypatch, tmp_path
):
    distrusting = tmp_path / "bin" / "git"
    distrusting.parent.mkdir()
    git = shutil.which("git")
    distrusting.write_text(f'#!/bin/sh\nGIT_TEST_ASSUME_DIFFERENT_OWNER=1 {git} "$@"\n')
    distrusting.chmod(0o755)
    monkeypatch.setenv("PATH", str(distrusting.parent))
    monkeypatch.setenv("HOME", str(tmp_path))  # whose settings might trust all folders
    assert module_of._commit() == "commit unknown, as another user owns the checkout"


def test_what_nobody_committed_is_not_under_version_control(module_of, repository):
    shutil.rmtree(repository / ".git")
    assert module_of._commit() == "not under version control"
