import numpy as np
import pytest
import torch
from numpy.polynomial.hermite_e import hermegauss
from numpy.polynomial.polynomial import polyval

from spectral_lib.data.frequencies import Normal, Tabulated, Uniform
from spectral_lib.data.packets import midpoints
from spectral_lib.models.fourier_features import FourierFeatures, FourierSettings
from spectral_lib.probes.ntk import jacobian_ntk, relative_change
from spectral_lib.theory.infinite_width import WideNetwork, dual
from spectral_lib.training.ensemble import initialise

SHAPES = {
    "sin": (np.sin, np.cos),
    "tanh": (np.tanh, lambda z: 1 / np.cosh(z) ** 2),
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0) * 1.0),
}


def test_two_layer_kernel_by_hand():
    kernel = WideNetwork(Normal(2.0), sigma_a=3.0).kernel([0.5, -1.0])
    distance, product = np.array([[0, 1.5], [1.5, 0]]), np.outer([0.5, -1], [0.5, -1])
    by_hand = np.exp(-2 * distance**2) * (1 + 9 * product)
    np.testing.assert_allclose(kernel, by_hand, rtol=1e-12)


@pytest.mark.parametrize(
    "options",
    [
        {"sigma_a": 1.7},
        {"train_frequencies": False},
        {"activation": "sin"},
        {"activation": "tanh", "train_frequencies": False},
        {"activation": "relu", "sigma_a": 1.5},
    ],
)
def test_kernels_of_networks_tend_to_the_limit(options):
    """Their mean over many networks, by automatic differentiation; and no other's."""
    hidden = 300 if "activation" in options else 0
    settings = FourierSettings(
        600, Normal(20.0), hidden=hidden, antisymmetric=False, **options
    )
    ensemble = initialise(lambda: FourierFeatures(settings), range(30))
    x = midpoints(12)
    mean = jacobian_ntk(ensemble, x.float()[:, None]).double().mean(0)

    def gap(**changes):
        limit = WideNetwork(Normal(20.0), **(options | changes))
        return float(relative_change(mean, torch.from_numpy(limit.kernel(x))))

    assert gap() < 0.05
    assert gap(train_frequencies=not options.get("train_frequencies", True)) > 0.05


@pytest.mark.parametrize("activation", SHAPES)
@pytest.mark.parametrize("kappa", [-0.6, 0.0, 0.3, 0.8])
def test_duals_equal_quadrature_over_two_normals(activation, kappa):
    nodes, weights = hermegauss(200)
    weights = np.outer(weights, weights) / weights.sum() ** 2
    first, second = np.meshgrid(nodes, nodes, indexing="ij")
    other = kappa * first + np.sqrt(1 - kappa**2) * second
    # The kink of ReLU slows the quadrature down.
    close = {"atol": 1e-2} if activation == "relu" else {"atol": 1e-11}
    for found, shape in zip(dual(activation, kappa), SHAPES[activation], strict=True):
        wanted = (weights * shape(first) * shape(other)).sum()
        np.testing.assert_allclose(found, wanted, **close)


@pytest.mark.parametrize("activation", SHAPES)
def test_power_series_equal_the_closed_parts(activation):
    network = WideNetwork(Normal(1.0), 1.3, activation, terms=400)
    k = np.linspace(-0.9, 0.95, 9)
    for part, coefficients in zip(network.parts(k), network.coefficients, strict=True):
        assert np.all(coefficients >= 0)
        np.testing.assert_allclose(polyval(k, coefficients), part, atol=1e-8)


@pytest.mark.parametrize(
    "frequencies", [Normal(6.0), Uniform(8.0), Tabulated([-5, 0, 9], [0, 1, 2])]
)
def test_densities_are_the_transforms_of_the_parts(frequencies):
    """A(kappa(d)) = int R1 cos(xi d) d xi, and so for B and R2."""
    network = WideNetwork(frequencies, 1.3, "sin", terms=9)
    xi = np.linspace(-120.0, 120.0, 9601)
    distance = np.array([0.0, 0.05, 0.2, 0.5])
    waves = np.cos(np.multiply.outer(distance, xi))
    parts = network.parts(frequencies.characteristic(distance))
    for density, part in zip((network.damping, network.diffusion), parts, strict=True):
        found = np.trapezoid(density(xi) * waves, xi, axis=1)
        np.testing.assert_allclose(found, part, atol=2e-3)


@pytest.mark.parametrize("sigma_a", [0.0, 1.3])
def test_the_powers_left_out_of_relu_are_added_in_closed_form(sigma_a):
    xi = np.array([0.0, 10.0, 50.0, 75.0])
    few = WideNetwork(Normal(5.0), sigma_a, "relu", terms=150)
    many = WideNetwork(Normal(5.0), sigma_a, "relu", terms=6000)
    plain, product = many.coefficients
    for found, series in ((few.damping(xi), plain), (few.diffusion(xi), product)):
        powers = np.arange(1, len(series))
        normals = [Normal(5.0 * power**0.5).density(xi) for power in powers]
        wanted = series[1:] @ np.array(normals)
        # What 6000 powers leave out themselves is below 2 % at 75 rad.
        np.testing.assert_allclose(found, wanted, rtol=0.025)
    np.testing.assert_allclose(few.damping(xi), many.damping(xi), rtol=6e-3)


@pytest.mark.parametrize("activation", [None, "sin", "relu"])
@pytest.mark.parametrize("std", [5.0, 20.0, 60.0])
def test_the_largest_rate_is_a_bound_and_not_idle(activation, std):
    network = WideNetwork(Normal(std), 1.0, activation)
    largest = np.linalg.eigvalsh(network.kernel(midpoints(400)) / 400)[-1]
    assert largest <= network.largest_rate < 2 * largest


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sigma_a": -1.0}, "sigma_a is -1.0"),
        ({"activation": "gelu"}, "activation is 'gelu'"),
        ({"terms": 0}, "terms is 0"),
    ],
)
def test_bad_inputs(options, message):
    with pytest.raises(ValueError, match=message):
        WideNetwork(Normal(1.0), **options)
