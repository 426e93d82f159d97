"""Wrong labels and the record of which."""

import pytest
import torch

from spectral_lib.data.dataset import Dataset
from spectral_lib.data.label_noise import shuffle_labels

DATA = Dataset(torch.arange(2000.0)[:, None], torch.arange(2000) % 10)


def test_chosen_labels_alone_change():
    noisy = shuffle_labels(DATA, 0.2, seed=1)
    assert len(noisy.chosen) == 400
    assert noisy.chosen.tolist() != list(range(400))
    others = torch.ones(2000, dtype=torch.bool)
    others[noisy.chosen] = False
    assert torch.equal(noisy.data.targets[others], DATA.targets[others])
    assert torch.equal(noisy.data.inputs, DATA.inputs)
    assert noisy.perturbed.inputs[:, 0].long().tolist() == noisy.chosen.tolist()
    assert torch.equal(noisy.perturbed.targets, noisy.data.targets[noisy.chosen])
    again, other = (shuffle_labels(DATA, 0.2, seed=seed) for seed in (1, 5))
    assert torch.equal(noisy.data.targets, again.data.targets)
    assert not torch.equal(noisy.chosen, other.chosen)
    assert torch.equal(shuffle_labels(DATA, 0.0).data.targets, DATA.targets)
    assert len(shuffle_labels(DATA, 1.0).chosen) == 2000


def test_labels_occur_as_often_as_before():
    noisy = shuffle_labels(DATA, 0.2, seed=1)
    assert noisy.data.targets.bincount().tolist() == [200] * 10
    changed = (noisy.data.targets != DATA.targets).sum().item()
    assert changed / 400 == pytest.approx(0.9, abs=0.05)


def test_bad_input():
    for share in (-0.1, 1.1):
        with pytest.raises(ValueError, match=f"share is {share}; give 0 to 1"):
            shuffle_labels(DATA, share)
    with pytest.raises(ValueError, match="give one class index an example"):
        shuffle_labels(Dataset(torch.zeros(3, 1), torch.zeros(3, 10)), 0.5)
