"""The rule's table of cases: each way from numbers to a verdict, and its reason.

Every case of a bar is judged four times: as numbers and as logarithms, and mirrored.
"""

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
from one_claim import around, row

from spectral_book.claims.scales import Scale
from spectral_book.claims.verdicts import Bar, judge

INF, NAN = math.inf, math.nan
PLAIN, LOG = Scale(), Scale("logarithms")
ODDS = Scale("log odds", (0.0, 1.0), 1e-3)
GREATER = Bar("greater", (0.0, 1.0))
BAND = Bar("within", (-0.5, 0.5))
FAR = np.array([-5.0, -6.0, -7.0, -5.5, -6.5])
GOOD = around(1.5, 0.4)


def turned(bar, f):
    """The same bar in other numbers; of a falling f the ends change places."""
    ends = tuple(map(f, bar.ends))
    if bar.direction == "within":
        return replace(bar, ends=tuple(sorted(ends)))
    return replace(bar, direction="greater" if f(1) > f(0) else "less", ends=ends)


def four(values, control, bar):
    """The judgement of numbers, of logarithms, and of both mirrored."""
    z, c = np.array(values, float), np.array(control, float)
    for sign in (1, -1):
        yield judge(turned(bar, lambda x, s=sign: s * x), sign * z, sign * c, PLAIN)
        seen = turned(bar, lambda x, s=sign: math.exp(s * x))
        yield judge(seen, np.exp(sign * z), np.exp(sign * c), LOG)


def says(found, why):
    """Whether a reason is that sentence, or begins with what is no whole one."""
    return found.why == why if why.endswith(".") else found.why.startswith(why)


def check(values, control, bar, verdict, why):
    for found in four(values, control, bar):
        assert (found.verdict, found.why) == (verdict, why)


CLEARS, EXCLUDES = "The interval clears the bar.", "The interval excludes the bar."
WEAK = "The interval lies between “no effect” and the bar."
HOLDS = "The interval excludes “no effect”, but holds the bar."
SOME = "Some entries clear the bar, others do not."
BOTH = "The interval holds both “no effect” and the bar."
SAME = " All 5 seeds gave the same number."


@pytest.mark.parametrize(
    ("values", "verdict", "why"),
    [
        (GOOD, "replicated", CLEARS),
        (around(0.5, 0.4), "weaker than claimed", WEAK),
        (around(0.0, 0.5), "not replicated", EXCLUDES),
        (around(-3.0, 0.5), "not replicated", EXCLUDES),
        (around(1.0, 0.5), "inconclusive", HOLDS),
        (around(0.6, 0.9), "inconclusive", BOTH),
        # An end that lies on the bar reaches it; no effect is excluded from beyond it.
        (around(1.4, 0.4), "replicated", CLEARS),
        (around(1.4, 0.401), "inconclusive", HOLDS),
        (around(0.6, 0.4), "inconclusive", HOLDS),
        (around(0.5, 0.5), "inconclusive", BOTH),
        (around(0.4, 0.4), "not replicated", EXCLUDES),
        ([1.0] * 5, "replicated", CLEARS + SAME),
        ([1 - 1e-15] * 5, "replicated", CLEARS + SAME),
        ([1 - 1e-9] * 5, "weaker than claimed", WEAK + SAME),
        ([0.0] * 5, "not replicated", EXCLUDES + SAME),
        ([2e-16] * 5, "not replicated", EXCLUDES + SAME),
        ([1e-9] * 5, "weaker than claimed", WEAK + SAME),
        # Seeds without a number forbid what speaks for a claim.
        ([2, 2.1, 2.2, NAN, NAN], "inconclusive", f"{CLEARS} 2 of 5 seeds gave no num"),
        ([0.4, 0.5, 0.5, 0.6, NAN], "inconclusive", f"{WEAK} 1 of 5 seeds gave no num"),
        (
            [0, -0.1, 0.1, NAN, NAN],
            "not replicated",
            f"{EXCLUDES} 2 of 5 seeds gave no num",
        ),
        ([0, 2, 1, NAN, 1.5], "inconclusive", f"{BOTH} 1 of 5 seeds gave no number."),
        ([3, 3, NAN, NAN, NAN], "inconclusive", "3 of 5 seeds gave no number. 2 valu"),
        ([NAN] * 5, "inconclusive", "5 of 5 seeds gave no number. 0 values; at least"),
        ([3, 3], "inconclusive", "2 values; at least 3 are needed."),
        # What is infinite counts where it falls.
        ([2, 2.1, 2.2, -INF, -INF], "inconclusive", BOTH),
        ([2, 2.1, 2.2, INF, INF], "replicated", CLEARS),
        ([0.2, 0.3, 0.4, 0.5, INF], "inconclusive", HOLDS),
        ([0.2, 0.3, 0.4, 0.5, -INF], "not replicated", EXCLUDES),
        ([INF] * 5, "replicated", CLEARS + SAME),
        ([-INF] * 5, "not replicated", EXCLUDES + SAME),
    ],
)
def test_a_verdict_follows_from_the_interval(values, verdict, why):
    control = FAR if len(values) == 5 else FAR[:4]
    for found in four(values, control, GREATER):
        assert found.verdict == verdict
        assert says(found, why)


