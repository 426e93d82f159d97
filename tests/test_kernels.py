"""Folders of killed processes go; those of others stay."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

import pytest

from spectral_book.kernels import kernel_folder, prefix


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def gone():
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_a_folder_is_there_as_long_as_it_is_used(temporary):
    with kernel_folder() as folder:
        assert list(folder.iterdir()) == []
        assert folder.parent == temporary
        assert len(folder.name) < 40  # a socket's path has a hundred bytes at most
    assert not folder.exists()


def test_folders_of_a_killed_process_go_and_no_others(temporary, gone):
    kept = {
        f"{prefix()}{os.getpid()}-abc",
        f"kernel-another-{gone}-abc",
        f"other-{gone}-abc",
        f"{prefix()}words-abc",
    }
    for name in (*kept, f"{prefix()}{gone}-abc"):
        (temporary / name / "within").mkdir(parents=True)
    with kernel_folder() as folder:
        assert names(temporary) == kept | {folder.name}
