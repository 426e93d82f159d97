"""Spreads over two axes of a grid, and how many seeds tell them apart."""

import numpy as np
import pytest
import scipy.stats

from spectral_book.claims.statistics import grid_spread_ratio, seeds_to_tell


def test_grid_spread_ratio():
    generator = np.random.default_rng(0)
    seeds, factors = generator.normal(size=(200, 1)), generator.normal(size=(200, 5))
    alike = grid_spread_ratio(factors)
    assert alike.shape == (200,)
    assert alike.mean() == pytest.approx(1, abs=0.1)
    # a part common to all factors of a seed counts for the seeds alone
    assert grid_spread_ratio(10 * seeds + factors).mean() == pytest.approx(
        101**-0.5, rel=0.1
    )
    assert np.abs(grid_spread_ratio(seeds + np.zeros((1, 3)))).max() < 1e-12


def test_seeds_to_tell():
    assert seeds_to_tell(2.0, 6) < 10 < 100 < seeds_to_tell(0.16 / 0.17, 6)
    assert seeds_to_tell(0.5, 6) == pytest.approx(seeds_to_tell(2.0, 6), abs=1)
    with pytest.raises(ValueError, match="other than"):
        seeds_to_tell(1.0, 6)


def test_number_of_seeds_gives_the_power():
    seeds, columns = seeds_to_tell(1.5, 4), 4
    generator = np.random.default_rng(1)
    a = 1.5**2 * generator.chisquare(seeds * (columns - 1), 20000)
    b = generator.chisquare(columns * (seeds - 1), 20000)
    f = (a / (seeds * (columns - 1))) / (b / (columns * (seeds - 1)))
    law = scipy.stats.f(seeds * (columns - 1), columns * (seeds - 1))
    decided = (f > law.ppf(0.975)) | (f < law.ppf(0.025))
    assert 0.79 < decided.mean() < 0.88
