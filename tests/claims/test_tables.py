"""Rounded text and HTML of claims."""

import pytest

from spectral_book.claims.tables import coarse, html, number, row_html, text

ROW = {
    "id": "a-claim",
    "source": "Figure 1",
    "origin": "book",
    "statement": "x < y & more",
    "quantity": "x",
    "threshold": "≥ 1 (no effect 0)",
    "estimate": 0.0312,
    "ci_low": 0.01,
    "ci_high": 0.09,
    "ci_method": "95 % t interval of logarithms",
    "p_value": 0.004,
    "n": 5,
    "control": {"name": "none", "estimate": None, "ci_low": None, "ci_high": None},
    "differs": "smaller",
    "rounding_decides": False,
    "resolution": 0.001,
    "verdict": "not replicated",
    "profile": "quick, changed",
    "device": "cpu",
    "why": "The interval excludes the threshold.",
}


@pytest.mark.parametrize(
    ("x", "shown"),
    [
        (None, "-"),
        (0.0, "~0"),
        (3e-4, "~0"),
        (0.0312, "~0.03"),
        (0.04, "~0.03"),
        (-0.9, "~-1"),
        (123.0, "~100"),
        (960.0, "~1e+03"),
    ],
)
def test_coarse_numbers_keep_the_order_of_magnitude(x, shown):
    assert coarse(x) == shown


def test_numbers_far_below_the_threshold_count_as_zero():
    assert coarse(0.04, resolution=0.05) == "~0"
    assert coarse(-0.04, resolution=0.05) == "~0"
    assert coarse(0.06, resolution=0.05) == "~0.1"


def test_coarse_numbers_hold_under_a_change_of_two_percent():
    kept = sum(coarse(x / 100) == coarse(x / 100 * 1.02) for x in range(100, 1000))
    assert kept / 900 > 0.95


@pytest.mark.parametrize(
    ("x", "shown"),
    [
        (None, "–"),
        (0.5, "0.5"),
        (-0.25, "−0.25"),
        (1234.6, "1235"),
        (2.5e-5, "2.5·10⁻⁵"),
        (1e-17, "0"),
        (5, "5"),
        (-1.5e12, "−1.5·10¹²"),
    ],
)
def test_numbers_are_short(x, shown):
    assert number(x) == shown


def test_tables_hold_the_numbers_and_escape_the_words():
    box = row_html(ROW)
    assert "x &lt; y &amp; more" in box
    assert "0.0312 [0.01, 0.09]" in box
    assert "found by this book" in box
    assert "the paper's Figure 1" in box
    assert "the paper's" not in row_html(ROW | {"source": "Derived here"})
    assert 'id="a-claim"' in box
    assert "not replicated" in html([ROW])
    lines = text([ROW, ROW | {"id": "another"}]).splitlines()
    assert len(lines) == 3
    assert lines[1].split()[:2] == ["a-claim", "~0.03"]
    open_row = ROW | {"rounding_decides": True}
    assert text([open_row]).endswith("-  open")
    assert "(rounding decides)" in html([open_row])
    assert "(rounding decides)" not in html([ROW])
    assert "another processor" in row_html(open_row)
    assert "another processor" not in box
    assert len({line.index("not replicated") for line in lines[1:]}) == 1


def test_small_numbers_are_written_as_powers_of_ten():
    small = ROW | {"threshold": "≤ 1e-05 (no effect 0.01)", "p_value": 7e-7}
    assert "≤ 1.0·10⁻⁵ (no effect 0.01)" in row_html(small)
    assert "≤ 1.0·10⁻⁵ (no effect 0.01)" in html([small])
    assert "p = 7.0·10⁻⁷" in row_html(small)
    assert "p &lt; 1.0·10⁻¹²" in row_html(ROW | {"p_value": 7e-51})
    assert "p = 0.004" in row_html(ROW)
