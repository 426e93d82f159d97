"""Estimates with their intervals, and each way from there to a verdict."""

import numpy as np
import pytest
import scipy.stats
from one_claim import BAND, claim, judged

from spectral_book.claims.verdicts import estimate


def around(mean, half):
    """Five values whose 95 % t interval is mean -+ half."""
    base = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    width = scipy.stats.t.ppf(0.975, 4) * base.std(ddof=1) / np.sqrt(5)
    return mean + base * half / width


def verdict(values, control=(0.0, 0.0, 0.0), **changes):
    """The verdict, that of the control, and why."""
    row = judged(values, control, **changes)
    return row["verdict"], row["control"]["verdict"], row["why"]


def test_the_t_interval_is_the_closed_form():
    e = estimate(claim(), {"x": around(1.3, 0.2)})
    assert e.estimate == pytest.approx(1.3)
    assert (e.ci_low, e.ci_high) == pytest.approx((1.1, 1.5))
    assert e.n == 5
    assert e.ci_method == "95 % t interval"


def test_a_jackknife_is_named():
    pair = {"numerator": [1.0, 1.4, 2.0, 1.2], "denominator": [2.0, 2.9, 4.1, 2.4]}
    bar = {"no_effect": 1.0, "threshold": 2.0}
    e = estimate(claim(statistic="spread_ratio", **bar), pair)
    assert e.ci_method == "95 % t interval of logarithms, jackknife"
    plain = estimate(claim(statistic="ratio", **bar), pair)
    assert plain.ci_method == "95 % t interval of logarithms"


def test_the_p_value_is_that_of_the_one_sided_test():
    values = around(0.5, 0.6)
    expected = scipy.stats.ttest_1samp(values, 0.0, alternative="greater").pvalue
    assert estimate(claim(), {"x": values}).p_value == pytest.approx(expected)
    less = claim(direction="less", threshold=-1.0)
    assert estimate(less, {"x": values}).p_value == pytest.approx(1 - expected)


@pytest.mark.parametrize(
    ("mean", "half", "expected"),
    [
        (1.5, 0.4, "replicated"),
        (0.5, 0.4, "direction only"),
        (1.0, 0.5, "direction only"),
        (0.0, 0.5, "not replicated"),
        (-3.0, 0.5, "not replicated"),
        (0.6, 0.9, "inconclusive"),
        # The whole number lies on a bar: it is cleared, and no effect is not excluded.
        ([1.0], 0, "replicated"),
        ([0.0], 0, "not replicated"),
    ],
)
def test_verdicts_follow_from_the_interval(mean, half, expected):
    values = around(mean, half) if half else np.array(3 * mean)
    assert verdict(values, [-5, -6, -7])[0] == expected
    mirrored = {"direction": "less", "threshold": -1.0}
    assert verdict(-values, [5, 6, 7], **mirrored)[0] == expected


@pytest.mark.parametrize(
    ("mean", "half", "expected"),
    [
        (0.0, 0.4, "replicated"),
        (0.5, 0.4, "inconclusive"),
        (2.0, 0.4, "not replicated"),
        (-2.0, 0.4, "not replicated"),
        (-0.5, 0.4, "inconclusive"),
        ([0.5], 0, "replicated"),
        ([-0.5], 0, "replicated"),
    ],
)
def test_verdicts_of_a_band(mean, half, expected):
    values = around(mean, half) if half else 3 * mean
    assert verdict(values, control=around(5, 1), **BAND)[0] == expected


def test_a_control_with_the_effect_takes_the_verdict_away():
    values = around(1.5, 0.4)
    assert verdict(values)[0] == "replicated"
    taken, of_control, why = verdict(values, control=values)
    assert taken == "inconclusive"
    assert of_control == "replicated"
    assert "control" in why


@pytest.mark.parametrize(
    ("control", "expected"),
    [(1.5, "inconclusive"), (0.6, "inconclusive"), (0.0, "direction only")],
)
def test_a_control_as_good_as_a_weak_claim_takes_its_verdict_away(control, expected):
    taken, _, why = verdict(around(0.5, 0.4), control=around(control, 0.3))
    assert taken == expected
    assert ("control" in why) == (expected == "inconclusive")


