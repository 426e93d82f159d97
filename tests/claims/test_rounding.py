"""How far numbers move between two builds, and what chapters reckon with."""

import json
from pathlib import Path

import numpy as np
import pytest
from one_claim import around, row

from spectral_book.claims.claims_file import load_claims
from spectral_book.claims.rounding import (
    estimates,
    read_expected,
    read_reaches,
    read_spreads,
    spreads,
    spreads_file,
)
from spectral_book.claims.rows import rejudged

RATIO = {"statistic": "ratio", "no_effect": 1.0, "threshold": 2.0}
FAR = [-1.0, -1.2, 0.0, -0.5, -0.7]
HERE = around(1.5, 0.4)


@pytest.mark.parametrize(
    ("one", "other", "spread"),
    [
        (row(HERE, FAR), row(HERE, FAR), None),
        (row(HERE, FAR), row(HERE + 0.25, FAR), 0.25),
        (row(HERE, FAR), row(HERE * (1 + 1e-14), FAR), None),  # nothing amplified it
        (row(HERE, FAR), row(HERE, np.array(FAR) + 0.5), 0.5),
        (row([2, 3, 4], [1] * 3, **RATIO), row([4, 6, 8], [2] * 3, **RATIO), np.log(2)),
        (row([2.0, np.inf, 3], [0.0] * 3), row([2.0, np.inf, 3], [0.0] * 3), None),
        (row([2.0, np.inf, 3], [0.0] * 3), row([2.0, 9.0, 3], [0.0] * 3), 1e9),
        (row([2.0, 3, np.nan], [0.0] * 3), row([2.0, 3, 4], [0.0] * 3), 1e9),
        # No number in either is no move.
        (row(HERE, [0.0]), row(HERE, [0.0]), None),
        (row(HERE, [0.0]), row(HERE + 0.25, [0.0]), 0.25),
        (row([], []), row(HERE, FAR), None),
    ],
)
def test_the_largest_move_of_an_end_on_the_claims_scale(one, other, spread):
    found = spreads([one], [other])
    largest = {name: max(moves) for name, moves in found.items()}
    assert largest == ({} if spread is None else {"a-claim": pytest.approx(spread)})
    assert spreads([one], []) == {}


def test_what_either_build_finds_near_an_edge_is_open_on_both(tmp_path):
    near, far = row(around(1.6, 0.4), FAR), row(around(1.75, 0.4), FAR)
    built = {"commit": "abc", "date": "d"}
    files = ({**built, "claims": [one]} for one in (near, far))
    (tmp_path / "rounding").mkdir()
    text = spreads_file(*files, ("one", "two"))
    (tmp_path / "rounding" / "quick.json").write_text(text)
    rounding = list(read_spreads(tmp_path, "quick")["a-claim"])
    reach = read_reaches(tmp_path, "quick")["a-claim"]
    # Twice the move of 0.15 reaches the bar from the first build alone.
    for one in (near, far):
        assert rejudged({**one, "rounding": rounding})["verdict"] == "inconclusive"
    alone = far | {"rounding": [0.3, 0.3]}
    assert rejudged(alone)["verdict"] == "replicated"
    # What is drawn reaches the bar from either build.
    assert min(one["ci_low"] - reach for one in (near, far)) < near["threshold"]
    assert far["ci_low"] - reach < far["threshold"] < far["ci_low"] - 0.3


def test_ends_that_never_moved_or_moved_without_bound_have_no_reach(tmp_path):
    (tmp_path / "rounding").mkdir()
    moves = {"steady": [0.0, 0.2], "lost": [1e9, 1e9], "moved": [0.2, 0.0]}
    held = {"made": {}, "decides": ["lost"], "spreads": moves, "expected": {}}
    (tmp_path / "rounding" / "quick.json").write_text(json.dumps(held))
    assert read_reaches(tmp_path, "quick") == {"moved": pytest.approx(0.6)}
    assert read_reaches(tmp_path, "gpu") == {}


def test_chapters_reckon_with_twice_of_what_was_measured(tmp_path):
    built = {"commit": "abc", "date": "d", "claims": [row(HERE + 2, FAR)]}
    moved = built | {"claims": [row(HERE + 2.25, FAR)]}
    text = spreads_file(built, moved, ("one", "two"))
    (made,) = json.loads(text)["made"]
    assert made["between"] == ["one", "two"]
    (tmp_path / "rounding").mkdir()
    (tmp_path / "rounding" / "quick.json").write_text(text)
    assert read_spreads(tmp_path, "quick") == {"a-claim": pytest.approx((0.5, 0.5))}
    assert read_expected(tmp_path, "quick") == {"a-claim": 3.5}
    assert read_spreads(tmp_path, "gpu") == read_expected(tmp_path, "gpu") == {}


def test_the_largest_move_that_was_ever_measured_counts():
    held = {
        "made": ["of both"],
        "decides": ["kept"],
        "spreads": {"kept": [1.0, 0.0], "a-claim": [0.1, 9.0]},
        "expected": {"kept": 2.0, "a-claim": 9.0},
    }
    alone = row(HERE, FAR, id="kept")  # in one of the two ledgers
    built = {"commit": "abc", "date": "d", "claims": [row(HERE, FAR), alone]}
    moved = built | {"claims": [row(HERE + 0.25, FAR)]}
    found = json.loads(spreads_file(built, moved, ("one", "two"), held))
    assert found["made"][0] == "of both"
    assert found["made"][1]["chapters"] == [row(HERE, FAR)["chapter"]]
    assert found["decides"] == ["a-claim", "kept"]
    assert found["spreads"] == {"a-claim": [0.25, 9.0], "kept": [1.0, 0.0]}
    assert found["expected"] == {"kept": 2.0, "a-claim": 1.5}
    still = json.loads(spreads_file(built, built, ("one", "two"), held))
    # Both hold both claims, and no end moved.
    assert still["spreads"] == held["spreads"]
    assert still["expected"] == {"kept": 1.5, "a-claim": 1.5}
    # The larger move decides, not the new one alone.
    near = built | {"claims": [row(HERE + 0.3, FAR)]}
    once = json.loads(spreads_file(near, near, ("one", "two")))
    assert once["decides"] == []
    again = json.loads(spreads_file(near, near, ("one", "two"), held))
    assert again["decides"] == ["a-claim", "kept"]


def test_what_is_expected_are_finite_estimates():
    endless = row([np.inf] * 3, FAR, id="endless")
    assert estimates([row(HERE, FAR), endless, row([], [], id="none")]) == {
        "a-claim": 1.5
    }


def test_what_was_measured_is_of_claims_that_there_are():
    root = Path(__file__).parents[2]
    files = sorted((root / "book" / "claims").glob("*.yaml"))
    known = {claim.id for file in files for claim in load_claims(file).claims}
    assert set(read_spreads(root / "results", "quick")) <= known
    assert set(read_expected(root / "results", "quick")) <= known
