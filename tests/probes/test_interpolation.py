import math

import numpy as np
import pytest
import torch
from torch import nn

from spectral_lib.data.dataset import Dataset
from spectral_lib.models.mlp import MLP
from spectral_lib.probes.interpolation import (
    PathSettings,
    follow_paths,
    interpolation,
    pairs_between,
    pairs_within,
    path_lengths,
)
from spectral_lib.training.ensemble import initialise
from spectral_lib.training.loop import TrainSettings, train
from spectral_lib.training.losses import cross_entropy
from spectral_lib.training.optimizers import OptimizerSettings

NAN = math.nan


def example(images=30, classes=3):
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(classes, (images,), generator=generator)
    spread = 0.5 + torch.rand(images, 1, generator=generator)
    inputs = spread * torch.randn(images, 6, generator=generator)
    inputs[:, :classes] += 1.5 * nn.functional.one_hot(labels, classes)
    return inputs, labels


def trained(inputs, labels, seeds=(1, 2, 3), stacked=True, epochs=6):
    """Replicas that get some images wrong, each different ones."""
    ensemble = initialise(lambda: MLP([6, 16, 3]), seeds, stacked=stacked)
    settings = TrainSettings(epochs, 10, OptimizerSettings("sgd", 0.2), cross_entropy)
    return train(ensemble, Dataset(inputs, labels), settings).ensemble


def one_by_one(network, x0, x1, step, bins):
    """Values of one path, a point at a time: bins (or NaN), mean, largest gradient."""
    length = float((x1 - x0).double().norm())
    outputs, shares = [], []
    t = 0
    while t * step < length:
        share = t * step / length
        point = (1 - share) * x0 + share * x1
        outputs.append(network(point[None])[0].double())
        shares.append(share)
        t += 1
    rows = torch.softmax(torch.stack(outputs), dim=1).detach().numpy()
    change = [np.sqrt(((p - rows[0]) ** 2).sum()) for p in rows]
    slopes = [
        np.sqrt(((rows[i + 1] - rows[i]) ** 2).sum()) / (shares[i + 1] - shares[i])
        for i in range(len(rows) - 1)
    ]
    curve = [
        [v for v, s in zip(change, shares, strict=True) if b <= s * bins < b + 1]
        for b in range(bins)
    ]
    means = [np.mean(v) if v else NAN for v in curve]
    return means, np.mean(change), max(slopes, default=NAN)


def slow_averages(network, inputs, labels, pairs, settings):
    """The readings of one network, path by path, over its own correct pairs."""

    def right(i):
        return int(network(inputs[i][None]).argmax()) == int(labels[i])

    kept = [(i, j) for i, j in pairs.tolist() if right(i) and right(j)]
    found = [
        one_by_one(network, inputs[i], inputs[j], settings.step, settings.bins)
        for i, j in kept
    ]
    if not found:
        return [NAN] * settings.bins, NAN, NAN, 0
    curve = np.array([c for c, _, _ in found], dtype=float)
    steep = np.array([g for _, _, g in found], dtype=float)
    averages = [
        np.mean(v[~np.isnan(v)]) if (~np.isnan(v)).any() else NAN for v in curve.T
    ]
    gradient = np.mean(steep[~np.isnan(steep)]) if (~np.isnan(steep)).any() else NAN
    return averages, np.mean([d for _, d, _ in found]), gradient, len(found)


@pytest.mark.parametrize("step", [0.17, 1.03])
@pytest.mark.parametrize("stacked", [True, False])
def test_equals_a_loop_over_points_for_each_replica(stacked, step):
    inputs, labels = example()
    ensemble = trained(inputs, labels, stacked=stacked)
    settings = PathSettings(pairs=5, step=step, bins=7, chunk=16)
    seen = interpolation(inputs, labels, settings)(ensemble)
    kinds = {"within": pairs_within(labels, 5), "between": pairs_between(labels, 5)}
    for kind, pairs in kinds.items():
        for r in range(3):
            one = ensemble.replica(r)
            curve, difference, gradient, count = slow_averages(
                lambda x, one=one: one.predict(x)[0], inputs, labels, pairs, settings
            )
            got = {k: seen[f"{kind} {k}"][r] for k in ("curve", "difference")}
            np.testing.assert_allclose(got["curve"].numpy(), curve, atol=1e-6)
            assert got["difference"].item() == pytest.approx(difference, rel=1e-5)
            steep = seen[f"{kind} gradient"][r].item()
            assert steep == pytest.approx(gradient, rel=1e-4)
            assert seen[f"{kind} pairs"][r].item() == count
    counts = torch.stack([seen["within pairs"], seen["between pairs"]])
    assert len(counts.unique()) > 2  # replicas do differ in what they get right
    assert (counts < torch.tensor([[len(p)] for p in kinds.values()])).any()


