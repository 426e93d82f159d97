"""The paper's number beside ours, and other criteria of a replication."""

import numpy as np
import pytest
from one_claim import BAND, RUN, around, claim, file_of, row

from spectral_book.claims.printed import (
    agreement,
    criteria,
    half_the_effect,
    paper_inside,
    sign_and_significance,
)
from spectral_book.claims.rows import row_without_numbers
from spectral_book.claims.words import has_held

FAR = [-5.0, -6.0, -7.0, -5.5, -6.5]
UP = [5.0, 6.0, 7.0, 5.5, 6.5]
LESS = {"direction": "less", "threshold": -1.0}
RATIO = {"statistic": "ratio", "no_effect": 1.0, "threshold": 2.0}


def printed(values, value, control=FAR, spread=None, **changes):
    said = {"value": value, "spread": spread, "where": "Table 2"}
    return row(values, control, printed=said, **changes)


NONE = row_without_numbers(claim(), file_of(claim()), "inconclusive", "", **RUN)


@pytest.mark.parametrize(
    ("judged", "rule", "sign", "inside", "half"),
    [
        (printed(around(1.5, 0.4), 1.8), True, True, True, True),
        (printed(around(1.5, 0.4), 2.0), True, True, False, True),
        (printed(around(0.5, 0.4), 1.1), False, True, False, False),
        (printed(around(0.5, 0.4), 1.0), False, True, False, True),
        (printed(around(0.5, 0.6), -0.2), False, False, False, False),
        (printed(around(-0.5, 0.6), 1.0), False, False, False, False),
        (printed(around(-1.5, 0.4), -1.2, UP, **LESS), *[True] * 4),
        (printed(around(0.5, 0.4), -1.2, UP, **LESS), *[False] * 4),
        (printed(around(-0.5, 0.6), -1.0, UP, **LESS), False, False, True, True),
        (printed(around(1, 0.5), 0.5), False, True, True, True),
        (printed(around(1.5, 0.4), 0.0), True, True, False, None),
        # On the scale: 3 is more than half of the way from 1 to 8, as 1.6 is not of 9.
        (printed([3, 3.1, 2.9], 8.0, [0.1] * 3, **RATIO), True, True, False, True),
        (printed([2.5, 2.6, 2.7], 9.0, [0.1] * 3, **RATIO), True, True, False, False),
        (printed([2.0, 3.0, 3.0, np.inf], 1e9, [0.0] * 4), True, True, True, False),
        (printed(around(0, 0.3), 0.2, **BAND), True, None, True, None),
        (row(around(1.5, 0.4), FAR), True, True, None, None),
        (printed([1.0, 2.0], 1.5, [0.0] * 2), False, None, None, True),
        (NONE, False, None, None, None),
    ],
)
def test_each_criterion_answers_for_itself(judged, rule, sign, inside, half):
    assert has_held(judged) is rule
    found = (sign_and_significance, paper_inside, half_the_effect)
    assert [f(judged) for f in found] == [sign, inside, half]


def test_what_was_printed_is_said_with_where_it_lies():
    inside = printed(around(1.5, 0.4), 1.8, spread=0.02)
    assert (
        agreement(inside) == "1.8 ± 0.02 (Table 2); inside our interval 1.5 [1.1, 1.9]"
    )
    assert "; outside our interval" in agreement(printed(around(1.5, 0.4), 2.0))
    few = printed([1.0], 1.5, [0.0])
    assert agreement(few) == "1.5 (Table 2)"


def test_the_papers_claims_that_ran_are_counted_by_each_criterion():
    rows = [
        printed(around(1.5, 0.4), 1.8),
        printed(around(0.5, 0.4), 1.1),
        row(around(1.5, 0.4), FAR),
        printed(around(1.5, 0.4), 1.8, origin="book"),
        row_without_numbers(claim(), file_of(claim()), "not comparable", "", **RUN),
        NONE,
    ]
    found = [(one.held, one.told) for one in criteria(rows)]
    assert found == [(2, 4), (3, 3), (1, 2), (1, 2)]
    assert criteria([])[0].told == 0