@pytest.mark.parametrize(
    ("values", "verdict", "why"),
    [
        (around(0.0, 0.4), "replicated", "inside the band."),
        (around(0.1, 0.4), "replicated", "inside the band."),
        (around(0.1, 0.401), "inconclusive", "crosses the edge of the band."),
        (around(0.5, 0.4), "inconclusive", "crosses the edge of the band."),
        (around(0.0, 0.9), "inconclusive", "crosses the edge of the band."),
        (around(0.9, 0.4), "inconclusive", "crosses the edge of the band."),
        (around(0.9, 0.399), "not replicated", "outside the band."),
        (around(2.0, 0.4), "not replicated", "outside the band."),
        ([0.5] * 5, "replicated", "inside the band. All 5 seeds gave the same number."),
        ([0, 0.1, 0.2, 0, NAN], "inconclusive", "band. 1 of 5 seeds gave no number."),
        ([0, 0.1, 0.2, 0, INF], "inconclusive", "crosses the edge of the band."),
        ([INF] * 5, "not replicated", "band. All 5 seeds gave the same number."),
    ],
)
def test_a_band_is_held_left_or_crossed(values, verdict, why):
    for found in four(values, FAR, BAND):
        assert found.verdict == verdict
        assert found.why.startswith("The interval ")
        assert found.why.endswith(why)


ALSO = f"{CLEARS} The control shows the effect, too."
UNTOLD = "It cannot be told from its control."
BETTER = "The control does better."
TOO_FEW = "The control gave too few numbers."


@pytest.mark.parametrize(
    ("values", "control", "verdict", "shows", "why"),
    [
        (GOOD, [], "inconclusive", "undecided", TOO_FEW),
        (GOOD, [NAN] * 5, "inconclusive", "undecided", TOO_FEW),
        (around(0.0, 0.5), [], "inconclusive", "undecided", TOO_FEW),
        (GOOD, FAR, "replicated", "does not show it", CLEARS),
        (GOOD, GOOD, "inconclusive", "shows it", f"{ALSO} {UNTOLD}"),
        (GOOD + 5, GOOD, "inconclusive", "shows it", ALSO),
        (GOOD, GOOD + 5, "inconclusive", "shows it", f"{ALSO} {BETTER}"),
        (GOOD + 1, around(0.5, 0.4), "replicated", "shows some of it", CLEARS),
        (GOOD + 1, around(1.0, 0.5), "replicated", "shows some of it", CLEARS),
        (GOOD + 3, around(0.6, 0.9), "replicated", "undecided", CLEARS),
        (GOOD, around(0.6, 2)[::-1], "inconclusive", "undecided", f"{CLEARS} {UNTOLD}"),
        # Seeds that both share make a small difference certain; two samples do not.
        (GOOD, GOOD - 0.3, "replicated", "shows some of it", CLEARS),
        (GOOD, around(1.2, 0.4, 4), "inconclusive", "shows some of it", UNTOLD),
        (GOOD, around(0.0, 0.4, 50), "replicated", "does not show it", CLEARS),
        (
            GOOD,
            [*FAR[:4], NAN],
            "inconclusive",
            "does not show it",
            "control gave no num",
        ),
        (
            around(0.5, 0.4),
            around(0.5, 0.4),
            "inconclusive",
            "shows some of it",
            UNTOLD,
        ),
        (around(0.5, 0.4), GOOD, "inconclusive", "shows it", BETTER),
        (around(0.0, 0.5), GOOD, "not replicated", "shows it", EXCLUDES),
        (
            [INF] * 5,
            [INF] * 5,
            "inconclusive",
            "shows it",
            f"{ALSO} {UNTOLD}",
        ),
        ([INF] * 5, [1.5, 0, 0, 0, 0], "replicated", "undecided", CLEARS),
        ([INF] * 5, [1.5, 0, 0, 0], "replicated", "undecided", CLEARS),
        ([INF] * 5, [INF] * 4, "inconclusive", "shows it", f"{ALSO} {UNTOLD}"),
    ],
)
def test_a_control_has_to_lie_apart(values, control, verdict, shows, why):
    for found in four(values, control, GREATER):
        assert (found.verdict, found.control_shows) == (verdict, shows)
        assert why in found.why
        for sentence in (UNTOLD, BETTER):
            assert (sentence in found.why) == (sentence in why)


