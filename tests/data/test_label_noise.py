"""Wrong labels and the record of which."""

import pytest
import torch

from spectral_lib.data.dataset import Dataset
from spectral_lib.data.label_noise import flip_labels, shuffle_labels

DATA = Dataset(torch.arange(2000.0)[:, None], torch.arange(2000) % 10)


def flip(data, share, seed=0, **options):
    return flip_labels(data, share, 10, seed, **options)


@pytest.mark.parametrize("balanced", [False, True])
def test_shuffled_labels(balanced):
    noisy = shuffle_labels(DATA, 0.2, seed=1, balanced=balanced)
    assert len(noisy.chosen) == 400
    assert noisy.data.targets.bincount().tolist() == [200] * 10
    others = torch.ones(2000, dtype=torch.bool)
    others[noisy.chosen] = False
    assert torch.equal(noisy.data.targets[others], DATA.targets[others])
    assert torch.equal(noisy.data.inputs, DATA.inputs)
    assert torch.equal(noisy.clean, DATA.targets)
    assert len(noisy.changed) / 400 == pytest.approx(0.9, abs=0.05)
    assert set(noisy.changed.tolist()) <= set(noisy.chosen.tolist())
    assert noisy.perturbed.inputs[:, 0].long().tolist() == noisy.chosen.tolist()
    assert torch.equal(noisy.perturbed.targets, noisy.data.targets[noisy.chosen])


@pytest.mark.parametrize("balanced", [False, True])
def test_flipped_labels_all_change_and_are_uniform(balanced):
    noisy = flip(DATA, 0.5, balanced=balanced)
    assert torch.equal(noisy.changed, noisy.chosen)
    assert len(noisy.changed) == 1000
    step = (noisy.data.targets - noisy.clean)[noisy.chosen] % 10
    assert (step.bincount(minlength=10)[1:] / 1000).tolist() == pytest.approx(
        [1 / 9] * 9, abs=0.04
    )


@pytest.mark.parametrize("noise", [shuffle_labels, flip])
def test_choice(noise):
    counts = DATA.targets[noise(DATA, 0.1, balanced=True).chosen].bincount()
    assert counts.tolist() == [20] * 10
    assert noise(DATA, 0.1).chosen.tolist() != list(range(200))
    assert len(noise(DATA, 0.0).changed) == 0
    assert len(noise(DATA, 1.0).chosen) == 2000
    first, again, other = noise(DATA, 0.3), noise(DATA, 0.3), noise(DATA, 0.3, 5)
    assert torch.equal(first.data.targets, again.data.targets)
    assert not torch.equal(first.chosen, other.chosen)


@pytest.mark.parametrize("noise", [shuffle_labels, flip])
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
