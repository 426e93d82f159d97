import numpy as np
import pytest
from numpy.polynomial.hermite_e import hermegauss
from numpy.polynomial.polynomial import polyval

from spectral_lib.data.frequencies import Normal, Student, Tabulated, Uniform
from spectral_lib.theory.infinite_width import WideNetwork, dual, hermite_energies

X = np.linspace(-1.0, 1.0, 9)
SHAPES = {
    "sin": (np.sin, np.cos),
    "tanh": (np.tanh, lambda z: 1 / np.cosh(z) ** 2),
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0) * 1.0),
}


def test_two_layer_kernel_by_hand():
    kernel = WideNetwork(Normal(2.0), sigma_a=3.0).kernel([0.5, -1.0], [0.25])
    distance, product = np.array([[0.25], [-1.25]]), np.array([[0.125], [-0.25]])
    by_hand = np.exp(-2 * distance**2) * (1 + 9 * product)
    np.testing.assert_allclose(kernel, by_hand, rtol=1e-12)


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({}, (1.0, 4.0)),
        ({"train_frequencies": False}, (1.0, 0.0)),
        ({"features": "phase"}, (5.0, 4.0)),
        ({"features": "phase", "train_phases": False}, (1.0, 4.0)),
        ({"features": "phase", "train_frequencies": False}, (5.0, 0.0)),
    ],
)
def test_what_is_trained_sets_the_two_parts(options, parts):
    network = WideNetwork(Uniform(9.0), 2.0, **options)
    k = np.array([-0.2, 0.5, 1.0])
    for found, factor in zip(network.parts(k), parts, strict=True):
        np.testing.assert_allclose(found, factor * k)
    xi = np.array([0.0, 5.0, 10.0])
    density = np.array([1.0, 1.0, 0.0]) / 18
    np.testing.assert_allclose(network.damping(xi), parts[0] * density)
    np.testing.assert_allclose(network.diffusion(xi), parts[1] * density)
    assert network.constant == 0.0


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
def test_second_dual_is_the_slope_of_the_first(activation):
    k, step = np.linspace(-0.9, 0.9, 7), 1e-5
    above, below = dual(activation, k + step)[0], dual(activation, k - step)[0]
    slope = (above - below) / (2 * step)
    np.testing.assert_allclose(dual(activation, k)[1], slope, atol=1e-9)


@pytest.mark.parametrize("features", ["cos_sin", "phase"])
@pytest.mark.parametrize("activation", SHAPES)
def test_power_series_equal_the_closed_parts(activation, features):
    network = WideNetwork(Normal(1.0), 1.3, activation, features, terms=400)
    k = np.linspace(-0.9, 0.95, 9)
    series = network.coefficients()
    for part, coefficients in zip(network.parts(k), series, strict=True):
        assert np.all(coefficients >= 0)
        np.testing.assert_allclose(polyval(k, coefficients), part, atol=1e-8)


def test_sine_series_is_the_one_derived():
    plain, product = WideNetwork(Normal(1.0), activation="sin").coefficients()
    np.testing.assert_allclose(plain[:4] * np.e, [0, 2, 0, 4 / 6])
    np.testing.assert_allclose(product[:6] * np.e, [0, 1, 0, 1 / 2, 0, 1 / 24])
    assert WideNetwork(Normal(1.0), activation="tanh").constant == 0.0
    relu = WideNetwork(Normal(1.0), activation="relu")
    assert relu.constant == pytest.approx(1 / (2 * np.pi))
    assert hermite_energies("relu", 0) == pytest.approx([1 / (2 * np.pi)])


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
    plain, product = many.coefficients()
    for found, series in ((few.damping(xi), plain), (few.diffusion(xi), product)):
        powers = np.arange(1, len(series))
        normals = [Normal(5.0 * power**0.5).density(xi) for power in powers]
        wanted = series[1:] @ np.array(normals)
        # What 6000 powers leave out themselves is below 2 % at 75 rad.
        np.testing.assert_allclose(found, wanted, rtol=0.025)
    assert not few.truncation(xi).any()


def test_truncation_tells_where_powers_are_missing():
    xi, heavy = np.array([10.0, 75.0]), Student(5.0)
    few = WideNetwork(heavy, activation="relu", terms=20)
    many = WideNetwork(heavy, activation="relu", terms=800)
    missing = 1 - few.damping(xi) / many.damping(xi)
    told = few.truncation(xi)
    assert np.all(told < 2 * missing)
    assert np.all(told > missing / 2)
    assert told[1] > 10 * told[0]
    assert not WideNetwork(heavy).truncation(xi).any()
    assert WideNetwork(heavy, activation="sin").truncation(xi).max() < 1e-12


def test_kernels_are_positive_semidefinite():
    for activation in (None, "sin", "tanh", "relu"):
        kernel = WideNetwork(Normal(9.0), activation=activation).kernel(X)
        assert np.linalg.eigvalsh(kernel).min() > -1e-12


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: WideNetwork(Normal(1.0), sigma_a=-1.0), "sigma_a is -1.0"),
        (lambda: WideNetwork(Normal(1.0), activation="gelu"), "activation is 'gelu'"),
        (lambda: WideNetwork(Normal(1.0), features="sine"), "features is 'sine'"),
        (lambda: WideNetwork(Normal(1.0), terms=0), "terms is 0"),
        (lambda: dual("gelu", 0.1), "activation is 'gelu'"),
        (lambda: hermite_energies("gelu", 3), "activation is 'gelu'"),
    ],
)
def test_bad_inputs(build, message):
    with pytest.raises(ValueError, match=message):
        build()
