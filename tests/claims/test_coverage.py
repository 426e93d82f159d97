"""The simulation that a page tells of, at small size."""

import numpy as np
import pytest
from one_claim import around

from spectral_book.claims.coverage import RATIOS, held, table
from spectral_book.claims.scales import Scale
from spectral_book.claims.verdicts import Bar, judge

DRAWS = 1000
KINDS = table(DRAWS)


def error(share):
    """Two standard errors of a share that was simulated."""
    return 2 * (share * (1 - share) / DRAWS) ** 0.5


@pytest.mark.parametrize(
    "kind", KINDS, ids=lambda k: f"{k.statistic}, {k.distribution}"
)
def test_three_in_a_hundred_at_most_are_replicated_where_nothing_is_to_be_told(kind):
    assert kind.false_positives <= 0.03 + error(0.03)
    assert kind.coverage >= 0.9 - error(0.9) or kind.low
    assert kind.coverage < 0.9 or not kind.low
    assert list(kind.power) == sorted(kind.power, reverse=True)
    assert kind.power[0] > 0.8
    assert len(kind.power) == len(RATIOS)


def test_the_closed_forms_and_the_same_each_time():
    normal, mixture = KINDS[0], KINDS[3]
    assert normal.coverage == pytest.approx(0.95, abs=error(0.05))
    # Without one of the 20 % among five numbers the mean cannot be covered.
    assert mixture.coverage == pytest.approx(1 - 0.8**5, abs=error(0.33))
    assert table(50) == table(50)


@pytest.mark.parametrize("others", [5, 8])
def test_the_rule_for_many_draws_is_that_of_verdicts(others):
    rng = np.random.default_rng(0)
    mine = rng.normal(1.5, 0.5, (300, 5))
    other = rng.normal(0.5, 0.5, (300, others))
    bar = Bar("greater", (0.0, 1.0))
    slow = [
        judge(bar, a, b, Scale()).verdict == "replicated"
        for a, b in zip(mine, other, strict=True)
    ]
    assert held(mine, other, 1.0).tolist() == slow
    assert 30 < sum(slow) < 270
    shows = around(2.0, 0.2)[None]
    assert not held(shows + 1, shows, 1.0)
