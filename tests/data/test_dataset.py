"""Examples that are stored in one form and seen in another."""

import dataclasses

import pytest
import torch

from spectral_lib.data.dataset import Dataset, send
from spectral_lib.probes.accuracy import accuracy_on
from spectral_lib.training.ensemble import Ensemble

BYTES = torch.randint(256, (9, 2, 3), generator=torch.Generator().manual_seed(0)).byte()
LABELS = torch.arange(9)


def centred(stored):
    assert stored.dtype == torch.uint8
    assert stored.ndim == 3  # [batch, ...], whatever the shape of the rows
    return stored.float() / 255 - 0.5


def test_nobody_sees_what_is_stored():
    data = Dataset(BYTES, LABELS, centred)
    seen = BYTES.float() / 255 - 0.5
    assert torch.equal(data.inputs, seen)
    assert data.shape == (2, 3)
    assert len(data) == 9
    for rows in (torch.tensor([3, 1]), torch.tensor([[0, 8], [2, 2], [5, 7]])):
        inputs, targets = data.batch(rows)
        assert torch.equal(inputs, seen[rows])
        assert torch.equal(targets, LABELS[rows])
    other = dataclasses.replace(data, targets=LABELS.flip(0))
    assert torch.equal(other.inputs, seen)
    plain = Dataset(seen, LABELS)
    assert plain.inputs is seen
    assert torch.equal(plain.batch(torch.tensor([4]))[0], seen[4:5])


def test_a_probe_reads_inputs():
    class Sign(torch.nn.Linear):
        def forward(self, x):
            return torch.stack([-x[:, 0, 0], x[:, 0, 0]], 1) * self.weight.sum() ** 0

    measure = accuracy_on(Dataset(BYTES, (BYTES[:, 0, 0] > 127).long(), centred))
    assert measure(Ensemble.of(Sign(1, 1)))["accuracy"].tolist() == [100.0]


def test_values_sent_to_their_own_device_are_themselves():
    assert send(LABELS, torch.device("cpu")) is LABELS


def test_targets_that_do_not_fit():
    with pytest.raises(ValueError, match="9 inputs and 2 targets"):
        Dataset(BYTES, LABELS[:2], centred)
