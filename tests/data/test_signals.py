"""Signals and their derivatives against autograd, sums written out, and bounds."""

import math

import pytest
import torch

from spectral_lib.data.signals import (
    SignalSettings,
    draw_coefficients,
    draw_signals,
    forward_difference,
    grid,
)
from spectral_lib.probes.spectra import leakage


def settings(**changes):
    base = {
        "functions": 30,
        "points": 200,
        "min_frequency": 1,
        "max_frequency": 10,
        "seed": 3,
    }
    return SignalSettings(**(base | changes))


@pytest.mark.parametrize("reading", ["notebook", "paper"])
@pytest.mark.parametrize("span", [(1, 5), (1, 10), (6, 10)])
def test_derivative_agrees_with_autograd(reading, span):
    drawn = settings(reading=reading, min_frequency=span[0], max_frequency=span[1])
    exact = draw_signals(drawn, torch.float64)
    x = exact.x.expand_as(exact.u).clone().requires_grad_()
    (du,) = torch.autograd.grad(draw_coefficients(drawn).value(x).sum(), x)
    assert (du - exact.du).abs().max() < 1e-5


def test_value_is_the_sum_of_equation_1():
    drawn = settings(functions=2, points=25)
    s, c = draw_signals(drawn, torch.float64), draw_coefficients(drawn)
    for f in range(2):
        for i, x in enumerate(s.x.tolist()):
            expected = sum(
                float(c.sine[f, t])
                * math.sin(float(c.frequency[f, t]) * x + float(c.sine_phase[f, t]))
                + float(c.cosine[f, t])
                * math.cos(float(c.frequency[f, t]) * x + float(c.cosine_phase[f, t]))
                for t in range(c.sine.shape[1])
            )
            assert float(s.u[f, i]) == pytest.approx(expected, abs=1e-12)


def test_frequencies_stay_in_their_range_and_readings_differ():
    notebook = draw_coefficients(settings(functions=200, min_frequency=6))
    used = notebook.frequency[notebook.frequency > 0]
    assert used.min() == 6
    assert used.max() == 10
    counts = (notebook.frequency > 0).sum(1)
    assert counts.min() == 1
    assert counts.max() == 9
    assert len(notebook.sine.unique()) > 100
    paper = draw_coefficients(settings(functions=200, reading="paper"))
    assert paper.sine.unique().tolist() == [0.0, 1.0]
    assert (paper.frequency > 0).all()


@pytest.mark.parametrize("span", [(1, 5), (1, 10), (6, 10)])
def test_spectra_leak_less_than_2_percent_on_a_periodic_grid(span):
    drawn = settings(periodic=True, min_frequency=span[0], max_frequency=span[1])
    s = draw_signals(drawn)
    assert leakage(s.u, s.frequencies) < 0.02
    assert leakage(s.du, s.frequencies) < 0.02
    assert leakage(s.u[:, :100], s.frequencies) > 0.1  # half a period does leak


def test_damping_flattens_the_spectrum_of_the_derivative():
    plain = draw_coefficients(settings(functions=3000))
    damped = draw_coefficients(settings(functions=3000, damping=1.0))

    def slopes(c):  # mean amplitude of u' at frequency 2 and at frequency 10
        return [float((c.sine * c.frequency)[c.frequency == k].mean()) for k in (2, 10)]

    low, high = slopes(plain)
    assert high / low == pytest.approx(5, rel=0.1)
    low, high = slopes(damped)
    assert high / low == pytest.approx(1, rel=0.1)


def test_grid_has_both_ends_unless_periodic():
    both, periodic = grid(11), grid(10, periodic=True)
    assert both[-1] == pytest.approx(2 * math.pi)
    assert both[:10].tolist() == pytest.approx(periodic.tolist())


def test_forward_difference_is_of_first_order():
    def error(points):
        s = draw_signals(settings(points=points), torch.float64)
        wrong = forward_difference(s.u, s.spacing) - s.du[:, :-1]
        return float(wrong.square().mean().sqrt())

    assert error(400) / error(800) == pytest.approx(2, rel=0.02)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"max_frequency": 0}, "min_frequency"),
        ({"min_frequency": 7, "max_frequency": 5}, "min_frequency"),
        ({"points": 20}, "20 points"),
        ({"functions": 0}, "functions"),
        ({"reading": "book"}, "reading"),
    ],
)
def test_bad_settings_say_what_is_wrong(changes, words):
    with pytest.raises(ValueError, match=words):
        settings(**changes)
