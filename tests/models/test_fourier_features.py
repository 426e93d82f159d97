import pytest
import torch

from spectral_lib.data.frequencies import Normal, Uniform
from spectral_lib.data.packets import Packets, midpoints
from spectral_lib.models.fourier_features import FourierFeatures, FourierSettings
from spectral_lib.training.ensemble import initialise
from spectral_lib.training.loop import Dataset, TrainSettings, train
from spectral_lib.training.optimizers import OptimizerSettings

NORMAL = Normal(20.0)
VARIANTS = {
    "cos_sin": {},
    "sin": {"hidden": 30},
    "tanh": {"hidden": 62, "activation": "tanh"},
    "relu": {"hidden": 62, "activation": "relu"},
}


def ensemble_of(settings, seeds=(1, 2, 3), **options):
    return initialise(lambda: FourierFeatures(settings), seeds, **options)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("width", "points"), [(2, 1), (14, 121), (1002, 7)])
def test_antisymmetric_start_is_exactly_zero(variant, width, points):
    settings = FourierSettings(width, NORMAL, **VARIANTS[variant])
    for dtype in (torch.float32, torch.float64):
        for seeds in ((1,), (1, 2, 3)):
            ensemble = ensemble_of(settings, seeds, dtype=dtype)
            # Training looks at the weights as views of one tensor.
            ensemble = ensemble.unflatten(ensemble.flatten())
            output = ensemble.predict(midpoints(points).to(dtype)[:, None])
            assert output.shape == (len(seeds), points, 1)
            assert torch.equal(output, torch.zeros_like(output))


def test_two_layers_are_the_sum_they_claim_to_be():
    net = FourierFeatures(FourierSettings(6, NORMAL, 1.5, antisymmetric=False))
    x = midpoints(9).float()
    a, b = net.amplitude[0].chunk(2)
    total = sum(
        a[j] * torch.cos(net.frequency[0, j] * x)
        + b[j] * torch.sin(net.frequency[0, j] * x)
        for j in range(6)
    )
    torch.testing.assert_close(net(x[:, None])[:, 0], total / 6**0.5)


def test_an_antisymmetric_network_is_the_difference_of_its_halves():
    net = FourierFeatures(FourierSettings(6, NORMAL))
    with torch.no_grad():
        net.amplitude[1] += torch.randn(6)
    x = midpoints(9).float()
    total = sum(
        sign * (a[j] * torch.cos(w[j] * x) + a[j + 3] * torch.sin(w[j] * x))
        for w, a, sign in zip(net.frequency, net.amplitude, (1, -1), strict=True)
        for j in range(3)
    )
    torch.testing.assert_close(net(x[:, None])[:, 0], total / 6**0.5)


def test_a_dense_layer_is_the_composition_it_claims_to_be():
    net = FourierFeatures(
        FourierSettings(4, NORMAL, hidden=5, activation="tanh", antisymmetric=False)
    )
    x = midpoints(7).float()[:, None]
    angle = x * net.frequency[0]
    features = torch.cat([angle.cos(), angle.sin()], dim=1) / 2
    value = torch.tanh(features @ net.hidden[0].T) @ net.amplitude[0] / 5**0.5
    torch.testing.assert_close(net(x)[:, 0], value)


def test_frequencies_come_from_the_distribution_and_differ_between_seeds():
    ensemble = ensemble_of(FourierSettings(2000, Uniform(60.0)))
    w = ensemble.parameters["frequency"].detach()
    assert w.shape == (3, 2, 1000)
    assert float(w.abs().max()) < 60.0
    assert float(w.abs().mean()) == pytest.approx(30.0, rel=0.05)
    assert not torch.equal(w[0], w[1])


@pytest.mark.parametrize("trained", [True, False])
def test_training_moves_what_is_trained_and_nothing_else(trained):
    settings = FourierSettings(40, NORMAL, train_frequencies=trained)
    ensemble = ensemble_of(settings, dtype=torch.float64)
    x = midpoints(32)[:, None]
    optimizer = OptimizerSettings("sgd", 2.0)
    run = train(ensemble, Dataset(x, Packets()(x)), TrainSettings(30, 32, optimizer))
    before = {**ensemble.parameters, **ensemble.buffers}
    after = {**run.ensemble.parameters, **run.ensemble.buffers}
    moved = {name: not torch.equal(before[name], after[name]) for name in before}
    assert moved == {"frequency": trained, "amplitude": True}
    assert (run.loss[-1] < 0.9 * run.loss[0]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sigma_a": -1.0}, "sigma_a is -1.0; it must be >= 0"),
        ({"width": 0}, "width is 0"),
        ({"width": 7}, "width is 7; give an even number"),
        ({"hidden": -2}, "hidden is -2"),
        ({"hidden": 5}, "hidden is 5; give an even number"),
        ({"activation": "gelu"}, "activation is 'gelu'"),
    ],
)
def test_bad_inputs(options, message):
    with pytest.raises(ValueError, match=message):
        FourierSettings(**({"width": 8, "frequencies": NORMAL} | options))
