"""Rows of the ledger: judged, judged again, and caught when changed by hand."""

import json

import numpy as np
import pytest
from one_claim import BAND, RUN, around, claim, file_of, row

from spectral_book.claims.rows import (
    contradictions,
    judged_row,
    rejudged,
    row_without_numbers,
    values_of,
    with_holm,
)
from spectral_book.claims.verdicts import Bar

INF, NAN = np.inf, np.nan
GOOD, FAR = around(1.5, 0.4), [-1.0, -1.2, 0.0, -0.5, -0.7]
RATIO = {"statistic": "ratio", "no_effect": 1.0, "threshold": 2.0}
SHARE = {"bounds": (0.0, 1.0), "no_effect": 0.5, "threshold": 0.7}
CONDITION = {"precondition": {"quantity": "NMSE", "below": 0.1}}
ROWS = {
    "plain": row(GOOD, FAR),
    "band": row(around(0, 0.3), around(3, 1), **BAND),
    "ratio": row([4.0, 0.0, INF, 8.0], [1.0, NAN, 1.0, 2.0], **RATIO),
    "share": row([0.9, 1.0, 0.8], [0.4, 0.5, 0.6], **SHARE),
    "exact": row([1.0, 2.0, 3.0], interval="range"),
    "blown up": row([INF] * 5, FAR),
    "lost": row([NAN, 2.0, 2.1, 2.2], [0.0] * 4),
    "few": row([2.0], [0.0]),
    "condition": row(GOOD, FAR, measured=[0.05, 0.07], **CONDITION),
    "unmet": row(GOOD, FAR, measured=[0.05, NAN], **CONDITION),
    "shaky": row(GOOD, FAR, rounding=0.2),
    "finding": row(GOOD, FAR, origin="book"),
    "not run": row_without_numbers(
        claim(), file_of(claim()), "not comparable", "Not run.", **RUN
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_judged_again_to_the_same_through_json(name):
    held = json.loads(json.dumps(ROWS[name], allow_nan=False))
    assert held == ROWS[name]
    assert rejudged(held) == ROWS[name] | {"otherwise": held["otherwise"]}
    assert contradictions([held]) == []


def test_what_is_infinite_or_missing_stays_so_in_a_row():
    found = ROWS["ratio"]
    assert found["values"] == [pytest.approx(4), 0, "inf", pytest.approx(8)]
    assert found["control"]["values"][1] is None
    ends = (found["ci_low"], found["ci_high"], found["missing"])
    assert ends == (0, "inf", 0)
    assert found["ci_method"] == "range, as a value is infinite of logarithms"
    assert ROWS["lost"]["why"].endswith("1 of 4 seeds gave no number.")
    assert ROWS["unmet"]["precondition"]["measured"] is None
    assert ROWS["condition"]["precondition"]["measured"] == pytest.approx(0.06)


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("plain", {"values": [0.0, 0.1, 0.2, 0.1, 0.0]}, "its verdict is 'replicated'"),
        (
            "plain",
            {"verdict": "not replicated"},
            "'replicated' follows from its values",
        ),
        ("plain", {"rule": "inconclusive"}, "its rule is 'inconclusive'"),
        ("plain", {"estimate": 1.6}, "its estimate is 1.6"),
        ("plain", {"ci_low": 1.2}, "its ci_low is 1.2"),
        ("plain", {"ci_high": None}, "its ci_high is None"),
        ("plain", {"n": 50}, "its n is 50, and 5 follows"),
        ("plain", {"p_bar": 1e-9}, "its p_bar is 1e-09"),
        ("plain", {"threshold": 1.4}, "its verdict"),
        ("band", {"band": [-0.1, 0.1]}, "its verdict"),
        ("plain", {"control": {"values": [2.0] * 5}}, "control"),
        ("plain", {"control": {"estimate": -9.0}}, "its control estimate is -9.0"),
        ("plain", {"control": {"shows": "undecided"}}, "its control shows"),
        ("plain", {"difference": {"ci_low": 9.0}}, "its difference ci_low is 9.0"),
        ("finding", {"verdict": "open"}, "and 'holds' follows"),
        ("shaky", {"rounding": None}, "its verdict is 'inconclusive'"),
        ("unmet", {"precondition": None}, "its verdict is 'not comparable'"),
        ("exact", {"interval": "t"}, "its ci_low is 1.0"),
        ("ratio", {"values": [4.0, 0.0, 9.0, 8.0]}, "its ci_high is 'inf'"),
        ("not run", {"rule": "replicated", "verdict": "replicated"}, "has no values"),
    ],
)
def test_a_row_that_was_changed_by_hand_is_told(name, change, told):
    parts = {
        key: {**ROWS[name][key], **part} if isinstance(part, dict) else part
        for key, part in change.items()
    }
    found = contradictions([ROWS["plain"], {**ROWS[name], **parts}])
    assert any(told in sentence for sentence in found)
    assert found
    assert all(sentence.startswith("a-claim: it") for sentence in found)


