"""Claims files, statistics against closed forms, and each way to a verdict."""

import warnings

import numpy as np
import pytest
import scipy.stats
from one_claim import claim
from pydantic import ValidationError

from spectral_book.claims.claims_file import load_claims
from spectral_book.claims.statistics import STATISTICS
from spectral_book.claims.verdicts import estimate, judge

FILE = """
chapter: c
paper: "P 2024"
frozen: "2026-01-01"
claims:
  - id: first
    source: "Figure 1"
    statement: "It grows."
    statistic: {statistic}
    quantity: "x"
    direction: greater
    no_effect: 0.0
    threshold: 1.0
    control: "nothing"
    differs: {{}}
"""


def around(mean, half):
    """Five values whose 95 % t interval is mean -+ half."""
    base = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    width = scipy.stats.t.ppf(0.975, 4) * base.std(ddof=1) / np.sqrt(5)
    return mean + base * half / width


def verdict(values, control=(0.0, 0.0, 0.0), **changes):
    c = claim(**changes)
    return judge(c, estimate(c, {"x": values}), estimate(c, {"x": control}))


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


@pytest.mark.parametrize("interval", ["t", "bootstrap"])
def test_intervals_cover_the_truth_as_often_as_they_say(interval):
    c = claim(interval=interval)
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(200):
        e = estimate(c, {"x": rng.normal(2.0, 1.0, 20)})
        hits += e.ci_low <= 2.0 <= e.ci_high
    assert 0.90 <= hits / 200 <= 0.99


@pytest.mark.parametrize(
    ("mean", "half", "expected"),
    [
        (1.5, 0.4, "replicated"),
        (0.5, 0.4, "direction only"),
        (1.0, 0.5, "direction only"),
        (0.0, 0.5, "not replicated"),
        (-3.0, 0.5, "not replicated"),
        (0.6, 0.9, "inconclusive"),
    ],
)
def test_verdicts_follow_from_the_interval(mean, half, expected):
    assert verdict(around(mean, half))[0] == expected
    mirrored = {"direction": "less", "threshold": -1.0}
    assert verdict(around(-mean, half), **mirrored)[0] == expected


@pytest.mark.parametrize(
    ("mean", "half", "expected"),
    [
        (0.0, 0.4, "replicated"),
        (0.5, 0.4, "inconclusive"),
        (2.0, 0.4, "not replicated"),
        (-2.0, 0.4, "not replicated"),
    ],
)
def test_verdicts_of_a_band(mean, half, expected):
    band = {"direction": "within", "band": (-0.5, 0.5)}
    band |= {"threshold": None, "no_effect": None}
    assert verdict(around(mean, half), control=around(5, 1), **band)[0] == expected


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


def test_values_without_spread_have_an_interval_of_no_width():
    for interval in ("t", "bootstrap"):
        e = estimate(claim(interval=interval), {"x": [2.0, 2.0, 2.0]})
        assert (e.ci_low, e.ci_high) == (2.0, 2.0)


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


def test_statistics_against_closed_forms():
    x = np.array([1.0, 2.0, 4.0])
    rows = np.stack([3 * x + 1, -2 * x])
    assert STATISTICS["slope"](x, rows) == pytest.approx([3, -2])
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


def test_a_claims_file_is_read(tmp_path):
    path = tmp_path / "claims.yaml"
    path.write_text(FILE.format(statistic="ratio"))
    assert load_claims(path).claims[0].statistic == "ratio"


def test_a_wrong_claims_file_names_file_claim_and_remedy(tmp_path):
    path = tmp_path / "claims.yaml"
    path.write_text(FILE.format(statistic="ratios"))
    with pytest.raises(ValueError, match="did you mean 'ratio'") as caught:
        load_claims(path)
    assert "claim 'first'" in str(caught.value)
    assert str(path) in str(caught.value)
    path.write_text(FILE.format(statistic="ratio").replace("threshold", "treshold"))
    with pytest.raises(ValueError, match="treshold"):
        load_claims(path)
    with pytest.raises(ValueError, match="no claims file"):
        load_claims(tmp_path / "absent.yaml")
    text = FILE.format(statistic="ratio")
    path.write_text(text + text.split("claims:\n")[1])
    with pytest.raises(ValueError, match="share an id"):
        load_claims(path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"threshold": -1.0}, "wrong side"),
        ({"direction": "less"}, "wrong side"),
        ({"threshold": None}, "threshold and no_effect"),
        ({"direction": "within"}, "band"),
        ({"band": (0.0, 1.0)}, "takes no band"),
        ({"direction": "within", "band": (0.0, 1.0)}, "nothing else"),
        ({"direction": "within", "band": (1.0, 0.0)}, "band"),
        ({"id": "Has Spaces"}, "pattern"),
    ],
)
def test_claims_that_cannot_be_judged_are_refused(changes, words):
    with pytest.raises(ValidationError, match=words):
        claim(**changes)


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
