import numpy as np
import pytest
import torch

from spectral_lib.data.frequencies import Normal, Student, Uniform
from spectral_lib.data.packets import Packets, midpoints
from spectral_lib.theory.infinite_width import WideNetwork
from spectral_lib.theory.kernel_flow import frequency_rates
from spectral_lib.theory.learning_order import (
    aliased_density,
    design_frequencies,
    local_rate,
    packet_rate,
    unbiased_std,
)


def kernel_rate(network, frequency, width=0.15, centre=0.0, points=400):
    """Initial rate of a packet under the kernel itself."""
    x = midpoints(points)
    u = Packets((frequency,), width, centre)(x)
    return complex(frequency_rates(network.kernel(x), u, x, [frequency])[0])


def test_local_rate_by_hand():
    rate = local_rate(WideNetwork(Uniform(10.0), sigma_a=2.0), [3.0, 11.0], 0.5, 4.0)
    np.testing.assert_allclose(rate, [np.pi / 2 / 20 * (1 + 4 * 0.25), 0.0])


def test_too_few_powers_for_a_rate_are_told():
    def rate(terms):
        network = WideNetwork(Student(5.0), activation="relu", terms=terms)
        return local_rate(network, [10.0, 90.0])

    with pytest.warns(UserWarning, match="10 powers .* rate at 90 rad"):
        rate(10)
    rate(150)  # a warning would be an error


def test_rates_follow_the_density_of_frequencies():
    network, frequencies = WideNetwork(Normal(20.0)), np.arange(10.0, 61.0, 10.0)
    found = np.array([kernel_rate(network, w).real for w in frequencies])
    predicted = packet_rate(network, frequencies, 0.15)
    np.testing.assert_allclose(found, predicted, rtol=3e-3)
    density = Normal(20.0).density(frequencies)
    slope, _ = np.polyfit(np.log(density), np.log(found), 1)
    assert slope == pytest.approx(1.0, abs=1e-3)
    assert np.corrcoef(np.log(density), np.log(found))[0, 1] ** 2 > 0.9999


@pytest.mark.parametrize("centre", [0.0, 0.5])
@pytest.mark.parametrize("trained", [True, False])
def test_place_matters_if_frequencies_are_trained(centre, trained):
    network = WideNetwork(Normal(30.0), 3.0, train_frequencies=trained)
    found = kernel_rate(network, 25.0, 0.12, centre)
    predicted = packet_rate(network, 25.0, 0.12, centre)
    assert found.real == pytest.approx(float(predicted), rel=1e-3)
    # The slope of the density turns the phase; with trained frequencies only.
    slope = -25.0 / 30.0**2 * Normal(30.0).density(25.0)
    turn = np.pi * 9.0 * slope * centre * trained
    assert found.imag == pytest.approx(turn, rel=0.01, abs=1e-6)


@pytest.mark.parametrize("std", [10.0, 20.0, 40.0, 80.0, 160.0])
def test_a_wide_normal_removes_the_bias(std):
    network = WideNetwork(Normal(std))
    ratio = kernel_rate(network, 50.0).real / kernel_rate(network, 10.0).real
    predicted = np.exp(-(50.0**2 - 10.0**2) / (2 * std**2))
    assert ratio == pytest.approx(predicted, rel=0.01)
    assert unbiased_std(10.0, 50.0, predicted) == pytest.approx(std)


def test_and_costs_speed():
    slow = kernel_rate(WideNetwork(Normal(160.0)), 10.0).real
    fast = kernel_rate(WideNetwork(Normal(20.0)), 10.0).real
    assert fast / slow == pytest.approx(7.07, abs=0.02)


def test_a_uniform_is_flat_inside_and_blind_outside():
    network = WideNetwork(Uniform(60.0))
    rates = {w: kernel_rate(network, w).real for w in (10.0, 50.0, 80.0)}
    assert rates[50.0] / rates[10.0] == pytest.approx(1.0, abs=0.05)
    assert abs(rates[80.0]) < 1e-3 * rates[10.0]


def test_too_few_points_remove_the_bias_by_aliasing():
    network = WideNetwork(Normal(80.0))
    found = [kernel_rate(network, w, points=50).real for w in (10.0, 50.0)]
    dense = [kernel_rate(network, w).real for w in (10.0, 50.0)]
    assert dense[1] / dense[0] == pytest.approx(0.831, abs=0.001)
    folded = aliased_density(network.frequencies.density, [10.0, 50.0], 50)
    assert found[1] / found[0] == pytest.approx(folded[1] / folded[0], rel=5e-3)
    assert found[1] / found[0] > 0.98


BAND = np.linspace(5.0, 60.0, 56)


@pytest.mark.parametrize(
    "wanted",
    [np.ones(56), BAND, 60.0 / BAND, np.where(BAND < 30, 1.0, 3.0)],
    ids=["flat", "high first", "low first", "two steps"],
)
def test_a_designed_initialization_learns_in_the_wanted_order(wanted):
    design = design_frequencies(BAND, wanted, width=0.2, sigma_a=1.0, taper=15.0)
    network = WideNetwork(design.frequencies)
    frequencies = np.array([12.0, 20.0, 40.0, 50.0])
    target = design.scale * np.interp(frequencies, BAND, wanted)
    np.testing.assert_allclose(
        packet_rate(network, frequencies, 0.2), target, rtol=1e-9
    )
    found = [kernel_rate(network, w, 0.2).real for w in frequencies]
    np.testing.assert_allclose(found, target, rtol=0.04)


def test_the_sum_of_all_rates_is_fixed():
    xi = np.linspace(0.0, 100.0, 20_001)
    for wanted in (np.ones(56), BAND**2):
        for taper in (0.0, 3.0, 20.0):
            network = WideNetwork(
                design_frequencies(BAND, wanted, taper=taper).frequencies,
                train_frequencies=False,
            )
            total = np.trapezoid(local_rate(network, xi), xi)
            assert total == pytest.approx(np.pi / 2, rel=2e-3)  # (2 pi / L) / 2


def test_draws_from_a_design_follow_it():
    design = design_frequencies(BAND, BAND, taper=5.0).frequencies
    draws = design.sample(torch.Generator().manual_seed(0), (100_000,))
    assert float((draws > 0).double().mean()) == pytest.approx(0.5, abs=0.01)
    low, high = (
        float(((draws.abs() > a) & (draws.abs() < a + 10)).double().mean())
        for a in (15.0, 45.0)
    )
    assert high / low == pytest.approx(2.5, rel=0.05)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: packet_rate(WideNetwork(Normal(1.0)), 1.0, 0.0), "width is 0.0"),
        (lambda: aliased_density(Normal(1.0).density, 1.0, 0), "points is 0"),
        (lambda: unbiased_std(50.0, 10.0, 0.9), "low 50.0"),
        (lambda: unbiased_std(10.0, 50.0, 1.0), "ratio 1.0"),
        (lambda: design_frequencies([1.0, 2.0], [1.0]), "same length"),
        (lambda: design_frequencies([-1.0, 2.0], [1.0, 1.0]), "start at 0"),
        (lambda: design_frequencies([2.0, 1.0], [1.0, 1.0]), "must increase"),
        (lambda: design_frequencies([1.0, 2.0], [1.0, -1.0]), "not negative"),
        (lambda: design_frequencies([1.0, 2.0], [0.0, 0.0]), "not all 0"),
        (lambda: design_frequencies([1.0, 2.0], [1.0, 1.0], taper=-1.0), "taper"),
    ],
)
def test_bad_inputs(call, message):
    with pytest.raises(ValueError, match=message):
        call()
