"""Inputs with targets, and batches of them."""

import pytest
import torch

from spectral_lib.data.dataset import Dataset, compose, send

INPUTS = torch.randn(9, 2, 3, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(9)


def test_batches_are_rows_of_any_shape():
    data = Dataset(INPUTS, LABELS)
    assert data.shape == (2, 3)
    assert len(data) == 9
    for rows in (torch.tensor([3, 1]), torch.tensor([[0, 8], [2, 2], [5, 7]])):
        inputs, targets = data.batch(rows)
        assert torch.equal(inputs, INPUTS[rows])
        assert torch.equal(targets, rows)


def test_changes_are_composed_in_the_order_given():
    def double(x, y, generators):
        return 2 * x, y + generators[0]

    def add(x, y, generators):
        return x + 1, -y

    x, y = compose(double, add)(INPUTS, LABELS, [10])
    assert torch.equal(x, 2 * INPUTS + 1)
    assert torch.equal(y, -(LABELS + 10))


def test_values_sent_to_their_own_device_are_themselves():
    assert send(LABELS, torch.device("cpu")) is LABELS


def test_targets_that_do_not_fit():
    with pytest.raises(ValueError, match="9 inputs and 2 targets"):
        Dataset(INPUTS, LABELS[:2])
