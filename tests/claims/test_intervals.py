"""Intervals and differences against SciPy, and Holm's procedure against a slow one."""

import math

import numpy as np
import pytest
import scipy.stats

from spectral_book.claims.intervals import alike, difference, holm, interval

INF, NAN = math.inf, math.nan


def found(e):
    return e.middle, e.low, e.high, e.n, e.missing


def test_a_t_interval_is_scipys_and_counts_what_is_missing():
    x = np.array([1.0, 1.7, 2.9, 0.3, 1.1, NAN])
    test = scipy.stats.ttest_1samp(x[:5], 0).confidence_interval()
    assert found(interval(x)) == pytest.approx((1.4, test.low, test.high, 5, 1))
    assert interval(x).method == "95 % t interval"


@pytest.mark.parametrize(
    ("values", "exact", "expected", "method"),
    [
        ([1, 5, 3], True, (3, 1, 5, 3, 0), "range of all entries"),
        ([1, 5, NAN, 3], True, (3, 1, 5, 3, 1), "range of all entries"),
        ([1, 2, 3, INF], False, (2.5, 1, INF, 4, 0), "range, as a value is infinite"),
        ([1, 2, INF], False, (2, None, None, 3, 0), ""),
        ([-INF, 2, 3, 4, NAN], False, (2.5, -INF, 4, 4, 1), "range, as a value is inf"),
        ([INF] * 4, False, (INF, INF, INF, 4, 0), "range, as a value is infinite"),
        ([2, 2 + 4e-16, 2], False, (2, 2, 2, 3, 0), "95 % t interval"),
        ([1, 2], False, (1.5, None, None, 2, 0), ""),
        ([1, 2, NAN], True, (1.5, None, None, 2, 1), ""),
        ([NAN] * 4, False, (None, None, None, 0, 4), ""),
    ],
)
def test_intervals_without_a_t_test(values, exact, expected, method):
    e = interval(np.array(values, float), exact)
    assert found(e) == expected
    assert e.method.startswith(method)


def test_the_middle_of_both_infinities_is_no_number():
    e = interval(np.array([-INF, -INF, INF, INF]))
    assert math.isnan(e.middle)
    assert (e.low, e.high) == (-INF, INF)


def test_a_paired_difference_is_scipys_and_knows_what_seeds_share():
    seeds = np.array([10.0, 200.0, -30.0, 5.0, 77.0])
    mine, other = seeds + np.array([1, 1.2, 0.9, 1.1, 0.8]), seeds
    test = scipy.stats.ttest_rel(mine, other).confidence_interval()
    e = difference(mine, other)
    assert (e.low, e.high) == pytest.approx((test.low, test.high))
    assert e.low > 0.7
    assert e.method == "paired"
    lost = difference(np.array([*mine, 1.0]), np.array([*other, NAN]))
    assert found(lost) == pytest.approx((*found(e)[:3], 5, 1))


def test_samples_of_other_size_are_compared_by_welchs_test():
    mine, other = np.array([1.0, 1.7, 2.9]), np.array([0.3, -1.1, 0.4, 5.0])
    test = scipy.stats.ttest_ind(mine, other, equal_var=False).confidence_interval()
    e = difference(mine, np.array([*other, NAN]))
    assert (e.low, e.high) == pytest.approx((test.low, test.high))
    assert (e.n, e.missing, e.method) == (3, 1, "Welch")
    assert found(difference(np.full(3, 2.0), np.full(4, 0.5)))[:3] == (1.5, 1.5, 1.5)


@pytest.mark.parametrize(
    ("mine", "other", "exact", "ends"),
    [
        ([INF] * 4, [1, 2, 3, 4], False, (INF, INF)),
        ([INF] * 3, [1, 2, 3], False, (None, None)),
        ([INF, 2, 3], [INF, 1, 2], True, (0, 1)),
        ([-INF, 2, 3, 3], [1] * 4, False, (-INF, 2)),
        ([INF] * 4, [1, 2, 3], False, (INF, INF)),
        ([5, 6, 7], [1, 2, 3, 4], True, (1, 6)),
        ([5, 6, 9], [4, 4, 3], True, (1, 6)),
        ([0.3] * 3, [0.1 + 0.2] * 3, False, (0, 0)),
        ([1, 2, 3], [1, 2], False, (None, None)),
        ([1, 2, 3], [NAN] * 3, False, (None, None)),
    ],
)
def test_differences_of_infinite_exact_and_few_numbers(mine, other, exact, ends):
    e = difference(np.array(mine, float), np.array(other, float), exact)
    assert (e.low, e.high) == ends


def test_ranks_keep_skewed_samples_of_other_size_from_being_told_apart():
    mine = np.array([0.01, 0.03, 0.0, 0.02, 0.015])
    other = np.tile([0.0, 0.01, 0.02, 0.03, 1.0], 20)
    welch = scipy.stats.ttest_ind(mine, other, equal_var=False).confidence_interval()
    assert welch.high < 0
    found = difference(mine, other)
    assert (found.low, found.high) == (pytest.approx(welch.low), 0.0)
    # Mirrored, it is the other end.
    assert difference(-mine, -other).low == 0.0
    assert difference(mine - 1, other).high < 0


def test_two_infinite_samples_of_other_size_cannot_be_told_apart():
    e = difference(np.full(3, INF), np.full(4, INF))
    assert math.isnan(e.low)
    assert math.isnan(e.high)


def test_numbers_are_alike_to_rounding_of_their_size():
    assert alike(np.array([1e9, 1e9 + 1e-4]))
    assert not alike(np.array([1e9, 1e9 + 1]))
    assert alike(np.zeros(3))
    assert not alike(np.array([0, 1e-30]))


def slow_holm(p):
    """The least p against all, the next against all but one, until one fails."""
    left, held = list(range(len(p))), set()
    while left:
        least = min(left, key=lambda i: p[i])
        if p[least] * len(left) > 0.025:
            break
        held.add(least)
        left.remove(least)
    return [i in held for i in range(len(p))]


def test_holm_is_the_slow_procedure():
    rng = np.random.default_rng(0)
    for n in (1, 2, 5, 30):
        for _ in range(20):
            p = rng.random(n) ** 6
            assert holm(p) == slow_holm(p)
    assert holm([]) == []
    assert holm([0.0125, 0.025]) == [True, True]
    assert holm([0.0126, 0.0126]) == [False, False]
    assert holm([0.02, 0.001, 0.0126]) == [False, True, False]
