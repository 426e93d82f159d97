"""Wrong labels and the record of which."""

from functools import partial

import pytest
import torch

from spectral_lib.data.dataset import Dataset
from spectral_lib.data.label_noise import flip_labels, shuffle_labels

DATA = Dataset(torch.arange(2000.0)[:, None], torch.arange(2000) % 10)
BOTH = pytest.mark.parametrize(
    "noise", [shuffle_labels, partial(flip_labels, classes=10)]
)


@BOTH
def test_chosen_labels_alone_change(noise):
    noisy = noise(DATA, 0.2, seed=1)
    assert len(noisy.chosen) == 400
    assert noisy.chosen.tolist() != list(range(400))
    others = torch.ones(2000, dtype=torch.bool)
    others[noisy.chosen] = False
    assert torch.equal(noisy.data.targets[others], DATA.targets[others])
    assert torch.equal(noisy.data.inputs, DATA.inputs)
    assert noisy.perturbed.inputs[:, 0].long().tolist() == noisy.chosen.tolist()
    assert torch.equal(noisy.perturbed.targets, noisy.data.targets[noisy.chosen])
    again, other = noise(DATA, 0.2, seed=1), noise(DATA, 0.2, seed=5)
    assert torch.equal(noisy.data.targets, again.data.targets)
    assert not torch.equal(noisy.chosen, other.chosen)
    assert torch.equal(noise(DATA, 0.0).data.targets, DATA.targets)
    assert len(noise(DATA, 1.0).chosen) == 2000


def test_shuffled_labels_occur_as_often_as_before():
    noisy = shuffle_labels(DATA, 0.2, seed=1)
    assert noisy.data.targets.bincount().tolist() == [200] * 10
    changed = (noisy.data.targets != DATA.targets).sum().item()
    assert changed / 400 == pytest.approx(0.9, abs=0.05)


def test_flipped_labels_all_change_and_are_uniform():
    noisy = flip_labels(DATA, 0.5, 10)
    step = (noisy.data.targets - DATA.targets)[noisy.chosen] % 10
    counts = step.bincount(minlength=10)
    assert counts[0] == 0
    assert (counts[1:] / 1000).tolist() == pytest.approx([1 / 9] * 9, abs=0.04)


@BOTH
def test_bad_input(noise):
    for share in (-0.1, 1.1):
        with pytest.raises(ValueError, match=f"share is {share}; give 0 to 1"):
            noise(DATA, share)
    with pytest.raises(ValueError, match="give one class index an example"):
        noise(Dataset(torch.zeros(3, 1), torch.zeros(3, 10)), 0.5)


def test_bad_classes():
    with pytest.raises(ValueError, match="a label is 9; with 5 classes"):
        flip_labels(DATA, 0.1, 5)
    with pytest.raises(ValueError, match="give at least 2"):
        flip_labels(DATA, 0.1, 1)
