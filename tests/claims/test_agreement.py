"""Rank correlations, reliability and the rule that turns them into a conclusion."""

import numpy as np
import pytest
import scipy.stats

from spectral_book.claims.statistics import (
    agreement,
    in_random_order,
    mean_interval,
    partial_rank_correlation,
    rank_correlation,
    rank_correlation_between_runs,
    spearman,
)

RNG = np.random.default_rng(0)


def test_rank_correlation_is_scipys_with_ties_and_broadcast():
    x = RNG.integers(0, 4, (3, 2, 12))
    y = RNG.standard_normal((2, 12))
    found = rank_correlation(x, y)
    assert found.shape == (3, 2)
    for i in range(3):
        for j in range(2):
            expected = scipy.stats.spearmanr(x[i, j], y[j]).statistic
            assert found[i, j] == pytest.approx(expected)


def test_constant_and_missing_values_give_nan():
    good = np.arange(5.0)
    assert np.isnan(rank_correlation(np.ones(5), good))
    assert np.isnan(rank_correlation([1, 2, np.nan, 4, 5], good))


def test_partial_correlation_is_that_of_residuals_of_ranks():
    z = RNG.standard_normal(40)
    x, y = z + RNG.standard_normal(40), z + RNG.standard_normal(40)
    ranks = [scipy.stats.rankdata(v) for v in (x, y, z)]
    left = [v - np.polyval(np.polyfit(ranks[2], v, 1), ranks[2]) for v in ranks[:2]]
    expected = scipy.stats.pearsonr(*left).statistic
    assert partial_rank_correlation(x, y, z) == pytest.approx(expected)
    assert abs(expected) < rank_correlation(x, y)


def slow_between(x, y):
    pairs = [
        scipy.stats.spearmanr(x[r], y[s]).statistic
        for r in range(len(x))
        for s in range(len(x))
        if r != s
    ]
    return np.mean(pairs)


def test_between_runs_is_the_jackknife_of_all_pairs():
    x, y = RNG.standard_normal((2, 5, 9))
    whole = slow_between(x, y)
    expected = [
        5 * whole - 4 * slow_between(np.delete(x, i, 0), np.delete(y, i, 0))
        for i in range(5)
    ]
    np.testing.assert_allclose(rank_correlation_between_runs(x, y), expected)
    assert np.isnan(rank_correlation_between_runs(x[:2], y[:2])).all()


def test_a_measure_without_noise_is_reliable_and_one_of_noise_is_not():
    true = np.arange(12.0)
    assert rank_correlation_between_runs([true] * 4, [true] * 4).mean() == 1
    noise = RNG.standard_normal((8, 12))
    assert abs(rank_correlation_between_runs(noise, noise).mean()) < 0.3


def test_interval_is_scipys_and_skips_what_is_not_finite():
    x = RNG.standard_normal(7)
    expected = scipy.stats.ttest_1samp(x, 0).confidence_interval()
    mean, low, high = mean_interval([*x, np.nan])
    assert (mean, low, high) == pytest.approx((x.mean(), *expected))
    assert np.isnan(mean_interval([1.0, 2.0])[1])


@pytest.mark.parametrize(
    ("correlations", "left_out", "reliability", "expected", "why"),
    [
        ([0.8, 0.82, 0.84], [0.7, 0.6], 0.9, "agree", ""),
        ([0.8, 0.82, 0.84], [0.7, 0.4], 0.9, "cannot tell", "each group left out"),
        ([0.8, 0.82, 0.84], [0.7, 0.6], 0.4, "cannot tell", "b not reliable"),
        ([-0.8, -0.82, -0.84], [-0.7, -0.6], 0.9, "opposite", ""),
        ([-0.8, -0.82, -0.84], [-0.7, 0.1], 0.9, "cannot tell", "each group left out"),
        ([0.1, 0.12, 0.14], [0.9, -0.9], 0.9, "disagree", ""),
        ([0.3, 0.4, 0.6], [0.5, 0.6], 0.9, "cannot tell", "interval holds 0.5"),
        ([-0.3, -0.4, -0.6], [0, 0], 0.9, "cannot tell", "interval holds -0.5"),
        ([-0.9, 0.0, 0.9], [0, 0], 0.9, "cannot tell", "holds -0.5 and 0.5"),
        ([0.8, 0.9], [0.8, 0.8], 0.9, "cannot tell", "too few seeds"),
        ([0.8, 0.82, 0.84], [0.7, 0.6], np.nan, "cannot tell", "of b not known"),
    ],
)
def test_the_rule_and_its_reason(correlations, left_out, reliability, expected, why):
    found, reason = agreement(correlations, left_out, {"a": 0.8, "b": reliability})
    assert found == expected
    assert reason.endswith(why)
    assert bool(reason) == (expected == "cannot tell")


def test_rows_in_random_order_hold_the_same_numbers_and_no_relation():
    rows = np.array([[1.0, 2, 3, 4, 5], [9, 8, 7, 6, 5]])
    found = in_random_order(rows, times=400)
    assert found.shape == (800, 5)
    assert (np.sort(found) == np.sort(np.tile(rows, (400, 1)))).all()
    assert abs(spearman(range(5), found).mean()) < 0.06
    assert len({tuple(row) for row in found[::2]}) > 90  # of 120 orders
