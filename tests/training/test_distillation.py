"""Students that learn what their teachers say."""

import pytest
import torch
from torch import nn

from spectral_lib.training.distillation import pseudolabels
from spectral_lib.training.ensemble import initialise


def build():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def generators(count):
    return [torch.Generator().manual_seed(s) for s in range(count)]


def test_each_replica_gets_its_own_teachers_probabilities():
    teacher = initialise(build, [1, 2])
    x = torch.randn(2, 5, 3)
    labels = torch.zeros(2, 5, dtype=torch.long)
    before = {k: v.clone() for k, v in teacher.buffers.items()}
    inputs, targets = pseudolabels(teacher)(x, labels, generators(2))
    assert inputs is x
    for r, seed in enumerate((1, 2)):
        torch.manual_seed(seed)
        plain = build().eval()  # running mean 0 and variance 1, not the batch's
        expected = plain(x[r]).softmax(-1)
        assert torch.allclose(targets[r], expected, atol=1e-6)
    assert not targets.requires_grad
    assert all(torch.equal(v, before[k]) for k, v in teacher.buffers.items())
    assert teacher.module.training


def test_another_number_of_students_is_refused():
    teacher = initialise(build, [1, 2])
    with pytest.raises(ValueError, match="1 students and 2 teachers"):
        pseudolabels(teacher)(torch.zeros(1, 5, 3), torch.zeros(1, 5), generators(1))
