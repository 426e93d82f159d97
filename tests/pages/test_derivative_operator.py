"""The chapter's own functions: the terms it draws, u, u' and their spectra."""

import ast
import cmath
import math

import pytest
import torch
from chapter_code import functions_of

from spectral_lib.training.runs import Record, Run


@pytest.fixture(scope="module", params=["notebook", "paper"])
def chapter(request):
    """What the notebook has run before it trains, and its functions after that."""
    runs = dict.fromkeys(("early", "flat", "longer"))  # later functions name them
    given = {"functions": 200, "reading": request.param} | runs
    return functions_of("derivative_operator", "def learn(", ast.ImportFrom, **given)


def test_u_and_its_derivative_are_the_sums_of_equation_1(chapter):
    terms = chapter["draw"]([1, 10], seed=3)
    x = torch.tensor([0.0, 0.7, 5.0], dtype=torch.float64)
    u, du = chapter["u"](x, terms), chapter["du"](x, terms)
    assert u.shape == du.shape == (200, 3)
    for f in (0, 150):
        for i, place in enumerate(x.tolist()):
            rows = torch.cat(terms, -1)[f].tolist()
            value = sum(
                A * math.sin(F * place + Phi) + B * math.cos(F * place + Psi)
                for F, A, B, Phi, Psi in rows
            )
            slope = sum(
                F * (A * math.cos(F * place + Phi) - B * math.sin(F * place + Psi))
                for F, A, B, Phi, Psi in rows
            )
            assert float(u[f, i]) == pytest.approx(value, abs=1e-12)
            assert float(du[f, i]) == pytest.approx(slope, abs=1e-11)


def test_terms_stay_in_their_range_and_readings_differ(chapter):
    F, A, *_ = (t[..., 0] for t in chapter["draw"]([6, 10]))
    assert F[F > 0].min() == 6
    assert F.max() == 10
    terms = (F > 0).sum(1)
    if chapter["P"].reading == "paper":
        assert A.unique().tolist() == [0.0, 1.0]
        assert (terms == 10).all()
    else:
        assert len(A.unique()) > 100
        assert (terms.min(), terms.max()) == (1, 9)
    again, other = chapter["draw"]([6, 10])[0], chapter["draw"]([6, 10], seed=1)[0]
    assert torch.equal(again[..., 0], F)
    assert not torch.equal(other[..., 0], F)


def test_damping_divides_amplitudes_by_the_frequency(chapter):
    plain, damped = (chapter["draw"]([1, 10], damping=d) for d in (0.0, 1.0))
    for i in (0, 3, 4):
        assert torch.equal(plain[i], damped[i])
    for i in (1, 2):
        torch.testing.assert_close(damped[i] * plain[0], plain[i] * (plain[0] > 0))


def test_sets_are_parted_into_training_and_test(chapter):
    P = chapter["P"]
    train, test = chapter["halves"]([1, 5])
    assert (len(train), len(test)) == (P.functions - P.test_functions, P.test_functions)
    whole = chapter["u"](chapter["x"], chapter["draw"]([1, 5])).float()
    assert torch.equal(torch.cat([train.inputs, test.inputs]), whole)
    assert chapter["x"][-1] == 2 * torch.pi


def test_coefficients_of_a_wave(chapter):
    wave = (
        0.2 + torch.sin(3 * chapter["circle"]) + 0.5 * torch.cos(7 * chapter["circle"])
    )
    found = chapter["fourier"](wave, 8)
    assert found[[0, 3, 7]].tolist() == pytest.approx([0.2, -0.5j, 0.25])


def test_the_derivative_is_the_one_that_autograd_finds(chapter):
    """Section 3.1; the forward difference on the grid is far from it."""
    terms = chapter["draw"]([1, 10], seed=5)
    places = chapter["x"].expand(200, 1, -1).clone().requires_grad_()
    (found,) = torch.autograd.grad(chapter["u"](places, terms).sum(), places)
    exact = chapter["du"](chapter["x"], terms)
    torch.testing.assert_close(found[:, 0], exact, rtol=0, atol=1e-10)
    h = float(chapter["x"][1])
    forward = (
        chapter["u"](chapter["x"] + h, terms) - chapter["u"](chapter["x"], terms)
    ) / h
    assert (forward - exact).abs().max() > 0.1 * exact.std()


