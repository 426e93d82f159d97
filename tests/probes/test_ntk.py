import numpy as np
import pytest
import torch

from spectral_lib.data.frequencies import Normal
from spectral_lib.data.packets import midpoints
from spectral_lib.models.fourier_features import FourierFeatures, FourierSettings
from spectral_lib.models.mlp import MLP
from spectral_lib.probes.features_ntk import dense_features_ntk, fourier_features_ntk
from spectral_lib.probes.ntk import (
    empirical_ntk,
    jacobian_ntk,
    limit_of,
    mlp_ntk,
    ntk_on,
    predicted_flow,
    relative_change,
)
from spectral_lib.theory.infinite_width import WideNetwork
from spectral_lib.training.ensemble import initialise
from spectral_lib.training.loop import Dataset, Probe, TrainSettings, every, train
from spectral_lib.training.optimizers import OptimizerSettings

NORMAL = Normal(20.0)
X = midpoints(12)[:, None]
BUILDS = {
    "relu mlp": lambda: MLP([1, 7, 5, 1]),
    "tanh mlp": lambda: MLP([1, 9, 1], torch.tanh),
    "one layer": lambda: MLP([1, 1]),
    "cos_sin": lambda: FourierFeatures(FourierSettings(6, NORMAL, 1.3)),
    "frozen w": lambda: FourierFeatures(
        FourierSettings(6, NORMAL, train_frequencies=False)
    ),
    "phase": lambda: FourierFeatures(FourierSettings(6, NORMAL, 2.0, "phase")),
    "frozen phase": lambda: FourierFeatures(
        FourierSettings(
            5, NORMAL, 2.0, "phase", train_phases=False, antisymmetric=False
        )
    ),
    "dense": lambda: FourierFeatures(FourierSettings(6, NORMAL, hidden=4)),
    "dense phase": lambda: FourierFeatures(
        FourierSettings(6, NORMAL, 1.5, "phase", 4, "tanh")
    ),
    "dense frozen": lambda: FourierFeatures(
        FourierSettings(
            5, NORMAL, 1, "phase", 3, "relu", False, False, antisymmetric=False
        )
    ),
}


def moved(build, seeds=(1, 2), shift=0.1):
    """An ensemble away from its start, where antisymmetry no longer holds."""
    ensemble = initialise(build, seeds, dtype=torch.float64)
    weights = ensemble.flatten()
    noise = torch.randn(
        weights.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    return ensemble.unflatten(weights + shift * noise)


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
    ensemble = moved(BUILDS[name])
    naive = naive_ntk(ensemble, X, X)
    for way in (empirical_ntk, jacobian_ntk):
        torch.testing.assert_close(way(ensemble, X), naive, rtol=1e-11, atol=1e-11)
        torch.testing.assert_close(
            way(ensemble, X[:5], X), naive[:, :5], rtol=1e-11, atol=1e-11
        )
    if name != "one layer":  # of a linear function it does not depend on the weights
        assert not torch.allclose(naive[0], naive[1], rtol=1e-2)


@pytest.mark.parametrize("memory", [1, 400, 3000, 10**6])
def test_a_memory_bound_changes_nothing_but_rounding(memory):
    for name in ("dense", "phase"):
        ensemble = moved(BUILDS[name])
        whole = jacobian_ntk(ensemble, X)
        for way in (jacobian_ntk, empirical_ntk):  # the latter's portions: "phase"
            torch.testing.assert_close(way(ensemble, X, memory=memory), whole)
            torch.testing.assert_close(way(ensemble, X, X[:7], memory), whole[..., :7])


def test_memory_bound_holds(monkeypatch):
    """No block of gradients is larger than the rows that fit."""
    import spectral_lib.probes.ntk as module

    seen = []

    def spy(function, in_dims):
        inner = torch.func.vmap(function, in_dims=in_dims)

        def call(parameters, points):
            seen.append(len(points))
            return inner(parameters, points)

        return call

    monkeypatch.setattr(module, "vmap", spy)
    ensemble = moved(BUILDS["dense"], seeds=(1,))
    one = ensemble.flatten().numel() * 8
    jacobian_ntk(ensemble, X, memory=2 * 5 * one)
    assert max(seen) == 5


def test_monte_carlo_error_falls_like_the_root_of_the_width():
    widths, errors = (400, 1600, 6400, 25600), []
    wanted = torch.from_numpy(WideNetwork(NORMAL).kernel(X))
    for width in widths:
        settings = FourierSettings(width, NORMAL, antisymmetric=False)
        ensemble = initialise(lambda s=settings: FourierFeatures(s), range(12))
        kernel = empirical_ntk(ensemble, X.float())
        errors.append(float(relative_change(kernel, wanted).mean()))
    slope = np.polyfit(np.log(widths), np.log(errors), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.1)


@pytest.mark.parametrize(
    "options",
    [
        {"sigma_a": 1.7},
        {"train_frequencies": False},
        {"features": "phase", "sigma_a": 0.6},
        {"features": "phase", "train_phases": False},
        {"hidden": 300, "activation": "tanh"},
        {"hidden": 300, "activation": "relu", "sigma_a": 1.5},
    ],
)
def test_the_limit_of_a_networks_settings_is_what_its_kernel_tends_to(options):
    settings = FourierSettings(600, NORMAL, antisymmetric=False, **options)
    ensemble = initialise(lambda: FourierFeatures(settings), range(30))
    mean = empirical_ntk(ensemble, X.float()).double().mean(0)
    wanted = torch.from_numpy(limit_of(settings).kernel(X))
    assert float(relative_change(mean, wanted)) < 0.05


@pytest.mark.parametrize("antisymmetric", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"train_frequencies": False},
        {"features": "phase"},
        {"features": "phase", "train_phases": False},
    ],
)
def test_wide_kernel_is_the_closed_form(options, antisymmetric):
    settings = FourierSettings(
        100_000, NORMAL, 1.5, antisymmetric=antisymmetric, **options
    )
    ensemble = initialise(lambda: FourierFeatures(settings), (1,))
    wanted = torch.from_numpy(WideNetwork(NORMAL, 1.5, **options).kernel(X))
    change = relative_change(fourier_features_ntk(ensemble, X.float()), wanted)
    assert float(change) < 0.02
    others = [{}, {"train_frequencies": False}, {"features": "phase"}]
    for other in others:
        same = WideNetwork(NORMAL, 1.5, **other).kernel(X)
        if not np.allclose(same, wanted):
            gap = relative_change(torch.from_numpy(same), wanted)
            assert float(gap) > 0.1  # the others are far away


