"""Scales: what a number becomes, what readers see, and whose scale is which."""

import json
import math

import numpy as np
import pytest

from spectral_book.claims.scales import MARGIN, Scale, scale_of

LOG, PLAIN = Scale("logarithms"), Scale()
Z, ODDS = Scale("Fisher's z", (-1.0, 1.0), 1e-3), Scale("log odds", (0.0, 1.0), 1e-3)
PERCENT = Scale("log odds", (0.0, 100.0), 0.1)


@pytest.mark.parametrize(
    ("scale", "x", "z"),
    [
        (PLAIN, -3.0, -3.0),
        (PLAIN, math.inf, math.inf),
        (LOG, math.e, 1.0),
        (LOG, 0.0, -math.inf),
        (LOG, math.inf, math.inf),
        (Z, 0.5, math.atanh(0.5)),
        (Z, -0.9, math.atanh(-0.9)),
        (ODDS, 0.8, math.log(4)),
        (ODDS, 0.5, 0.0),
        (PERCENT, 80.0, math.log(4)),
    ],
)
def test_a_number_on_its_scale_and_back(scale, x, z):
    assert float(scale.judged(x)) == pytest.approx(z)
    assert scale.shown(float(scale.judged(x))) == pytest.approx(x)
    assert math.isnan(float(scale.judged(math.nan)))


@pytest.mark.parametrize(
    ("scale", "x", "counts_as", "shown"),
    [
        (ODDS, 1.0, 0.999, 1.0),
        (ODDS, 0.0, 0.001, 0.0),
        (ODDS, 0.9995, 0.999, 1.0),
        (Z, -1.0, -0.999, -1.0),
        (PERCENT, 100.0, 99.9, 100.0),
        (ODDS, 0.998, 0.998, 0.998),
    ],
)
def test_what_is_at_a_bound_counts_as_at_the_margin(scale, x, counts_as, shown):
    z = float(scale.judged(x))
    assert z == pytest.approx(float(scale.judged(counts_as)))
    assert scale.shown(z) == pytest.approx(shown, rel=1e-12)


def test_a_logarithm_that_is_out_of_range_is_still_a_number():
    assert LOG.shown(1e4) == pytest.approx(math.exp(709))
    assert (LOG.shown(-math.inf), LOG.shown(math.inf)) == (0.0, math.inf)
    assert np.isnan(LOG.judged([-1.0])).all()


@pytest.mark.parametrize(
    ("statistic", "inputs", "bounds", "expected"),
    [
        ("value", {}, None, PLAIN),
        ("ratio", {}, None, LOG),
        ("magnitude", {}, None, LOG),
        ("ratio_to", {}, None, LOG),
        ("spread_ratio", {}, None, LOG),
        ("log_log_slope", {}, None, PLAIN),
        ("fraction", {}, (0.0, 1.0), ODDS),
        ("value", {}, (0.0, 100.0), PERCENT),
        ("value", {}, (-1.0, 1.0), Scale("Fisher's z", (-1.0, 1.0), 2 * MARGIN)),
        ("correlation", {}, None, Z),
        (
            "spearman",
            {"y": np.zeros((5, 4))},
            None,
            Scale("Fisher's z", Z.bounds, 0.05),
        ),
        ("rank_correlation", {"y": np.zeros(50)}, None, Z),
        ("spearman", {"y": np.zeros(1)}, None, Scale("Fisher's z", Z.bounds, 1.0)),
    ],
)
def test_every_statistic_has_its_scale(statistic, inputs, bounds, expected):
    found = scale_of(statistic, inputs, bounds)
    assert found == expected
    assert Scale.from_dict(json.loads(json.dumps(found.to_dict()))) == found
