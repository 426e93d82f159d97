import numpy as np
import pytest

from spectral_lib.theory.chaos import (
    CheckerboardForce,
    bifurcation,
    fixed_points,
    lyapunov_exponent,
    orbit,
)
from spectral_lib.theory.instabilities import (
    bifurcation_diagram,
    figure_4_divergence,
    initial_projection,
)
from spectral_lib.theory.kernel_gradient import NonlinearEquation
from spectral_lib.theory.kernel_pde import Scheme, initial_kernel, iterate
from spectral_lib.theory.patch_operator import DirectOperator, FoldedOperator
from spectral_lib.theory.patches import checkerboard

FORCE = CheckerboardForce()


@pytest.mark.parametrize(
    "force",
    [FORCE, CheckerboardForce(5, 12, 2.0, beta=1.7, label=0.3)],
)
def test_slope_is_the_derivative_of_the_force(force):
    s = np.linspace(-12, 12, 97)
    step = 1e-5
    numeric = (force.value(s + step) - force.value(s - step)) / (2 * step)
    scale = np.abs(numeric).max()
    np.testing.assert_allclose(force.slope(s), numeric, rtol=0, atol=1e-8 * scale)


@pytest.mark.parametrize("operator", [DirectOperator, FoldedOperator])
@pytest.mark.parametrize("rate", [0.05, 0.3, 0.6])
@pytest.mark.parametrize("side", [11, 12])
def test_map_equals_the_full_equation(operator, rate, side):
    """The projection of all k x k weights follows the map; the rest decays."""
    size, decay, label, beta = 5, 2.0, 0.3, 1.7
    force = CheckerboardForce(size, side, decay, beta, label)
    image = checkerboard(side)
    pattern = image[:size, :size]
    kernel = initial_kernel(size)
    start = float((kernel * pattern).sum())
    states = iterate(
        kernel,
        operator(image, size),
        NonlinearEquation(label, beta),
        Scheme((rate,), (decay,)),
    )
    expected = orbit(force, [rate], start, 12)[0]
    rest = kernel - start / size**2 * pattern
    for step, s in enumerate(expected):
        state = next(states)[0]
        assert float((state * pattern).sum()) == pytest.approx(s, abs=1e-9)
        remaining = state - float((state * pattern).sum()) / size**2 * pattern
        shrunk = (1 - rate * decay) ** step * rest
        np.testing.assert_allclose(remaining, shrunk, rtol=0, atol=1e-9)


def test_fixed_points_and_threshold():
    low, middle, high = fixed_points(FORCE)
    assert high.position == pytest.approx(3.8652, abs=1e-4)
    assert low.position == pytest.approx(-3.8653, abs=1e-4)
    for point in (low, high):
        assert point.slope == pytest.approx(61.998, abs=2e-3)
        assert point.critical_rate == pytest.approx(2 / 61.99, rel=0.01)
        assert FORCE.value(point.position) == pytest.approx(0, abs=1e-9)
    assert middle.slope == pytest.approx(-236.0, abs=1e-3)
    assert middle.critical_rate == 0.0


def test_fixed_point_attracts_below_the_threshold_only():
    high = fixed_points(FORCE)[-1]
    rates = high.critical_rate * np.array([0.99, 1.01])
    path = orbit(FORCE, rates, high.position + 1e-6, 2000)
    distance = np.abs(path[:, -10:] - high.position).max(axis=1)
    assert distance[0] < 1e-12
    assert distance[1] > 1e-2


def test_blow_up_starts_at_the_cfl_line():
    rates = np.array([0.0999, 0.1001])
    path = np.abs(orbit(FORCE, rates, 60.0, 4000))
    assert path[0, -1] < 60.0
    assert path[1, -1] > 100.0


def test_lyapunov_signs():
    """Chaotic where errors grow in figure 4, periodic in the windows between."""
    expected = {
        0.01: -0.967,
        0.03: -0.151,
        0.035: -0.42,
        0.04: -1.37,
        0.045: -1.97,
        0.05: 0.38,
        0.06: -0.10,
        0.07: 0.79,
        0.08: 0.77,
        0.09: 0.65,
    }
    start = initial_projection()
    exponents = lyapunov_exponent(FORCE, list(expected), start)
    np.testing.assert_allclose(exponents, list(expected.values()), rtol=0, atol=0.05)


