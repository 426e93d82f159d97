import pytest
import torch
from torch import nn

from spectral_lib.data.frequencies import Normal
from spectral_lib.data.packets import midpoints
from spectral_lib.models.fourier_features import FourierFeatures, FourierSettings
from spectral_lib.models.mlp import MLP
from spectral_lib.probes import ntk
from spectral_lib.probes.ntk import (
    empirical_ntk,
    jacobian_ntk,
    mlp_ntk,
    relative_change,
)
from spectral_lib.training.ensemble import Ensemble, initialise

X = midpoints(12)[:, None]
BUILDS = {
    "relu mlp": lambda: MLP([1, 7, 5, 1]),
    "tanh mlp": lambda: MLP([1, 9, 1], torch.tanh),
    "one layer": lambda: MLP([1, 1]),
    "dense": lambda: FourierFeatures(FourierSettings(6, Normal(20.0), hidden=4)),
    "frozen w": lambda: FourierFeatures(
        FourierSettings(6, Normal(20.0), train_frequencies=False)
    ),
}


def ensemble_of(name, seeds=(1, 2), shift=0.1):
    """Networks away from their start, where halves and biases are no longer alike."""
    ensemble = initialise(BUILDS[name], seeds, dtype=torch.float64)
    weights = ensemble.flatten()
    torch.manual_seed(0)
    return ensemble.unflatten(weights + shift * torch.randn_like(weights))


def naive_ntk(ensemble, x, y):
    """One backward pass a point; gradients of all parameters side by side."""

    def jacobian(r, points):
        net = ensemble.replica(r)
        rows = []
        for point in points:
            value = net(point[None, None]).squeeze()
            gradient = torch.autograd.grad(value, list(net.parameters.values()))
            rows.append(torch.cat([g.flatten() for g in gradient]))
        return torch.stack(rows)

    return torch.stack(
        [jacobian(r, x) @ jacobian(r, y).T for r in range(len(ensemble))]
    ).detach()


@pytest.mark.parametrize("name", BUILDS)
def test_every_way_equals_a_loop_over_samples(name):
    ensemble = ensemble_of(name)
    naive = naive_ntk(ensemble, X, X)
    for way in (empirical_ntk, jacobian_ntk):
        torch.testing.assert_close(way(ensemble, X), naive, rtol=1e-11, atol=1e-11)
        torch.testing.assert_close(
            way(ensemble, X[:5], X), naive[:, :5], rtol=1e-11, atol=1e-11
        )
    if name != "one layer":  # of a linear function it does not depend on the weights
        assert not torch.allclose(naive[0], naive[1], rtol=1e-2)


@pytest.mark.parametrize("rows", [1, 5, 12])
def test_a_memory_bound_holds_and_changes_nothing_but_rounding(rows, monkeypatch):
    blocks = []

    def spy(function, in_dims):
        inner = torch.func.vmap(function, in_dims=in_dims)

        def call(parameters, points):
            blocks.append(len(points))
            return inner(parameters, points)

        return call

    ensemble = ensemble_of("dense")
    whole = jacobian_ntk(ensemble, X)
    monkeypatch.setattr(ntk, "vmap", spy)
    memory = 2 * rows * ensemble.flatten()[0].numel() * 8
    torch.testing.assert_close(jacobian_ntk(ensemble, X, memory=memory), whole)
    part = jacobian_ntk(ensemble, X, X[:7], memory)
    torch.testing.assert_close(part, whole[..., :7])
    assert max(blocks) == rows


@pytest.mark.parametrize("dense", [False, True])
def test_antisymmetric_start_keeps_the_kernel_of_half_the_width(dense):
    def kernel(width, antisymmetric):
        settings = FourierSettings(
            width, Normal(20.0), hidden=width * dense, antisymmetric=antisymmetric
        )
        ensemble = initialise(lambda: FourierFeatures(settings), (5,))
        return empirical_ntk(ensemble, X.float())

    torch.testing.assert_close(kernel(40, True), kernel(20, False))


def test_frozen_parameters_are_no_part_of_a_kernel():
    torch.manual_seed(0)
    net = MLP([2, 5, 1]).double()
    x = torch.randn(4, 2, dtype=torch.float64)
    whole = empirical_ntk(Ensemble.of(net), x)
    for p in list(net.parameters())[:2]:
        p.requires_grad_(False)
    rows = []
    for one in x:
        learned = [p for p in net.parameters() if p.requires_grad]
        gradient = torch.autograd.grad(net(one[None]).squeeze(), learned)
        rows.append(torch.cat([g.flatten() for g in gradient]))
    gradients = torch.stack(rows)
    found = empirical_ntk(Ensemble.of(net), x)
    assert torch.allclose(found[0], gradients @ gradients.T)
    assert not torch.allclose(found, whole)
    assert torch.equal(Ensemble.of(net).predict(x)[0], net(x).detach())
    with pytest.raises(ValueError, match="frozen"):
        mlp_ntk(Ensemble.of(net), x)
    with pytest.raises(ValueError, match="all parameters are frozen"):
        empirical_ntk(Ensemble.of(net.requires_grad_(False)), x)


def test_relative_change_is_that_of_each_replica():
    kernels = torch.tensor([[[3.0, 0.0], [0.0, 4.0]], [[1.0, 1.0], [1.0, 1.0]]])
    change = relative_change(kernels, torch.tensor([[3.0, 0.0], [0.0, 0.0]]))
    torch.testing.assert_close(change, torch.tensor([16.0, 7.0]).double().sqrt() / 3)


@pytest.mark.parametrize("way", [jacobian_ntk, mlp_ntk])
def test_more_than_one_output_is_refused(way):
    ensemble = initialise(lambda: MLP([1, 3, 2]), (1,), dtype=torch.float64)
    with pytest.raises(ValueError, match="2 outputs a point"):
        way(ensemble, X)


def test_the_way_of_perceptrons_is_for_them():
    with pytest.raises(ValueError, match="is for an MLP"):
        mlp_ntk(ensemble_of("dense"), X)


def test_kernel_is_that_of_evaluation_mode():
    def build():
        return nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))

    start = initialise(build, (3,))
    x = torch.randn(5, 2)
    found = jacobian_ntk(start, x)
    assert start.module.training
    start.module.eval()
    assert torch.equal(found, jacobian_ntk(start, x))
