"""Random changes of a batch."""

import math

import pytest
import torch
from scipy import stats

from spectral_lib.data.augmentations import crop_and_flip, cutout, mixup
from spectral_lib.data.decoding import Scaling
from spectral_lib.data.policies import auto_augment, rand_augment

COLOUR = Scaling((0.49, 0.48, 0.45), (0.25, 0.24, 0.26))
ALL = {
    "crop and flip": crop_and_flip(2),
    "cutout": cutout(3),
    "mixup": mixup(1.0, 10),
    "rand": rand_augment(COLOUR),
    "auto": auto_augment(COLOUR),
}


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def batch(replicas=1, size=50, channels=3, side=8):
    """Positive images, the same for every replica, and their labels."""
    x = torch.rand(size, channels, side, side, generator=generators(9)[0]) + 0.1
    y = torch.arange(size) % 10
    return x.repeat(replicas, 1, 1, 1, 1), y.repeat(replicas, 1)


@pytest.mark.parametrize("name", ALL)
def test_replicas_draw_from_their_own_generators(name):
    x, y = batch(3)
    before = torch.get_rng_state()
    inputs, targets = ALL[name](x, y, generators(4, 5, 4))
    assert inputs.shape == x.shape
    assert torch.equal(inputs[0], inputs[2])
    assert torch.equal(targets[0], targets[2])
    assert not torch.equal(inputs[0], inputs[1])
    alone, _ = ALL[name](x[:1], y[:1], generators(5))
    assert torch.allclose(alone[0], inputs[1], atol=1e-5)
    assert torch.equal(before, torch.get_rng_state())
    if name != "mixup":
        assert torch.equal(targets, y)


def test_shifts_and_mirrors():
    x = torch.arange(1.0, 1 + 64).view(1, 1, 1, 8, 8).repeat(1, 400, 1, 1, 1)
    y = torch.zeros(1, 400, dtype=torch.long)
    picture = torch.nn.functional.pad(x[0, 0, 0], [2] * 4)
    windows = [picture[i : i + 8, j : j + 8] for i in range(5) for j in range(5)]
    allowed = windows + [w.flip(1) for w in windows]
    moved, _ = crop_and_flip(2)(x, y, generators(0))
    hits = []
    for found in moved[0, :, 0]:
        (hit,) = [n for n, w in enumerate(allowed) if torch.equal(found, w)]
        hits.append(hit)
    assert set(hits) == set(range(50))
    assert sum(hit < 25 for hit in hits) / 400 == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("size", [0, 1, 3, 4, 8])
def test_cutout_is_a_square_cut_off_at_the_border(size):
    x = torch.ones(1, 2000, 2, 6, 6)
    holes, _ = cutout(size)(x, torch.zeros(1, 2000), generators(0))
    assert torch.equal(holes[:, :, 0], holes[:, :, 1])
    wanted = set()
    for i in range(6):
        for j in range(6):
            picture = torch.ones(6, 6)
            for a in range(size):
                for b in range(size):
                    at = (i - size // 2 + a, j - size // 2 + b)
                    if min(at) >= 0 and max(at) < 6:
                        picture[at] = 0
            wanted.add(tuple(picture.flatten().tolist()))
    found = {tuple(p[0].flatten().tolist()) for p in holes[0]}
    assert found == wanted


def test_mixup_lies_on_segments_between_the_batch():
    x, _ = batch(2, size=20)
    y = torch.arange(20).repeat(2, 1)  # each image its own class
    inputs, targets = mixup(1.0, 20)(x, y, generators(1, 2))
    assert targets.sum(-1).numpy() == pytest.approx(1)
    weights = [float(t.diagonal().min()) for t in targets]
    for r, w in enumerate(weights):
        partners = []
        for n in range(20):
            others = [m for m in range(20) if m != n and targets[r, n, m] > 0]
            partners.append(others[0] if others else n)
            wanted = w * x[r, n] + (1 - w) * x[r, partners[n]]
            assert torch.allclose(inputs[r, n], wanted, atol=1e-6)
            if others:
                assert targets[r, n, n].item() == pytest.approx(w)
                assert targets[r, n, others].tolist() == pytest.approx([1 - w])
        assert sorted(partners) == list(range(20))
    assert weights[0] != weights[1]


@pytest.mark.parametrize("alpha", [0.1, 1.0, 5.0])
def test_mixup_weights_follow_the_beta_distribution(alpha):
    x = torch.zeros(1, 1000, 1, 1, 1)  # so many that none is its own partner
    x[0, 0] = 1.0
    weights = []
    for seed in range(400):
        inputs, _ = mixup(alpha, 2)(x, torch.zeros(1, 1000).long(), generators(seed))
        weights.append(inputs[0, 0].item())
    for at in (0.02, 0.2, 0.5, 0.8, 0.98):
        share = sum(w <= at for w in weights) / 400
        assert share == pytest.approx(stats.beta(alpha, alpha).cdf(at), abs=0.07)


def test_ends_of_mixup():
    x, y = batch(1, size=30)
    for seed in range(4):
        inputs, targets = mixup(0.0, 10)(x, y, generators(seed))
        rows = [tuple(p.flatten().tolist()) for p in x[0]]
        assert sorted(tuple(p.flatten().tolist()) for p in inputs[0]) == sorted(rows)
        assert set(targets.unique().tolist()) == {0.0, 1.0}
    _, targets = mixup(math.inf, 10)(x, y, generators(0))
    assert set(targets.unique().tolist()) <= {0.0, 0.5, 1.0}
    again, twice = mixup(1.0, 10)(*mixup(1.0, 10)(x, y, generators(0)), generators(1))
    assert again.shape == x.shape
    assert twice.sum(-1).numpy() == pytest.approx(1)


def test_bad_input():
    for wrong, message in (
        (lambda: crop_and_flip(-1), "padding is -1"),
        (lambda: cutout(-2), "size is -2"),
        (lambda: mixup(-0.5, 10), "alpha is -0.5"),
        (lambda: mixup(math.nan, 10), "alpha is nan"),
    ):
        with pytest.raises(ValueError, match=message):
            wrong()