@pytest.mark.parametrize("activation", ["sin", "tanh", "relu"])
@pytest.mark.parametrize("features", ["cos_sin", "phase"])
def test_dense_kernel_is_its_closed_form(activation, features):
    limit = WideNetwork(NORMAL, 1.3, activation, features)
    wanted, errors = torch.from_numpy(limit.kernel(X)), []
    for width in (100, 400):
        settings = FourierSettings(
            width, NORMAL, 1.3, features, width, activation, antisymmetric=False
        )
        ensemble = initialise(lambda s=settings: FourierFeatures(s), range(20))
        mean = empirical_ntk(ensemble, X.float()).double().mean(0)
        errors.append(float(relative_change(mean, wanted)))
    assert errors[1] < 0.06
    assert errors[1] < 0.8 * errors[0]


def test_antisymmetric_start_keeps_the_kernel_of_half_the_width():
    both = initialise(lambda: FourierFeatures(FourierSettings(40, NORMAL)), (5,))
    settings = FourierSettings(20, NORMAL, antisymmetric=False)
    half = initialise(lambda: FourierFeatures(settings), (5,))
    torch.testing.assert_close(
        empirical_ntk(both, X.float()), empirical_ntk(half, X.float())
    )


def test_as_a_probe_it_sees_the_kernel_change_and_not_the_run():
    ensemble = initialise(lambda: MLP([1, 20, 20, 1]), (1, 2), dtype=torch.float64)
    settings = TrainSettings(4, len(X), OptimizerSettings("sgd", 0.05))
    data = Dataset(X, torch.sin(3 * X))
    probe = Probe(ntk_on(X), every(4, 2))
    run = train(ensemble, data, settings, {"ntk": probe})
    plain = train(ensemble, data, settings)
    assert torch.equal(run.ensemble.flatten(), plain.ensemble.flatten())
    kernels = run.records["ntk"]["kernel"]
    assert kernels.shape == (3, 2, 12, 12)
    torch.testing.assert_close(kernels[0], empirical_ntk(ensemble, X))
    assert (relative_change(kernels[2], kernels[0]) > 1e-4).all()


def test_small_steps_follow_the_predicted_flow():
    """The kernel's own flow predicts the first steps of an ordinary ReLU network."""
    ensemble = initialise(lambda: MLP([1, 300, 300, 1]), (1, 2), dtype=torch.float64)
    target = torch.sin(3 * X)
    start = ensemble.predict(X).squeeze(-1) - target[:, 0]
    flow = predicted_flow(empirical_ntk(ensemble, X))
    assert flow.rates.shape == (2, 12)
    step, steps = 0.02 / flow.largest_rate, 40
    settings = TrainSettings(steps, len(X), OptimizerSettings("sgd", step / 2))
    run = train(ensemble, Dataset(X, target), settings)
    end = run.ensemble.predict(X).squeeze(-1) - target[:, 0]
    predicted = torch.from_numpy(flow.error(start.numpy(), [step * steps])[0])
    moved = (end - start).norm(dim=1)
    assert ((end - predicted).norm(dim=1) < 0.05 * moved).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda e: jacobian_ntk(e, X), "2 outputs a point"),
        (lambda e: mlp_ntk(e, X), "2 outputs a point"),
        (lambda e: fourier_features_ntk(e, X), "without a dense layer"),
    ],
)
def test_bad_inputs(call, message):
    ensemble = initialise(lambda: MLP([1, 3, 2]), (1,), dtype=torch.float64)
    with pytest.raises(ValueError, match=message):
        call(ensemble)
    dense = initialise(BUILDS["dense"], (1,))
    with pytest.raises(ValueError, match="is for an MLP"):
        mlp_ntk(dense, X)
    with pytest.raises(ValueError, match="with a dense layer"):
        dense_features_ntk(ensemble, X)
