"""Examples that are stored in one form and seen in another."""

import dataclasses

import pytest
import torch

from spectral_lib.data.dataset import Dataset, send
from spectral_lib.probes.accuracy import accuracy_on
from spectral_lib.probes.errors import alignment_with, error_of_sets
from spectral_lib.training.ensemble import Ensemble, initialise

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


def test_parts_are_all_inputs_made_one_by_one():
    made = []

    def seen(stored):
        made.append(len(stored))
        return centred(stored)

    data = Dataset(BYTES, LABELS, seen)
    parts = data.parts(4)
    assert made == []
    assert torch.equal(torch.cat([*parts]), centred(BYTES))
    assert made == [4, 4, 1]
    with pytest.raises(ValueError, match="rows is 0"):
        data.parts(0)


@pytest.mark.parametrize("stacked", [True, False])
def test_probes_predict_in_parts(stacked):
    """What they find is the same, and no pass or decoding sees more than was said."""
    passes, decoded = [], []

    class Net(torch.nn.Linear):
        def forward(self, x):
            passes.append(len(x))
            return super().forward(x.flatten(1))

    def seen(stored):
        decoded.append(len(stored))
        return centred(stored).double()

    size = centred(BYTES)[0].numel()
    ensemble = initialise(
        lambda: Net(size, 3), (1, 2), dtype=torch.float64, stacked=stacked
    )
    labels = Dataset(BYTES, LABELS % 3, seen)
    g = torch.Generator().manual_seed(0)
    wanted = torch.randn(len(BYTES), 3, generator=g, dtype=torch.float64)
    for whole, parted in (
        (accuracy_on(labels), accuracy_on(labels, 4)),
        (
            error_of_sets({"a": Dataset(BYTES, wanted, seen)}),
            error_of_sets({"a": Dataset(BYTES, wanted, seen)}, chunk=4),
        ),
        (
            alignment_with(Dataset(BYTES, wanted, seen)),
            alignment_with(Dataset(BYTES, wanted, seen), 4),
        ),
    ):
        first = whole(ensemble)
        assert max(decoded) == len(BYTES)  # a small set is one pass
        passes.clear(), decoded.clear()
        second = parted(ensemble)
        assert max(passes) == max(decoded) == (2 if stacked else 4)
        assert first.keys() == second.keys()
        for name, value in first.items():
            assert torch.allclose(value.double(), second[name].double(), atol=1e-12)


def test_values_sent_to_their_own_device_are_themselves():
    assert send(LABELS, torch.device("cpu")) is LABELS


def test_targets_that_do_not_fit():
    with pytest.raises(ValueError, match="9 inputs and 2 targets"):
        Dataset(BYTES, LABELS[:2], centred)
