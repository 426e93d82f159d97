"""A part of a data set, with as many examples of one class as of another."""

import torch
from torch import Tensor

from spectral_lib.data.dataset import Dataset


def balanced_rows(labels: Tensor, size: int, seed: int = 0) -> Tensor:
    """Rows [size] of a random part, in rising order, with classes as equal as can be.

    Classes differ by at most one example as long as each has enough of them. With the
    same seed, a larger part holds the smaller ones.

    Raises
    ------
    ValueError
        If ``size`` is not 1 to the number of labels [examples].
    """
    count = len(labels)
    if not 1 <= size <= count:
        raise ValueError(f"size is {size}; give 1 to {count} examples.")
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    shuffled = labels.cpu()[order]
    by_class = shuffled.argsort(stable=True)
    first = torch.searchsorted(shuffled[by_class], shuffled[by_class])
    rank = torch.empty(count, dtype=torch.long)  # of an example within its class
    rank[by_class] = torch.arange(count) - first
    return order[rank.argsort(stable=True)[:size]].sort().values


def take(data: Dataset, rows: Tensor) -> Dataset:
    """The examples of a data set in the given rows."""
    inputs = data.inputs[rows.to(data.inputs.device)]
    targets = data.targets[rows.to(data.targets.device)]
    return Dataset(inputs, targets)