def test_spectra_hold_the_chosen_frequencies_alone(chapter):
    """Figures 1b, 1c; on half the interval the functions are not periodic."""
    terms = chapter["draw"]([1, 10], seed=5)
    values = chapter["u"](chapter["circle"], terms)
    chosen = torch.zeros(200, 126).scatter_(1, terms[0][..., 0].long(), 1.0)

    def off(part):
        energy = torch.fft.rfft(values[:, : 250 // part]).abs().square()
        rest = energy * (1 - chosen[:, : energy.shape[1]])
        return float(rest[:, 1:].sum() / energy.sum())

    assert off(1) < 1e-20
    assert off(2) > 0.1


def test_damping_by_one_gives_the_derivative_equal_energies(chapter):
    """So that NMSE(low) / NMSE(high) is a ratio of absolute errors."""
    for damping, ratios in ((0.0, (4, 10)), (1.0, (0.8, 1.25))):
        low, high = (
            chapter["du"](chapter["x"], chapter["draw"](span, damping=damping))
            for span in ([1, 5], [6, 10])
        )
        ratio = float(high.square().mean() / low.square().mean())
        assert ratios[0] < ratio < ratios[1]


def test_readings_at_a_level_are_each_seeds_last_above_it_or_nan(chapter):
    errors = torch.tensor([[1.0, 1.0], [0.4, 0.9], [0.6, 0.8], [0.1, 0.7]])
    record = Record(torch.arange(4), {"general": errors})
    run = Run(None, {"error": record}, errors, torch.zeros(2), 0.0)
    readings = torch.arange(8.0).reshape(4, 2)
    found = chapter["at_level"](run, readings, 0.5)
    assert found[0] == 4.0  # at the third reading; the second was below for a while
    assert found[1].isnan()
    kept = chapter["until"](run, 2).records["error"]
    assert kept.epochs.tolist() == [0, 1, 2]
    assert torch.equal(kept["general"], errors[:3])


def test_a_u_is_seen_by_the_largest_over_the_smallest_and_its_low_side_by_the_halves(
    chapter, monkeypatch
):
    errors = torch.tensor([[0.9, 0.5, 0.1, 0.2, 0.6], [0.2, 0.2, 0.4, 0.4, 0.4]])
    monkeypatch.setitem(chapter, "missing", {(3, 0.1): errors})
    monkeypatch.setitem(chapter, "k", torch.arange(1, 6))
    assert chapter["unevenness"](3, 0.1).tolist() == pytest.approx([9.0, 2.0])
    found = chapter["low_to_high"](3, 0.1).tolist()
    assert found == pytest.approx([0.7 / 0.3, 0.5])


def test_steps_end_at_the_first_reading_below_one_half_or_are_no_number(
    chapter, monkeypatch
):
    errors = torch.tensor([[1.0, 1.0], [0.6, 0.7], [0.4, 0.6], [0.7, 0.5]])
    record = Record(torch.tensor([0, 2, 4, 6]), {"general": errors})
    run = Run(None, {"error": record}, errors, torch.zeros(2), 0.0)
    monkeypatch.setitem(chapter, "batches", 5)
    found = chapter["steps"](run)
    assert found[0] == 20
    assert found[1].isnan()


def test_a_drop_starts_on_a_plateau_that_lasts_or_is_none(chapter):
    time = torch.arange(40.0)
    plateau = torch.where(time < 20, 1.0, 0.02)
    at_once = torch.where(time < 4, 1.0, 0.02)  # no later than after an eighth
    slow = 1.9 * 0.97**time
    errors = torch.stack([plateau, at_once, slow, 3 + 0 * time], 1)
    run = Run(None, {"error": Record(time, {"general": errors})}, errors, time, 0.0)
    expected = [50.0, 1.0, 0.97**-4, 1.0]
    assert chapter["drop"](run).tolist() == pytest.approx(expected, rel=1e-4)


def test_the_error_of_the_forward_difference_is_that_of_its_response(
    chapter, monkeypatch
):
    """(exp(ikh) - 1) / (ikh) in place of 1, for one wave of frequency 7."""
    wave = tuple(torch.full((200, 1, 1), v) for v in (7.0, 1.0, 0.0, 0.3, 0.0))
    monkeypatch.setitem(chapter, "terms", wave)
    for h in (float(chapter["x"][1]), 1e-3):
        response = (cmath.exp(7j * h) - 1) / (7j * h)
        error = chapter["difference_error"](h)
        assert error == pytest.approx(abs(response - 1) ** 2, rel=0.01)
