"""Numbers taken from readings over time."""

import pytest
import torch

from spectral_lib.probes.readings import last_where, log_step_std, mean_over, select

FALLING = torch.tensor([[1.0, 1.0], [0.8, 0.9], [0.4, 0.7], [0.6, 0.1]])


def test_last_where_finds_each_seeds_last_reading():
    assert last_where(FALLING > 0.5).tolist() == [3, 2]
    with pytest.raises(ValueError, match="no reading"):
        last_where(torch.tensor([0.95, 1.95]) < FALLING)


def test_one_reading_a_seed():
    index = torch.tensor([3, 2])
    assert select(FALLING, index).tolist() == pytest.approx([0.6, 0.7])
    both = select(torch.stack([FALLING, -FALLING], dim=2), index)
    torch.testing.assert_close(both, torch.tensor([[0.6, -0.6], [0.7, -0.7]]))


@pytest.mark.parametrize(
    ("share", "mean"),
    [((0.5,), [0.5, 0.4]), ((0.0, 0.5), [0.9, 0.95]), ((0.99,), [0.6, 0.1])],
)
def test_mean_over_a_share_that_is_never_empty(share, mean):
    assert mean_over(FALLING, *share).tolist() == pytest.approx(mean)


def test_steps_of_the_logarithm_late_in_the_run():
    """The last two steps of the second seed are log 2 and -log 2; std sqrt(2) log 2."""
    steady = torch.exp(-0.1 * torch.arange(7.0))
    jumping = torch.tensor([1.0, 9.0, 0.2, 4.0, 1.0, 2.0, 1.0])
    found = log_step_std(torch.stack([steady, jumping], 1))
    expected = [0.0, 2**0.5 * torch.log(torch.tensor(2.0)).item()]
    assert found.tolist() == pytest.approx(expected, abs=1e-6)
