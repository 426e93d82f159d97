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
    one_way,
    rank_correlation,
    rank_correlation_between_runs,
    seeds_to_tell,
    share_within,
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


def test_one_way_finds_the_variances_of_a_layout_and_scipys_f():
    x = RNG.normal(size=(6, 1)) + RNG.normal(size=(6, 4))
    found = one_way(x)
    wanted = scipy.stats.f_oneway(*x)
    assert (found.f, found.p) == pytest.approx((wanted.statistic, wanted.pvalue))
    assert found.within == pytest.approx(np.mean([np.var(r, ddof=1) for r in x]))
    # All pairs of runs of different seeds differ by both variances.
    apart = [np.subtract.outer(a, b) for i, a in enumerate(x) for b in x[:i]]
    assert found.within + found.between == pytest.approx(np.square(apart).mean() / 2)
    assert np.isnan(one_way(x[:1])).all()


def test_the_tables_of_sun_et_al_show_no_effect_of_the_seed_beyond_rounding():
    # Table 1, a row a factor.
    printed = """
    93.36 93.40 93.10 93.14 93.34 93.33  93.49 93.37 93.08 93.68 93.16 93.12
    93.64 93.22 93.39 93.17 93.26 93.42  93.36 93.31 93.12 93.23 93.14 93.28
    93.87 93.55 93.08 93.35 93.42 93.41  92.99 93.31 93.49 93.48 93.14 93.56"""
    found = one_way(np.reshape(printed.split(), (6, 6)).T.astype(float))
    assert found.f == pytest.approx(1.29, abs=0.005)
    assert found.p == pytest.approx(0.29, abs=0.005)
    assert found.within**0.5 == pytest.approx(0.188, abs=5e-4)
    assert found.between**0.5 == pytest.approx(0.04, abs=5e-3)


def layouts(ratio, seeds, columns, trials):
    """Noise of variance 1 within rows; STD over rows in all is 1 / ratio."""
    rng = np.random.default_rng(0)
    rows = (1 / ratio**2 - 1) ** 0.5 * rng.normal(size=(trials, seeds, 1))
    return rows + rng.normal(size=(trials, seeds, columns))


def test_a_share_within_rows_is_a_jackknife_and_0_where_settings_have_no_effect():
    x = layouts(0.7, 5, 3, 1)[0]

    def share(part):
        total = np.mean(
            [
                np.square(np.subtract.outer(a, b)).mean() / 2
                for i, a in enumerate(part)
                for b in part[:i]
            ]
        )
        return np.mean([np.var(row, ddof=1) for row in part]) / total

    wanted = [5 * share(x) - 4 * share(np.delete(x, i, 0)) for i in range(5)]
    assert STATISTICS["share_within"](x) == pytest.approx(wanted)
    assert STATISTICS["share_within"](x[:, [0, 0]]) == pytest.approx(np.zeros(5))
    assert np.isnan(STATISTICS["share_within"](x[:2])).all()


def test_five_seeds_and_five_factors_can_decide_on_half_the_spread_of_seeds():
    # The interval has to clear a share of 1/4, that is a ratio of 1/2.
    def cleared(ratio):
        pseudo = [share_within(x) for x in layouts(ratio, 5, 5, 600)]
        return np.mean([mean_interval(one)[1] > 0.25 for one in pseudo])

    assert cleared(0.999999) > 0.75
    assert cleared(0.5) < 0.07


@pytest.mark.parametrize(("ratio", "seeds"), [(0.5, 3), (0.16 / 0.17, 45)])
def test_seeds_that_tell_a_ratio_from_1_do_so_in_four_of_five_trials(ratio, seeds):
    assert seeds_to_tell(ratio, 6) == seeds

    def found(ratio, seeds):
        return np.mean([one_way(x).p < 0.05 for x in layouts(ratio, seeds, 6, 1500)])

    assert 0.77 < found(ratio, seeds) < 0.87
    assert 0.03 < found(1.0, seeds) < 0.07  # the test keeps its level
    assert found(ratio, seeds - 1) < found(ratio, seeds)


@pytest.mark.parametrize("wrong", [(1.0, 6), (0.0, 6), (2.0, 6), (0.6, 1)])
def test_a_ratio_that_no_seeds_can_tell_is_refused(wrong):
    with pytest.raises(ValueError, match="between 0 and 1"):
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
