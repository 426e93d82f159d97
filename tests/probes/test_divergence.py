"""Distances between networks that differ in rounding."""

import pytest
import torch
from torch import nn

from spectral_lib.data.dataset import Dataset
from spectral_lib.models.mlp import MLP
from spectral_lib.models.resnet import ResNet, ResNetSettings
from spectral_lib.probes.divergence import (
    from_first,
    gradient_of,
    grid,
    pick,
    share_changed,
    weights_of,
    whole_network,
)
from spectral_lib.theory.kernel_pde import relative_l1
from spectral_lib.training.ensemble import initialise
from spectral_lib.training.losses import cross_entropy
from spectral_lib.training.runs import Record


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
    assert share_changed(record, 2)[:, :, 0] == pytest.approx(
        torch.tensor([[2 / 9, 1.0]] * 3).double()
    )


def test_weights_are_copies():
    ensemble = initialise(lambda: MLP([2, 3, 1]), (1, 2))
    reading = weights_of()(ensemble)
    assert reading["layers.0.weight"].shape == (2, 6)
    before = {k: v.clone() for k, v in reading.items()}
    for p in ensemble.parameters.values():
        p.data.add_(1)
    assert all(torch.equal(reading[k], before[k]) for k in reading)


def test_gradient_is_torchs_and_leaves_batch_norm_alone():
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(8, 1, 8, 8, generator=generator)
    batch = Dataset(images, torch.randint(10, (8,), generator=generator))
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
