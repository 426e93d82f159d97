"""Numbers as the book writes them."""

import pytest

from spectral_book.claims.numbers import (
    coarse,
    interval,
    needed,
    needed_from,
    number,
    p_value,
    resolution,
)


@pytest.mark.parametrize(
    ("x", "form", "written"),
    [
        (None, "", "–"),
        (float("nan"), "", "–"),
        (float("inf"), ".1f", "∞"),
        ("-inf", "", "−∞"),
        ("inf", "%", "∞"),
        (0.5, "", "0.5"),
        (-0.25, "", "−0.25"),
        (-5, "", "−5"),
        (12345, "", "12345"),
        (1e-3, "", "0.001"),
        (999.6, "", "1000"),
        (1234.6, "", "1235"),
        (1e4, "", "1.0·10⁴"),
        (2.5e-5, "", "2.5·10⁻⁵"),
        (-1.5e12, "", "−1.5·10¹²"),
        (0.0, "", "0"),
        (-0.0, "", "0"),
        (2.6e-18, "", "2.6·10⁻¹⁸"),  # weights in 64 bit differ, by no more than this
        (-0.123, ".2f", "−0.12"),
        (8000, ",", "8,000"),
        (-0.3141, "%", "−31.4 %"),
        (0.414, ".0%", "41 %"),
    ],
)
def test_number(x, form, written):
    assert number(x, form) == written


@pytest.mark.parametrize(
    ("x", "resolution", "written"),
    [
        (None, 1e-3, "-"),
        ("inf", 1e-3, "∞"),
        (float("-inf"), 1e-3, "−∞"),
        (0.0, 1e-3, "~0"),
        (3e-4, 1e-3, "~0"),
        (1e-3, 1e-3, "~0.001"),
        (0.0312, 1e-3, "~0.03"),
        (0.04, 1e-3, "~0.03"),
        (-0.9, 1e-3, "~-1"),
        (960.0, 1e-3, "~1e+03"),
        (-0.04, 0.05, "~0"),
        (0.06, 0.05, "~0.1"),
    ],
)
def test_coarse_numbers_keep_the_order_of_magnitude(x, resolution, written):
    assert coarse(x, resolution) == written


def test_coarse_numbers_hold_under_a_change_of_two_percent():
    same = sum(coarse(x / 100) == coarse(x / 100 * 1.02) for x in range(100, 1000))
    assert same / 900 > 0.95


def test_an_interval_is_written_where_there_is_one():
    row = {"estimate": -0.5, "ci_low": -1.0, "ci_high": 2e-5}
    assert interval(row) == "−0.5 [−1, 2.0·10⁻⁵]"
    assert interval(row | {"ci_low": "-inf"}) == "−0.5 [−∞, 2.0·10⁻⁵]"
    assert interval({"estimate": 0.5}) == "0.5"


LESS = {"direction": "less", "threshold": 1e-5, "no_effect": -0.5, "band": None}
GREATER = LESS | {"direction": "greater"}
BAND = {"direction": "within", "threshold": None, "no_effect": None, "band": [-1, 3.0]}


@pytest.mark.parametrize(
    ("row", "short", "long", "least"),
    [
        (LESS, "≤ 1.0·10⁻⁵", "≤ 1.0·10⁻⁵ (no effect −0.5)", 0.025),
        (GREATER, "≥ 1.0·10⁻⁵", "≥ 1.0·10⁻⁵ (no effect −0.5)", 0.025),
        (BAND, "within [−1, 3]", "within [−1, 3]", 0.2),
    ],
)
def test_what_is_needed_and_what_is_as_good_as_nothing_beside_it(
    row, short, long, least
):
    written = [f(row).replace("\u00a0", " ") for f in (needed, needed_from)]
    assert written == [short, long]
    assert resolution(row) == pytest.approx(least, rel=1e-4)


def test_p_values_use_powers_of_ten():
    assert p_value(0.0042) == "p = 0.004"
    assert p_value(7e-7) == "p = 7.0·10⁻⁷"
    assert p_value(0.94) == "p = 0.9"
    assert p_value(0.96) == p_value(1.0) == "p > 0.95"
    assert p_value(7e-51) == "p < 1.0·10⁻¹²"