def test_weak_chaos_on_the_cfl_line():
    """At 2/alpha the other components alternate for ever and hide a chaotic s."""
    for start in (initial_projection(), 1.0, 5.0):
        exponent = lyapunov_exponent(FORCE, [0.1], start, steps=50000)[0]
        assert exponent == pytest.approx(0.036, abs=0.01)


def test_exponent_is_the_growth_of_a_small_difference():
    rate, gap = 0.06, 1e-9
    settled = orbit(FORCE, [rate], 1.0, 3000)[0, -1]
    steps = 60
    first = orbit(FORCE, [rate], settled, steps)[0]
    second = orbit(FORCE, [rate], settled + gap, steps)[0]
    growth = np.log(np.abs(second[steps] - first[steps]) / gap) / steps
    exponent = lyapunov_exponent(FORCE, [rate], settled, settle=0, steps=steps)[0]
    assert growth == pytest.approx(exponent, abs=1e-2)


def test_exponent_where_only_decay_is_left():
    """Near 0 with the label 1/2, pooled Swish is flat and the residual 0."""
    force = CheckerboardForce(4, 9, 2.0, label=0.5)
    rates = np.array([0.2, 0.45])
    exponents = lyapunov_exponent(force, rates, 1e-8, settle=0, steps=5)
    np.testing.assert_allclose(exponents, np.log(1 - 2.0 * rates), rtol=1e-6)


def test_error_growth_agrees_with_the_exponent():
    rates = (0.01, 0.03, 0.035, 0.045, 0.05, 0.06, 0.07, 0.08, 0.09)
    exponents = lyapunov_exponent(FORCE, rates, initial_projection())
    apart = figure_4_divergence(rates)[:, -500:].max(dim=1).values.numpy()
    assert np.array_equal(exponents > 0, apart > 0.1)
    assert np.array_equal(exponents < 0, apart < 1e-6)


def test_bifurcation_counts_branches():
    tails = bifurcation(FORCE, [0.02, 0.035, 0.05, 0.11], initial_projection())
    assert tails.shape == (4, 200)
    branches = [len(np.unique(tail.round(6))) for tail in tails[:3]]
    assert branches[0] == 1
    assert branches[1] == 2
    assert branches[2] > 50
    assert np.abs(tails[3]).min() > 1e6


def test_blow_up_gives_nan_and_nothing_else_does():
    rates = [0.05, 0.2]
    tails = bifurcation(FORCE, rates, 1.0, settle=2000, keep=10)
    exponents = lyapunov_exponent(FORCE, rates, 1.0, settle=2000, steps=100)
    assert np.isfinite(tails[0]).all()
    assert np.isnan(tails[1]).all()
    assert np.isnan(exponents).tolist() == [False, True]


def test_diagram_puts_it_together():
    rates = np.linspace(0.01, 0.095, 30)
    diagram = bifurcation_diagram(rates, settle=500, keep=50)
    assert diagram.tails.shape == (30, 50)
    assert diagram.threshold == pytest.approx(2 / 61.99, rel=0.01)
    spread = diagram.tails.max(axis=1) - diagram.tails.min(axis=1)
    assert np.array_equal(rates > diagram.threshold, spread > 1e-3)
    assert (diagram.exponents[rates < diagram.threshold] < 0).all()
    assert (diagram.exponents > 0.1).any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: CheckerboardForce(kernel_size=300), "kernel_size is 300"),
        (lambda: CheckerboardForce(weight_decay=0.0), "weight_decay is 0.0"),
        (lambda: CheckerboardForce(beta=-1.0), "beta is -1.0"),
        (lambda: CheckerboardForce(label=2.0), "label is 2.0"),
        (lambda: orbit(FORCE, [0.0], 1.0, 5), "learning_rates are"),
        (lambda: orbit(FORCE, [[0.1]], 1.0, 5), "learning_rates are"),
        (lambda: orbit(FORCE, [0.1], 1.0, -1), "-1 steps"),
        (lambda: lyapunov_exponent(FORCE, [-0.1], 1.0), "learning_rates are"),
        (lambda: fixed_points(FORCE, reach=0.0), "reach is 0.0"),
        (lambda: fixed_points(FORCE, cells=10), "cells 10"),
    ],
)
def test_bad_inputs(call, message):
    with pytest.raises(ValueError, match=message):
        call()