@pytest.mark.parametrize("far", [3.0, -3.0])
def test_a_control_of_a_band_lies_apart_on_either_side(far):
    inside = around(0.0, 0.3)
    check(
        inside, inside + far, BAND, "replicated", "The interval lies inside the band."
    )
    for found in four(inside, inside[::-1] + far / 30, BAND):
        assert (found.verdict, found.control_shows) == ("inconclusive", "shows it")
        assert found.why.endswith(UNTOLD)


RANGE = Bar("greater", (0.0, 1.0), exact=True)


@pytest.mark.parametrize(
    ("values", "control", "verdict", "why"),
    [
        ([1.0, 1.5, 3.0], [0, 0, 0], "replicated", CLEARS),
        ([0.9, 1.5, 3.0], [0, 0, 0], "inconclusive", SOME),
        ([0.2, 0.5, 0.9], [0, 0, 0], "weaker than claimed", WEAK),
        ([0.2, 0.5, 1.0], [0, 0, 0], "inconclusive", SOME),
        ([0.0, 0.5, 0.9], [0, 0, 0], "not replicated", EXCLUDES),
        ([0.0, 0.5, 1.0], [0, 0, 0], "inconclusive", BOTH),
        ([2.0, 2.0, 2.0], [0, 0, 0], "replicated", CLEARS),
        # Some entries may be the control's; none may be less, and not all the same.
        ([1.0, 1.5, 3.0], [0, 1.5, 0], "replicated", CLEARS),
        ([1.0, 1.5, 3.0], [0, 1.6, 0], "inconclusive", f"{CLEARS} {UNTOLD}"),
        ([1.0, 1.5, 3.0], [0, 0, 0, 0.5], "replicated", CLEARS),
        ([1.0, 1.5, 3.0], [0, 0, 0, 1.5], "inconclusive", f"{CLEARS} {UNTOLD}"),
    ],
)
def test_of_exact_numbers_every_entry_counts(values, control, verdict, why):
    check(values, control, RANGE, verdict, why)
    assert all(found.p_bar is None for found in four(values, control, RANGE))


@pytest.mark.parametrize(
    ("values", "control", "rounding", "verdict", "decides"),
    [
        (around(1.45, 0.4), FAR, 0.04, "replicated", False),
        (around(1.45, 0.4), FAR, 0.06, "inconclusive", True),
        (around(0.5, 0.4), FAR, 0.15, "inconclusive", True),
        (around(0.55, 0.4), FAR, 0.04, "weaker than claimed", False),
        (around(0.0, 0.5), FAR, 0.6, "inconclusive", True),
        (around(1.35, 0.4), FAR, 0.06, "inconclusive", True),
        (around(2.5, 0.4), around(1.4, 1.4), 0.05, "replicated", False),
        (around(2.5, 0.4), around(1.4, 1.4), 0.2, "inconclusive", True),
        (GOOD + 1, GOOD - 0.3 + 1, 0.31, "inconclusive", False),
        (GOOD, FAR, 1e300, "inconclusive", True),
    ],
)
def test_an_end_near_an_edge_is_left_open(values, control, rounding, verdict, decides):
    bar = Bar("greater", (0.0, 1.0), rounding=(rounding, rounding))
    for found in four(values, control, bar):
        assert (found.verdict, found.rounding_decides) == (verdict, decides)


