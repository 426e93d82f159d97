import numpy as np
import pytest

from spectral_lib.theory import heat
from spectral_lib.theory.instabilities import figure_1


def test_amplifier_at_the_ends_of_the_spectrum():
    assert heat.amplifier(0.0, 0.4) == 1.0
    assert heat.amplifier(np.pi, 0.4) == pytest.approx(-0.6, abs=1e-15)
    assert heat.amplifier(np.pi, 0.8) == pytest.approx(-2.2, abs=1e-15)


def test_every_sine_mode_is_an_eigenvector():
    points = 31
    x = np.arange(points)
    for mode in range(1, points - 1):
        frequency = np.pi * mode / (points - 1)
        state = np.sin(frequency * x)
        state[[0, -1]] = 0.0
        after = heat.simulate(state, 0.4, [1])[0]
        expected = heat.amplifier(frequency, 0.4) * state
        np.testing.assert_allclose(after, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("ratio", [0.1, 0.4, 0.5, 0.8])
def test_simulation_equals_closed_form(ratio):
    steps = [0, 1, 3, 5, 20]
    run = heat.simulate(heat.triangle(), ratio, steps)
    exact = heat.simulate_by_modes(heat.triangle(), ratio, steps)
    scale = np.maximum(1.0, np.abs(exact).max(axis=1, keepdims=True))
    np.testing.assert_allclose(run / scale, exact / scale, rtol=0, atol=1e-12)


def test_the_limit_separates_decay_from_growth():
    limit = heat.largest_stable_step(1.0)
    assert limit == 0.5
    frequencies = np.linspace(0.01, np.pi, 1000)
    assert np.abs(heat.amplifier(frequencies, limit * 0.999)).max() < 1
    assert np.abs(heat.amplifier(frequencies, limit * 1.001)).max() > 1
    assert heat.largest_stable_step(0.5) == 0.125


def test_printed_amplifier_contradicts_the_printed_limit():
    assert abs(heat.amplifier_as_printed(np.pi, 0.8)) < 1
    assert np.abs(heat.simulate(heat.triangle(), 0.8, [200])).max() > 1e10


def test_figure_1_left_falls():
    run = figure_1(0.4, (0.0, 0.8, 2.4, 4.0, 100.0, 200.0, 800.0))
    top = np.abs(run.states).max(axis=1)
    assert np.all(np.diff(top) < 0)
    assert top[0] == 1.5
    # Two steps at the tip by hand: 1.5 - 0.08, then - 0.016.
    assert top[1] == pytest.approx(1.404, abs=1e-12)
    assert top[4] == pytest.approx(0.4059, rel=1e-3)


def test_figure_1_right_grows():
    top = np.abs(figure_1(0.8, (4.0, 8.0, 16.0)).states).max(axis=1)
    np.testing.assert_allclose(top, [1.742, 21.08, 3.7145e4], rtol=1e-3)


def test_late_growth_rate_is_that_of_the_fastest_mode():
    fastest = np.abs(heat.amplifier(np.pi * 29 / 30, 0.8))
    states = heat.simulate(heat.triangle(), 0.8, [800, 801])
    ratio = np.abs(states[1]).max() / np.abs(states[0]).max()
    assert ratio == pytest.approx(fastest, rel=1e-9)


def test_ends_stay_and_order_of_steps_is_kept():
    state = np.array([1.0, 0.0, 0.0, 2.0])
    states = heat.simulate(state, 0.25, [3, 0, 3])
    np.testing.assert_array_equal(states[:, [0, 3]], [[1.0, 2.0]] * 3)
    np.testing.assert_array_equal(states[1], state)
    np.testing.assert_array_equal(states[0], states[2])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: heat.amplifier(1.0, 0.0), "ratio is 0.0"),
        (lambda: heat.amplifier_as_printed(1.0, -1.0), "ratio is -1.0"),
        (lambda: heat.largest_stable_step(0.0), "spacing is 0.0"),
        (lambda: heat.triangle(30), "points is 30"),
        (lambda: heat.simulate(np.zeros((2, 2)), 0.4, [1]), "shape"),
        (lambda: heat.simulate(np.zeros(5), 0.4, [-1]), "steps"),
        (lambda: heat.simulate_by_modes(np.ones(5), 0.4, [1]), "must be 0"),
        (lambda: figure_1(0.4, (0.5,)), "no multiple"),
        (lambda: figure_1(0.0), "ratio is 0.0"),
    ],
)
def test_bad_inputs(call, message):
    with pytest.raises(ValueError, match=message):
        call()
