"""The Makefile's commands, with programs that only say how they were called."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parents[1] / "Makefile"
SAY = '#!/bin/sh\necho "$0 with:" "$@"\n'

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


@pytest.fixture
def folder(tmp_path):
    """A folder with a space in its name, and everything installed."""
    folder = tmp_path / "my books"
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    shutil.copy(MAKEFILE, folder)
    (folder / "book").mkdir()
    (folder / "book" / "alpha.ipynb").touch()
    for name in ("jupyter-book", "python", "pytest", "ruff", "mypy"):
        (programs / name).write_text(SAY)
        (programs / name).chmod(0o755)
    for name in ("pyproject.toml", "constraints.txt"):
        (folder / name).touch()
        os.utime(folder / name, (0, 0))
    for extra in ("batch", "test"):
        (folder / ".venv" / f"{extra}.installed").touch()
    return folder


def make(folder, *words):
    return subprocess.run(
        ["make", *words], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("words", "called"),
    [
        (["book"], ".venv/bin/jupyter-book with: build book/"),
        (
            ["page", "CHAPTER=alpha"],
            ".venv/bin/jupyter-book with: build book/ --path-output book/_build/draft",
        ),
        (
            ["gpu", "CHAPTER=alpha", "DATA_ROOT=/my data"],
            "python with: -m spectral_book.records alpha gpu --data-root /my data",
        ),
        (
            ["desk", "CHAPTER=alpha", "NOTE=cut to size"],
            "python with: -m spectral_book.records alpha desk --note cut to size",
        ),
        (["test"], "--dist loadfile book/alpha.ipynb"),
    ],
)
def test_make_works_in_a_folder_with_a_space(folder, words, called):
    done = make(folder, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert called in done.stdout


@pytest.mark.parametrize("words", [["book"], ["page", "CHAPTER=alpha"]])
def test_an_environment_whose_path_has_a_space_is_refused(folder, words):
    done = make(folder, *words, f"VENV={folder}/.venv")
    assert done.returncode != 0
    assert "VENV must not have a space" in done.stderr


def test_a_chapter_must_be_named_and_be_there(folder):
    for words in (["page"], ["page", "CHAPTER=beta"]):
        done = make(folder, *words)
        assert done.returncode != 0
        assert "name a chapter" in done.stdout
