"""One thread a test process: workers run side by side and networks are small."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture
def in_one_pass(monkeypatch):
    """Stacked convolutions pass through the network at once, as on a GPU."""
    from spectral_lib.training.ensemble import Ensemble

    def in_turn(ensemble):
        return len(ensemble) == 1 or not ensemble.stacked

    monkeypatch.setattr(Ensemble, "in_turn", property(in_turn))
