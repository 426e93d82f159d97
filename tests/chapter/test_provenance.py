"""The provenance line, and a command that shells and papermill read back."""

import shlex
import subprocess

import torch
import yaml

from spectral_book.chapter import provenance as module
from spectral_book.chapter.provenance import provenance


def test_line_and_command():
    changed = {"seeds": [1, 2], "reading": "paper", "learning_rate": 0.001}
    came = provenance("a_chapter", "quick", [1, 2, 3, 4], torch.device("cpu"), changed)
    line = came.line(12.4)
    for part in ("profile quick", "seeds 1 to 4", "cpu", "thread", "12 s"):
        assert part in line
    words = shlex.split(came.command)
    assert words[:1] == ["papermill"]
    assert "book/a_chapter.ipynb" in words
    assert yaml.safe_load(words[words.index("-y") + 1]) == changed


def test_command_without_changes_has_no_parameters():
    came = provenance("a_chapter", "quick", [1, 5], torch.device("cpu"), {})
    assert "-y" not in shlex.split(came.command)
    assert "seeds 1, 5 ·" in came.line()


def test_line_names_the_seeds_of_what_it_stands_under():
    came = provenance("a_chapter", "quick", [1, 2], torch.device("cpu"), {})
    assert "seeds 1 to 3, 7, 101, 102 ·" in came.line(seeds=[1, 2, 3, 7, 101, 102])
    assert " · seed 7 · " in came.line(seeds=[7])
    assert "seed" not in came.line(seeds=[])


def test_only_what_results_depend_on_marks_a_commit(tmp_path, monkeypatch):
    def git(*words):
        who = ["-c", "user.name=n", "-c", "user.email=e@x"]
        subprocess.run(["git", "-C", str(tmp_path), *who, *words], check=True)

    file = tmp_path / "spectral_book" / "chapter" / "provenance.py"
    file.parent.mkdir(parents=True)
    file.write_text("")
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "-m", "start")
    monkeypatch.setattr(module, "__file__", str(file))
    plain = module._commit()
    assert len(plain) >= 7
    (tmp_path / "out.ipynb").write_text("a run's notebook")
    assert module._commit() == plain
    (tmp_path / "params").mkdir()
    (tmp_path / "params" / "a.yaml").write_text("")
    assert module._commit() == plain + "+"
