"""One thread a test process: workers run side by side and networks are small."""

import os
import subprocess

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture
def commit_all():
    """Make a folder a git repository if it is none, and commit all that is in it."""

    def commit(root):
        who = ("-c", "user.name=n", "-c", "user.email=e@x")
        words = (*who, "commit", "--quiet", "--allow-empty", "-m", "state")
        for command in (("init", "--quiet"), ("add", "."), words):
            subprocess.run(["git", "-C", str(root), *command], check=True)

    return commit


@pytest.fixture
def repository(tmp_path, commit_all):
    """A git repository of one commit, with a file of code in it."""
    root = tmp_path / "repository"
    file = root / "spectral_book" / "chapter" / "provenance.py"
    file.parent.mkdir(parents=True)
    file.write_text("old")
    commit_all(root)
    return root


@pytest.fixture
def in_one_pass(monkeypatch):
    """Stacked convolutions pass through the network at once, as on a GPU."""
    from spectral_lib.training.ensemble import Ensemble

    def in_turn(ensemble):
        return len(ensemble) == 1 or not ensemble.stacked

    monkeypatch.setattr(Ensemble, "in_turn", property(in_turn))
