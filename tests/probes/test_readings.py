"""Numbers taken from readings over time."""

import pytest
import torch

from spectral_lib.probes.readings import at, last_where, on_plateau, over, unrest

FALLING = torch.tensor([[1.0, 1.0], [0.8, 0.9], [0.4, 0.7], [0.6, 0.1]])


def test_last_where_finds_each_seeds_last_reading():
    assert last_where(FALLING > 0.5).tolist() == [3, 2]
    with pytest.raises(ValueError, match="no reading"):
        last_where(torch.tensor([0.95, 1.95]) < FALLING)


def test_at_picks_one_reading_a_seed():
    index = torch.tensor([3, 2])
    assert at(FALLING, index).tolist() == pytest.approx([0.6, 0.7])
    stacked = torch.stack([FALLING, -FALLING], dim=2)
    assert at(stacked, index).shape == (2, 2)
    assert at(stacked, index)[1].tolist() == pytest.approx([0.7, -0.7])


def test_over_is_the_mean_of_a_share_and_never_empty():
    assert over(FALLING, 0.5).tolist() == pytest.approx([0.5, 0.4])
    assert over(FALLING, 0.0, 0.5).tolist() == pytest.approx([0.9, 0.95])
    assert over(FALLING, 0.99).tolist() == pytest.approx([0.6, 0.1])


def test_unrest_is_zero_on_a_geometric_fall_and_grows_with_noise():
    steady = torch.exp(-0.1 * torch.arange(60.0))[:, None]
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(60, 1, generator=generator)
    assert unrest(steady).item() == pytest.approx(0, abs=1e-6)
    rough = [unrest(steady * torch.exp(s * noise)).item() for s in (0.1, 0.2)]
    assert rough[1] / rough[0] == pytest.approx(2, rel=1e-3)


def test_on_plateau_counts_strictly_between():
    assert on_plateau(FALLING, 0.5, 1.0).tolist() == pytest.approx([0.5, 0.5])
