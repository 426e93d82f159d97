"""Distances between networks that differ in rounding."""

import numpy as np
import pytest
import torch
from torch import nn

from spectral_book.claims.statistics import grid_spread_ratio, seeds_to_tell
from spectral_lib.data.dataset import Dataset
from spectral_lib.models.mlp import MLP
from spectral_lib.models.resnet import ResNet, ResNetSettings
from spectral_lib.probes.accuracy import accuracy_on
from spectral_lib.probes.divergence import (
    by_layer,
    from_first,
    gradient_of,
    grid,
    pick,
    relative_l1,
    relative_norm,
    share_changed,
    ulp_distance,
    weights_of,
    whole_network,
)
from spectral_lib.probes.stable_rate import largest_stable_rates
from spectral_lib.theory import kernel_pde
from spectral_lib.training.ensemble import initialise
from spectral_lib.training.loop import Record
from spectral_lib.training.losses import cross_entropy


def test_relative_l1_by_hand():
    a = torch.tensor([1.0, 0.0, -2.0, 0.0])
    b = torch.tensor([3.0, 0.0, 2.0, 1.0])
    # 2/4, (left out), 4/4, 1/1 over three entries, times two
    assert relative_l1(a, b).item() == pytest.approx(2 * (0.5 + 1 + 1) / 3)
    assert relative_l1(a, a).item() == 0
    assert relative_l1(a, -a).item() == 2
    assert relative_l1(torch.zeros(3), torch.zeros(3)).item() == 0


def test_relative_l1_agrees_with_the_theorys():
    a, b = torch.randn(2, 5, 4, 4, generator=torch.Generator().manual_seed(0))
    theirs = kernel_pde.relative_l1(a, b)
    assert torch.allclose(relative_l1(a.flatten(1), b.flatten(1)), theirs)


@pytest.mark.parametrize(
    ("dtype", "plain"), [(torch.float32, np.float32), (torch.float64, np.float64)]
)
def test_ulp_distance(dtype, plain):
    x = np.array([1.0, -1.0, 0.0, 1e-30, -0.0], plain)
    above = np.nextafter(x, plain(np.inf))
    twice = np.nextafter(above, plain(np.inf))
    x, above, twice = (torch.from_numpy(v) for v in (x, above, twice))
    assert ulp_distance(x, above).tolist() == [1] * 5
    assert ulp_distance(twice, x).tolist() == [2] * 5
    assert ulp_distance(x, x).tolist() == [0] * 5
    zero, smallest = torch.zeros(1, dtype=dtype), above[2:3]
    assert ulp_distance(-zero, zero).item() == 0
    assert ulp_distance(-smallest, smallest).item() == 2


def test_ulp_distance_refuses_other_types():
    with pytest.raises(TypeError, match="float16"):
        ulp_distance(torch.ones(1).half(), torch.ones(1).half())
    with pytest.raises(TypeError, match="float64"):
        ulp_distance(torch.ones(1), torch.ones(1).double())


def test_grid_keeps_factors_of_a_seed_together():
    assert grid([1, 2], [1, 3, 5]) == ((1, 1, 1, 2, 2, 2), (1, 3, 5, 1, 3, 5))


@pytest.fixture
def record():
    w = torch.randn(3, 4, 7, generator=torch.Generator().manual_seed(0))
    v = torch.randn(3, 4, 2, generator=torch.Generator().manual_seed(1))
    w[:, 1] = w[:, 0]  # the first seed's second factor changes only layer v
    return Record(torch.arange(3), {"w": w, "v": v})


def test_distances_compare_within_a_seed(record):
    w, v = record["w"], record["v"]
    found = from_first(w, 2)
    assert found.shape == (3, 2, 1)
    assert (found[:, 0] == 0).all()
    assert torch.equal(found[:, 1, 0], relative_l1(w[:, 3], w[:, 2]))
    whole = whole_network(record, 2)
    expected = (7 * found + 2 * from_first(v, 2)) / 9
    assert torch.allclose(whole, expected)
    assert set(by_layer(record, 2)) == {"w", "v"}
    assert share_changed(record, 2)[:, :, 0] == pytest.approx(
        torch.tensor([[2 / 9, 1.0]] * 3).double()
    )