def test_a_weak_control_is_not_said_to_show_the_effect():
    for control, told in ((1.5, True), (0.6, False)):
        _, of_control, why = verdict(around(0.5, 0.4), control=around(control, 0.3))
        assert (of_control == "replicated") == told
        assert (why == "The control shows the effect too.") == told
        assert ("the control, too, excludes no effect" in why) != told


def test_a_control_that_is_weaker_than_the_claim_leaves_the_verdict():
    weaker = verdict(around(1.5, 0.4), control=around(0.5, 0.4))
    assert weaker[:2] == ("replicated", "direction only")
    failed = verdict(around(0.0, 0.5), control=around(1.5, 0.4))
    assert failed[:2] == ("not replicated", "replicated")


def test_a_control_without_numbers_takes_the_verdict_away():
    lost = [float("nan")] * 5
    taken, _, why = verdict(around(1.5, 0.4), control=lost)
    assert taken == "inconclusive"
    assert "control" in why
    # Where the claim has none either, that is the reason.
    assert "0 finite values" in verdict(lost, control=lost)[2]


@pytest.mark.parametrize(("beyond", "shown"), [(2e-16, False), (1e-3, True)])
def test_a_control_that_rounding_parts_from_no_effect_does_not_show_it(beyond, shown):
    some = [1 + beyond] * 5
    _, of_control, _ = verdict([3.0] * 5, some, no_effect=1.0, threshold=2.0)
    assert of_control == ("direction only" if shown else "not replicated")
    e = estimate(
        claim(statistic="ratio"), {"numerator": some, "denominator": [1.0] * 5}
    )
    assert e.ci_low == e.estimate == e.ci_high


def test_too_few_values_are_inconclusive_and_lost_ones_are_counted():
    taken, _, why = verdict([2.0, 2.1, float("nan"), float("inf")])
    assert taken == "inconclusive"
    assert "2 finite values" in why
    e = estimate(claim(), {"x": [2.0, 2.1, float("nan"), 2.2]})
    assert e.n == 3
    assert e.values == (2.0, 2.1, None, 2.2)


def test_exact_numbers_must_all_clear_the_threshold():
    exact = {"interval": "range", "direction": "less", "no_effect": 1.0}
    exact |= {"threshold": 0.1}
    e = estimate(claim(**exact), {"x": [0.0, 0.02, 0.09]})
    assert (e.ci_low, e.ci_high) == (0.0, 0.09)
    assert e.ci_method == "range of all entries"
    assert e.p_value is None
    apart = (1.0, 2.0, 3.0)
    assert verdict([0.0, 0.02, 0.09], control=apart, **exact)[0] == "replicated"
    assert verdict([0.0, 0.02, 0.11], control=apart, **exact)[0] == "direction only"


@pytest.mark.parametrize(
    ("values", "changes"),
    [([0.0, 0.5, 1.0], {}), ([-0.7, -0.6, -0.5], BAND), ([0.5, 0.6, 0.7], BAND)],
)
def test_an_interval_that_ends_on_the_bar_excludes_nothing(values, changes):
    control = [5.0, 6.0, 7.0] if changes else [-5.0, -6.0, -7.0]
    found = verdict(values, control, **changes, interval="range")
    assert found[0] == "inconclusive"


def test_values_alike_but_for_rounding_have_an_interval_of_no_width():
    e = estimate(claim(), {"x": [2.0, 2.0 + 4e-16, 2.0]})
    assert e.ci_low == e.ci_high
    assert e.p_value is None


def test_ratios_are_geometric_means_with_intervals_of_logarithms():
    c = claim(statistic="ratio", no_effect=1.0, threshold=2.0)
    top, bottom = np.array([2.0, 8.0, 4.0]), np.array([1.0, 1.0, 1.0])
    e = estimate(c, {"numerator": top, "denominator": bottom})
    assert e.estimate == pytest.approx(4.0)
    assert e.ci_low * e.ci_high == pytest.approx(16.0)
    assert e.values == pytest.approx((2.0, 8.0, 4.0))
    logs = np.log(top)
    expected = scipy.stats.ttest_1samp(logs, 0.0, alternative="greater").pvalue
    assert e.p_value == pytest.approx(expected)