@pytest.mark.parametrize("stacked", [True, False])
def test_chunks_bound_every_pass_and_change_only_rounding(stacked, monkeypatch):
    inputs, labels = example()
    ensemble = trained(inputs, labels, stacked=stacked)
    together = len(ensemble) if stacked else 1
    pairs = torch.cat([pairs_within(labels, 9), pairs_between(labels, 9)])
    longest = math.ceil(path_lengths(inputs, pairs).max() / 0.2)
    batches = []

    def counting(way):
        def spy(self, *given):
            batches.append(given[-1].shape[:-1].numel())
            return way(self, *given)

        return spy

    for way in (MLP.forward, MLP.replicas):
        monkeypatch.setattr(MLP, way.__name__, counting(way))

    def seen(chunk):
        batches.clear()
        settings = PathSettings(pairs=9, step=0.2, chunk=chunk)
        return interpolation(inputs, labels, settings)(ensemble)

    whole = seen(10**6)
    assert max(batches) > 200
    for chunk in (1, 50, 101, 300):
        parts = seen(chunk)
        assert max(batches) <= max(chunk, together * longest)
        for name, value in whole.items():
            torch.testing.assert_close(
                parts[name], value, rtol=1e-5, atol=1e-6, equal_nan=True
            )


def test_equal_images_do_not_change_and_have_no_gradient():
    inputs = torch.tensor([[1.0, 2.0], [1.0, 2.0], [4.0, 0.0]])
    pairs = torch.tensor([[0, 1], [0, 2]])
    paths = follow_paths(lambda x: x.softmax(-1)[None], inputs, pairs, PathSettings())
    assert paths.difference[0, 0].item() == 0
    assert paths.gradient.isnan().tolist() == [[True, False]]
    assert paths.curve[0, 0].isnan().tolist() == [False] + 19 * [True]


class Constant(nn.Module):
    """Says one class for everything, more surely for larger images."""

    def __init__(self, says):
        super().__init__()
        self.bias = nn.Parameter(5.0 * nn.functional.one_hot(torch.tensor(says), 3))

    def forward(self, x):
        return self.bias * (1 + x.square().mean(1, keepdim=True))


def test_only_pairs_with_both_images_right_count_each_replica_its_own():
    inputs, labels = example()
    names = iter([0, 2])
    ensemble = initialise(lambda: Constant(next(names)), [1, 2])
    seen = interpolation(inputs, labels, PathSettings(pairs=100, step=0.2))(ensemble)
    of_class = labels.bincount() // 2
    assert seen["within pairs"].tolist() == [of_class[0], of_class[2]]
    assert seen["within difference"].isfinite().all()
    assert seen["between pairs"].tolist() == [0, 0]
    for name in ("curve", "difference", "gradient"):
        assert seen[f"between {name}"].isnan().all()


def test_pairs_follow_the_order_of_the_data():
    labels = torch.tensor([2, 0, 2, 0, 1, 2, 2, 0, 2])
    assert pairs_within(labels, 9).tolist() == [[1, 3], [0, 2], [5, 6]]
    assert pairs_within(labels, 1).tolist() == [[1, 3], [0, 2]]
    assert pairs_between(labels, 2).tolist() == [[1, 4], [1, 0], [3, 2], [4, 0]]
    assert pairs_between(labels, 9).tolist() == [
        *([1, 4], [1, 0], [3, 2], [7, 5]),
        [4, 0],
    ]
    assert pairs_between(labels[:1], 9).shape == (0, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pairs": 0}, "pairs is 0"),
        ({"step": NAN}, "step is nan"),
    ],
)
def test_bad_settings(change, message):
    with pytest.raises(ValueError, match=message):
        PathSettings(**change)


def test_bad_inputs():
    inputs, labels = example()
    with pytest.raises(ValueError, match="one class number an image"):
        interpolation(inputs, labels[:-1])
    with pytest.raises(ValueError, match="give no pair"):
        interpolation(inputs[:1], labels[:1])
    with pytest.raises(ValueError, match=r"step is 50 and the longest path \d"):
        interpolation(inputs, labels, PathSettings(step=50))


def test_centres_of_bins():
    torch.testing.assert_close(
        PathSettings(bins=4).centres,
        torch.tensor([0.125, 0.375, 0.625, 0.875]).double(),
    )
