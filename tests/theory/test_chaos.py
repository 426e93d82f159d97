"""The map of one number against the equation of k x k weights."""

import numpy as np
import pytest

from spectral_lib.theory.chaos import (
    CheckerboardForce,
    fixed_points,
    lyapunov_exponent,
    orbit,
)
from spectral_lib.theory.kernel_gradient import NonlinearEquation
from spectral_lib.theory.kernel_pde import Scheme, initial_kernel, iterate
from spectral_lib.theory.patch_operator import DirectOperator
from spectral_lib.theory.patches import checkerboard

FORCE = CheckerboardForce()


@pytest.mark.parametrize("force", [FORCE, CheckerboardForce(5, 12, 2.0)])
def test_slope_is_the_derivative_of_the_force(force):
    s = np.linspace(-12, 12, 97)
    step = 1e-5
    numeric = (force.value(s + step) - force.value(s - step)) / (2 * step)
    scale = np.abs(numeric).max()
    np.testing.assert_allclose(force.slope(s), numeric, rtol=0, atol=1e-8 * scale)


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.6])
@pytest.mark.parametrize("side", [11, 12])
def test_map_equals_the_full_equation(rate, side):
    """The projection of all k x k weights follows the map; the rest decays."""
    size, decay = 5, 2.0
    force = CheckerboardForce(size, side, decay)
    image = checkerboard(side)
    pattern = image[:size, :size]
    kernel = initial_kernel(size)
    start = float((kernel * pattern).sum())
    scheme = Scheme((rate,), (decay,))
    states = iterate(kernel, DirectOperator(image, size), NonlinearEquation(), scheme)
    rest = kernel - start / size**2 * pattern
    for step, s in enumerate(orbit(force, [rate], start, 12)[0]):
        expected = s / size**2 * pattern + (1 - rate * decay) ** step * rest
        np.testing.assert_allclose(next(states)[0], expected, rtol=0, atol=1e-9)


def test_fixed_points_and_threshold():
    points = fixed_points(FORCE)
    np.testing.assert_allclose(points[[0, 2]], [-3.8653, 3.8652], atol=1e-4)
    np.testing.assert_allclose(FORCE.value(points), 0, atol=1e-9)
    slopes = FORCE.slope(points)
    np.testing.assert_allclose(slopes, [61.998, -236.0, 61.998], atol=2e-3)
    rates = 2 / slopes[2] * np.array([0.99, 1.01])
    path = orbit(FORCE, rates, points[2] + 1e-6, 2000)
    distance = np.abs(path[:, -10:] - points[2]).max(axis=1)
    assert distance[0] < 1e-12
    assert distance[1] > 1e-2
    # With an even number of positions the middle one is exactly 0.
    assert fixed_points(CheckerboardForce(31))[1] == pytest.approx(0, abs=1e-12)


def test_blow_up_starts_at_twice_the_inverse_decay():
    path = np.abs(orbit(FORCE, [0.0999, 0.1001], 60.0, 4000))
    assert path[0, -1] < 60.0
    assert path[1, -1] > 100.0


def test_exponent_leaves_out_what_settles_and_the_last_state():
    """By hand, from the states 2 and 3 of an orbit."""
    states = orbit(FORCE, [0.07], 1.0, 4)[0, 2:4]
    by_hand = np.log(np.abs(1 - 0.07 * FORCE.slope(states))).mean()
    found = lyapunov_exponent(FORCE, [0.07], 1.0, settle=2, steps=2)
    assert found[0] == pytest.approx(by_hand, rel=1e-12)


def test_blow_up_gives_nan_and_nothing_else_does():
    exponents = lyapunov_exponent(FORCE, [0.05, 0.2], 1.0, settle=2000, steps=100)
    assert np.isnan(exponents).tolist() == [False, True]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: CheckerboardForce(kernel_size=0), "kernel_size is 0"),
        (lambda: CheckerboardForce(kernel_size=257), "kernel_size is 257"),
        (lambda: CheckerboardForce(weight_decay=0.0), "weight_decay is 0.0"),
        (lambda: orbit(FORCE, [0.0], 1.0, 5), "learning_rates are"),
        (lambda: orbit(FORCE, [[0.1]], 1.0, 5), "learning_rates are"),
        (lambda: lyapunov_exponent(FORCE, [-0.1], 1.0), "learning_rates are"),
    ],
)
def test_bad_inputs(call, message):
    with pytest.raises(ValueError, match=message):
        call()
