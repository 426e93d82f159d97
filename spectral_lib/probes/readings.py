"""From readings over time [T, R, ...] to one number or tensor a seed."""

import torch
from torch import Tensor


def last_where(condition: Tensor) -> Tensor:
    """Index [R] of the last reading at which a condition [T, R] holds.

    Raises
    ------
    ValueError
        If it never holds for some seed.
    """
    if not condition.any(0).all():
        raise ValueError("The condition holds at no reading of some seed.")
    later = torch.arange(len(condition))[:, None]
    return torch.where(condition, later, -1).amax(0)


def select(readings: Tensor, index: Tensor) -> Tensor:
    """Reading index[r] of seed r: [T, R, ...] and [R] to [R, ...]."""
    return readings[index, torch.arange(readings.shape[1])]


def mean_over(readings: Tensor, start: float, stop: float = 1.0) -> Tensor:
    """Mean [R] of readings [T, R] between two shares of the run."""
    first, last = round(start * len(readings)), round(stop * len(readings))
    return readings[min(first, len(readings) - 1) : max(last, first + 1)].mean(0)


def log_step_std(readings: Tensor, start: float = 2 / 3) -> Tensor:
    """Standard deviation [R] of the steps of log readings [T, R] after a share."""
    steps = readings.log().diff(dim=0)
    return steps[round(start * len(steps)) :].std(0)