def test_weights_are_copies():
    ensemble = initialise(lambda: MLP([2, 3, 1]), (1, 2))
    seen = weights_of()(ensemble)
    before = {k: v.clone() for k, v in seen.items()}
    for p in ensemble.parameters.values():
        p.data.add_(1)
    assert all(torch.equal(seen[k], before[k]) for k in seen)
    assert list(weights_of(["layers.0.bias"])(ensemble)) == ["layers.0.bias"]
    with pytest.raises(KeyError):
        weights_of(["no"])(ensemble)


@pytest.fixture(scope="module")
def batch():
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(8, 1, 8, 8, generator=generator)
    return Dataset(images, torch.randint(10, (8,), generator=generator))


def test_gradient_is_torchs_and_leaves_batch_norm_alone(batch):
    settings = ResNetSettings(1, (2, 3), 1)
    ensemble = initialise(lambda: ResNet(settings), (1, 2), stacked=False)
    before = {k: b.clone() for k, b in ensemble.buffers.items()}
    found = gradient_of(ensemble, batch, cross_entropy)
    assert all(torch.equal(before[k], b) for k, b in ensemble.buffers.items())

    torch.manual_seed(2)
    alone = ResNet(settings)
    nn.functional.cross_entropy(alone(batch.inputs), batch.targets).backward()
    expected = torch.cat([p.grad.flatten() for p in alone.parameters()])
    assert torch.allclose(found[1], expected, atol=1e-6)
    assert torch.equal(pick(ensemble, [1]).flatten()[0], ensemble.flatten()[1])


def test_relative_norm():
    found = relative_norm(torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 10.0]]))
    assert found.tolist() == [0.5]


def test_accuracy():
    ensemble = initialise(lambda: MLP([2, 2]), (1,))
    ensemble.parameters["layers.0.weight"].data[0] = torch.eye(2)
    ensemble.parameters["layers.0.bias"].data[0] = 0.0
    data = Dataset(torch.eye(2).repeat(2, 1), torch.tensor([0, 1, 1, 1]))
    seen = accuracy_on(data)(ensemble)
    assert seen["accuracy"].tolist() == [75.0]
    assert seen["class"].tolist() == [[0, 1, 0, 1]]


def test_stable_rate_of_strong_decay_is_two_over_it(batch):
    flat = Dataset(batch.inputs.flatten(1), batch.targets)
    rates = largest_stable_rates(
        lambda: MLP([64, 4, 10]), flat, [0.5, 1000.0], (1, 2), iterations=60
    )
    assert rates.shape == (2, 2)
    assert (rates[:, 1] * 1000 / 2) == pytest.approx(torch.ones(2).double(), abs=0.01)
    assert (rates[:, 0] * 0.5 / 2 < 0.95).all()
    with pytest.raises(ValueError, match="positive"):
        largest_stable_rates(lambda: MLP([64, 10]), flat, [0.0], (1,))


def test_grid_spread_ratio():
    generator = np.random.default_rng(0)
    seeds, factors = generator.normal(size=(200, 1)), generator.normal(size=(200, 5))
    alike = grid_spread_ratio(factors)
    assert alike.shape == (200,)
    assert alike.mean() == pytest.approx(1, abs=0.1)
    # a part common to all factors of a seed counts for the seeds alone
    assert grid_spread_ratio(10 * seeds + factors).mean() == pytest.approx(
        101**-0.5, rel=0.1
    )
    assert np.abs(grid_spread_ratio(seeds + np.zeros((1, 3)))).max() < 1e-12


def test_seeds_to_tell():
    assert seeds_to_tell(2.0, 6) < 10 < 100 < seeds_to_tell(0.16 / 0.17, 6)
    assert seeds_to_tell(0.5, 6) == pytest.approx(seeds_to_tell(2.0, 6), abs=1)
    with pytest.raises(ValueError, match="other than"):
        seeds_to_tell(1.0, 6)


def test_number_of_seeds_gives_the_power():
    seeds, columns = seeds_to_tell(1.5, 4), 4
    generator = np.random.default_rng(1)
    a = 1.5**2 * generator.chisquare(seeds * (columns - 1), 20000)
    b = generator.chisquare(columns * (seeds - 1), 20000)
    import scipy.stats

    f = (a / (seeds * (columns - 1))) / (b / (columns * (seeds - 1)))
    law = scipy.stats.f(seeds * (columns - 1), columns * (seeds - 1))
    told = (f > law.ppf(0.975)) | (f < law.ppf(0.025))
    assert 0.79 < told.mean() < 0.88
