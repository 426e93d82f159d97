"""Statistics against closed forms, and the rule that turns some into a conclusion."""

import warnings

import numpy as np
import pytest
import scipy.stats

from spectral_book.claims.statistics import (
    STATISTICS,
    agreement,
    in_random_order,
    mean_interval,
    partial_rank_correlation,
    rank_correlation,
    rank_correlation_between_runs,
    seeds_to_tell,
    slope,
    spearman,
)

RNG = np.random.default_rng(0)


def test_statistics_against_closed_forms():
    x = np.array([1.0, 2.0, 4.0])
    rows = np.stack([3 * x + 1, -2 * x])
    assert slope(x, rows) == pytest.approx([3, -2])
    logs = STATISTICS["magnitude"]([0.0, 2.0])
    assert logs == pytest.approx([-18 * np.log(10), np.log(2)])
    assert STATISTICS["log_log_slope"](x, np.stack([x**2.5])) == pytest.approx([2.5])
    assert STATISTICS["spearman"](x, rows) == pytest.approx([1, -1])
    assert STATISTICS["correlation"](rows, x) == pytest.approx([1, -1])
    assert STATISTICS["fraction"]([1, 3], [2, 4]) == pytest.approx([0.5, 0.75])
    assert STATISTICS["difference"]([1, 3], [2, 1]) == pytest.approx([-1, 2])
    assert np.exp(STATISTICS["ratio_to"]([2, 6], 2)) == pytest.approx([1, 3])


def test_a_slope_of_logs_is_missing_without_a_warning_where_a_number_is_not_positive():
    rows = np.array([[1.0, 0.0, 4.0], [1.0, -1.0, 4.0], [1.0, 2.0, 4.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = STATISTICS["log_log_slope"]([1.0, 2.0, 4.0], rows)
    assert np.isfinite(found).tolist() == [False, False, True]
    assert found[2] == pytest.approx(1.0)


def test_the_jackknife_of_a_spread_is_centred_on_the_ratio_of_spreads():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=400)
    pseudo = STATISTICS["spread_ratio"](np.exp(3 * noise), np.exp(noise[::-1]))
    assert len(pseudo) == 400
    assert np.exp(pseudo.mean()) == pytest.approx(3, rel=0.15)
    same = STATISTICS["spread_ratio"](np.exp(noise), np.exp(noise))
    assert same == pytest.approx(np.zeros(400))


def test_a_spread_over_settings_and_one_over_seeds():
    # Rows are seeds: 0 and 3 within each, and 4 between them in each column.
    x = np.array([[0.0, 3.0], [4.0, 7.0], [8.0, 11.0]])
    within, across = 3 / np.sqrt(2), 4.0
    part = [within / (d / np.sqrt(2)) for d in (4.0, 8.0, 4.0)]
    wanted = [3 * within / across - 2 * one for one in part]
    assert STATISTICS["grid_spread_ratio"](x) == pytest.approx(wanted)
    assert STATISTICS["grid_spread_ratio"](x[:, [0, 0]]) == pytest.approx([0, 0, 0])
    assert np.isnan(STATISTICS["grid_spread_ratio"](x[:2])).all()
    noise = np.random.default_rng(0).normal(size=(200, 5))
    assert STATISTICS["grid_spread_ratio"](noise).mean() == pytest.approx(1, abs=0.1)


def test_seeds_that_tell_two_spreads_apart_do_so_in_four_of_five_trials():
    ratio, columns = 1.6, 6
    seeds = seeds_to_tell(ratio, columns)
    a, b = seeds * (columns - 1), columns * (seeds - 1)
    rng = np.random.default_rng(0)
    spreads = ratio**2 * rng.chisquare(a, 20000) / a, rng.chisquare(b, 20000) / b
    tail = scipy.stats.f(a, b)
    found = spreads[0] / spreads[1]
    power = ((found < tail.ppf(0.025)) | (found > tail.ppf(0.975))).mean()
    assert 0.78 < power < 0.9
    assert seeds_to_tell(1 / ratio, columns) == pytest.approx(seeds, abs=1)
    assert seeds_to_tell(1.1, columns) > seeds
    for wrong in ((1.0, 6), (0.0, 6), (1.6, 1)):
        with pytest.raises(ValueError, match="positive ratio other than 1"):
            seeds_to_tell(*wrong)


def test_correlation_over_runs_leaves_out_one_run_at_a_time():
    x, y = np.random.default_rng(0).normal(size=(2, 9))
    found = STATISTICS["correlation_over_runs"](x, y)
    whole = np.corrcoef(x, y)[0, 1]
    for i in range(9):
        part = np.corrcoef(np.delete(x, i), np.delete(y, i))[0, 1]
        assert found[i] == pytest.approx(9 * whole - 8 * part)
    straight = STATISTICS["correlation_over_runs"](x, 2 * x + 1)
    assert straight == pytest.approx(np.ones(9))
    assert np.isnan(STATISTICS["correlation_over_runs"](x[:3], y[:3])).all()


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


def test_between_runs_of_groups_is_the_mean_of_the_groups():
    x, y = RNG.standard_normal((2, 5, 3, 6))  # runs, groups, settings
    alone = [rank_correlation_between_runs(x[:, g], y[:, g]) for g in range(3)]
    np.testing.assert_allclose(
        rank_correlation_between_runs(x, y), np.mean(alone, axis=0)
    )


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
