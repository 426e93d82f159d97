"""Fixtures of the tests of checkpoints."""

import os

import pytest

pytest.register_assert_rewrite("small_runs")

from small_runs import interrupt


@pytest.fixture
def quick_disk(monkeypatch):
    """No waiting for the disk, where no machine stops."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """The file of a run that was interrupted, to be copied."""
    folder = tmp_path_factory.mktemp("begun")
    with pytest.MonkeyPatch.context() as patch:
        interrupt(patch, 31, "adam, cosine, dropout, stacked", folder / "run.pt")
    return folder
