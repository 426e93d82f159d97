import numpy as np
import pytest
import torch
from scipy.integrate import quad

from spectral_lib.data.frequencies import Frequencies, Normal, Tabulated, Uniform

LOPSIDED = Tabulated([-40.0, -20.0, 0.0, 10.0, 40.0], [1.0, 3.0, 0.0, 2.0, 0.0])
DISTRIBUTIONS = {
    "normal": Normal(20.0),
    "uniform": Uniform(60.0),
    "tabulated": LOPSIDED,
}


@pytest.fixture(params=DISTRIBUTIONS)
def frequencies(request):
    return DISTRIBUTIONS[request.param]


def test_density_integrates_to_one(frequencies):
    edges = [-np.inf, -60.0, -20.0, 0.0, 10.0, 40.0, 60.0, np.inf]
    total = sum(
        quad(frequencies.density, a, b, limit=200)[0]
        for a, b in zip(edges, edges[1:], strict=False)
    )
    assert total == pytest.approx(1.0, abs=1e-7)


def test_characteristic_function_is_the_transform_of_the_density(frequencies):
    distance = np.array([0.0, 1e-9, 0.03, 0.2, 0.7])
    xi = np.linspace(-4000.0, 4000.0, 800_001)
    density = frequencies.symmetric_density(xi)
    for d, kappa in zip(distance, frequencies.characteristic(distance), strict=True):
        assert np.trapezoid(density * np.cos(xi * d), xi) == pytest.approx(
            kappa, abs=1e-3
        )
    assert frequencies.characteristic(0.0) == pytest.approx(1.0, abs=1e-12)


def test_samples_follow_the_distribution(frequencies):
    torch.manual_seed(1)
    draws = frequencies.sample(40_000)
    assert draws.shape == (40_000,)
    assert draws.dtype == torch.float64
    ends = [-25.0, -10.0, 0.0, 5.0, 20.0, 50.0]
    for low, high in zip(ends, ends[1:], strict=False):
        wanted, _ = quad(frequencies.density, low, high, limit=200)
        share = float(((draws > low) & (draws <= high)).double().mean())
        # Four standard errors of 40000 draws.
        assert share == pytest.approx(wanted, abs=4 * 0.5 / 200)


def test_symmetric_density_is_even_and_half_of_both_sides():
    xi = np.array([-30.0, -15.0, 5.0, 30.0])
    even = LOPSIDED.symmetric_density(xi)
    np.testing.assert_allclose(even, LOPSIDED.symmetric_density(-xi))
    np.testing.assert_allclose(even, (LOPSIDED.density(xi) + LOPSIDED.density(-xi)) / 2)
    assert abs(LOPSIDED.density(15.0) - LOPSIDED.density(-15.0)) > 1e-3


@pytest.mark.parametrize("order", [2, 3, 5])
def test_sums_of_normal_frequencies_are_normal(order):
    """A closed form, and one that the Fourier inversion knows nothing of."""
    xi = np.linspace(-150.0, 150.0, 301)
    closed = Normal(20.0 * order**0.5).density(xi)
    inverted = Frequencies.convolved_density(Normal(20.0), xi, order)
    for found in (Normal(20.0).convolved_density(xi, order), inverted):
        np.testing.assert_allclose(found, closed, atol=1e-9 * closed.max())


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_convolutions_equal_a_direct_sum(name):
    # Sums of two midpoints of cells fall on the ends of cells; jumps lie there as well.
    width, cells = 0.05, 40_000
    ends = width * (np.arange(cells) - cells / 2)
    density = DISTRIBUTIONS[name].symmetric_density(ends + width / 2)
    direct = np.convolve(density, density, "same") * width
    near = slice(17_000, 23_001, 50)
    found = DISTRIBUTIONS[name].convolved_density(ends[near], 2)
    np.testing.assert_allclose(found, direct[near], atol=1e-4 * direct.max())


def test_bandwidths():
    assert Normal(20.0).bandwidth == 60.0
    assert Uniform(60.0).bandwidth == 60.0
    assert LOPSIDED.bandwidth == 40.0


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Normal(0.0), "std is 0.0"),
        (lambda: Uniform(float("inf")), "half_width is inf"),
        (lambda: Tabulated([0.0, 1.0], [1.0]), "same length"),
        (lambda: Tabulated([0.0, 0.0], [1.0, 1.0]), "increase"),
        (lambda: Tabulated([0.0, 1.0], [1.0, -1.0]), "not negative"),
        (lambda: Tabulated([0.0, 1.0], [0.0, 0.0]), "all heights are 0"),
    ],
)
def test_bad_inputs(build, message):
    with pytest.raises(ValueError, match=message):
        build()