def test_rounding_is_no_contradiction():
    close = ROWS["plain"]["estimate"] * (1 + 1e-11)
    assert contradictions([ROWS["plain"] | {"estimate": close}]) == []


def test_a_row_is_judged_by_another_bar():
    assert rejudged(ROWS["plain"])["verdict"] == "replicated"
    higher = rejudged(ROWS["plain"], Bar("greater", (0.0, 2.5)))
    assert (higher["verdict"], higher["threshold"]) == ("weaker than claimed", 1.0)
    assert ROWS["plain"]["verdict"] == "replicated"
    assert rejudged(ROWS["not run"], Bar("greater", (0.0, 2.5))) == ROWS["not run"]


def test_a_row_says_what_its_file_says():
    printed = {"value": 0.88, "spread": None, "where": "Table 2"}
    found = row(GOOD, FAR, printed=printed, late="bar", differs="Half the images.")
    said = (found["printed"], found["late"], found["differs"], found["frozen"])
    assert said == (printed, "bar", "Half the images.", "then")
    assert (found["chapter"], found["paper"], found["profile"]) == ("c", "P", "quick")
    assert (found["origin"], found["verdict"]) == ("paper", "replicated")
    finding = (ROWS["finding"]["rule"], ROWS["finding"]["verdict"])
    assert finding == ("replicated", "holds")


def test_values_are_what_readers_see_without_a_warning():
    ratios = values_of(
        "ratio", {"numerator": [4.0, 1.0, 0.0], "denominator": [2, 0, 1]}
    )
    assert ratios == pytest.approx([2, INF, 0])
    assert values_of("value", {"x": 3.0}).tolist() == [3.0]


@pytest.mark.parametrize(
    ("statistic", "jackknife"), [("spread_ratio", True), ("ratio", False)]
)
def test_an_interval_names_scale_and_jackknife(statistic, jackknife):
    pair = {"numerator": [1.0, 1.4, 2.0, 1.2], "denominator": [2.0, 2.9, 4.1, 2.4]}
    one = claim(**RATIO | {"statistic": statistic})
    method = judged_row(one, file_of(one), pair, pair, **RUN)["ci_method"]
    assert method == "95 % t interval of logarithms" + ", jackknife" * jackknife


def test_a_precondition_is_neither_forgotten_nor_made_up():
    with pytest.raises(ValueError, match="'a-claim' needs its precondition's numbers"):
        row(GOOD, FAR, **CONDITION)
    with pytest.raises(ValueError, match="'a-claim' has no precondition"):
        row(GOOD, FAR, measured=[0.1])
    assert ROWS["condition"]["verdict"] == "replicated"
    assert ROWS["unmet"]["why"] == "NMSE is no number; it has to be below 0.1."


def test_holm_marks_what_held_and_has_a_p_value():
    steady, weak = row(around(2.5, 0.2), FAR), row(around(0.5, 0.3), FAR)
    barely = row(around(1.41, 0.4), FAR)
    rows = [steady, barely, weak, ROWS["exact"], ROWS["not run"], ROWS["finding"]]
    assert [one["holm"] for one in rows] == [None] * 6
    marks = [one["holm"] for one in with_holm(rows)]
    assert marks == [True, False, None, None, None, False]
    assert [one["holm"] for one in with_holm([barely])] == [True]
    assert with_holm([]) == []