def test_rounding_that_decides_says_what_it_was_here():
    found = judge(Bar("greater", (0.0, 1.0), rounding=(0.2, 0.2)), GOOD, FAR, PLAIN)
    assert found.why == f"{CLEARS} Rounding on another processor could turn that."
    # Open it was already: the reason stays.
    bar = Bar("greater", (0.0, 1.0), rounding=(0.2, 0.2))
    assert judge(bar, around(1.3, 0.4), FAR, PLAIN).why == HOLDS


@pytest.mark.parametrize(
    ("measured", "bounds", "why"),
    [
        (0.05, {"below": 0.1}, CLEARS),
        (0.99, {"below": 0.1}, "NMSE is 0.99; it has to be below 0.1."),
        (0.1, {"below": 0.1}, "NMSE is 0.1; it has to be below 0.1."),
        (0.3, {"above": 0.2}, CLEARS),
        (0.2, {"above": 0.2}, "NMSE is 0.2; it has to be above 0.2."),
        (NAN, {"below": 0.1}, "NMSE is no number; it has to be below 0.1."),
        (NAN, {"above": 0.2}, "NMSE is no number; it has to be above 0.2."),
        (
            -9.32e-5,
            {"above": -1e-5},
            "NMSE is −9.3·10⁻⁵; it has to be above −1.0·10⁻⁵.",
        ),
        (INF, {"above": 0.2}, CLEARS),
    ],
)
def test_a_precondition_comes_first(measured, bounds, why):
    condition = {"precondition": {"quantity": "NMSE", **bounds}}
    for rounding in (None, 9.0):
        found = row(GOOD, FAR, [measured], rounding, **condition)
        if why != CLEARS:
            assert (found["rule"], found["why"]) == ("not comparable", why)
        elif rounding is None:
            assert (found["rule"], found["why"]) == ("replicated", why)


def test_p_is_that_of_the_test_against_the_bar():
    def p(x, edge, side):
        return scipy.stats.ttest_1samp(x, edge, alternative=side).pvalue

    x = around(1.2, 0.6)
    for found in four(x, FAR, GREATER):
        assert found.p_bar == pytest.approx(p(x, 1.0, "greater"))
    near = around(0.2, 0.4)
    both = p(near, -0.5, "greater"), p(near, 0.5, "less")
    for found in four(near, FAR, BAND):
        assert found.p_bar == pytest.approx(max(both))
    for none in ([1.0] * 5, [1.0, 2.0], [NAN] * 5, [1, 2, 3, 4, INF]):
        assert all(found.p_bar is None for found in four(none, FAR, GREATER))


def test_numbers_are_shown_as_readers_see_them_and_shares_taken_on_the_scale():
    found = judge(Bar("greater", (1.0, 16.0)), [2.0, 8.0, 4.0], [1.0, 1.0, 2.0], LOG)
    assert found.measured.middle == pytest.approx(4.0)
    assert found.measured.low * found.measured.high == pytest.approx(16.0)
    assert found.difference.middle == pytest.approx(4.0 / 2 ** (1 / 3))
    assert found.share == pytest.approx(0.5)
    shares = judge(Bar("greater", (0.5, 0.9)), [0.8, 0.7, 0.9], [0.5] * 3, ODDS)
    assert 0.7 < shares.measured.middle < 0.9
    assert shares.measured.high < 1
    logit = np.log([4, 7 / 3, 9]).mean()
    assert shares.difference.middle == pytest.approx(logit)
    assert shares.share == pytest.approx(logit / math.log(9))
    assert judge(BAND, GOOD, FAR, PLAIN).share is None
    assert judge(GREATER, [INF] * 5, FAR, PLAIN).share is None
    assert judge(GREATER, [NAN] * 5, FAR, PLAIN).share is None


def test_numbers_that_only_the_scale_takes_for_equal_are_not_said_to_be():
    near = judge(Bar("greater", (0.5, 0.9)), [0.9992, 0.9996, 1.0], [0.5] * 3, ODDS)
    assert (near.verdict, near.why) == ("replicated", CLEARS)
