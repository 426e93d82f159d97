"""How far replicas drift apart that differ in rounding only."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from spectral_lib.data.dataset import Dataset
from spectral_lib.training.ensemble import Ensemble, concatenate
from spectral_lib.training.loop import Measure, Record
from spectral_lib.training.losses import Loss

_INTEGERS = {torch.float32: torch.int32, torch.float64: torch.int64}


def grid(
    seeds: Sequence[int], factors: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Seed and factor of every replica of a grid, all factors of a seed together.

    Replicas of one seed share initialization and order of data, so that what differs
    between them is the rounding that the factor brings.
    """
    pairs = [(seed, factor) for seed in seeds for factor in factors]
    return tuple(s for s, _ in pairs), tuple(k for _, k in pairs)


def relative_l1(first: Tensor, second: Tensor) -> Tensor:
    """Compute ``2 mean(|a - b| / (|a| + |b|))`` over the last axis.

    Entries that are 0 in both are left out; 0 means equal, 2 is the largest value.
    Source: Sun et al. 2022, Section 4.2.
    """
    size = first.abs() + second.abs()
    counted = size != 0
    gap = (first - second).abs() / torch.where(counted, size, torch.ones_like(size))
    return 2.0 * gap.sum(-1) / counted.sum(-1).clamp(min=1)


def ulp_distance(first: Tensor, second: Tensor) -> Tensor:
    """Number of floating-point numbers between two tensors, elementwise.

    Shapes and dtypes must agree; the result is int64. Neighbours have distance 1, and
    so have -0 and the smallest positive number.

    Raises
    ------
    TypeError
        If the tensors are not both float32 or both float64.
    """
    if first.dtype != second.dtype or first.dtype not in _INTEGERS:
        raise TypeError(
            f"the tensors are {first.dtype} and {second.dtype}; give two of float32 or "
            "two of float64."
        )

    def rank(x: Tensor) -> Tensor:
        bits = x.contiguous().view(_INTEGERS[x.dtype]).long()
        lowest = torch.iinfo(_INTEGERS[x.dtype]).min
        return torch.where(bits < 0, lowest - bits, bits)

    return (rank(first) - rank(second)).abs()


def weights_of(layers: Sequence[str] | None = None) -> Measure:
    """Measure the weights [R, P] of each layer, by the parameter's name.

    ``layers`` names the parameters to keep, None for all.

    Raises
    ------
    KeyError
        At the first reading, if the ensemble has no such parameter.
    """

    def measure(ensemble: Ensemble) -> dict[str, Tensor]:
        weights = ensemble.parameters
        names = weights if layers is None else layers
        # Clones: the readings must not follow the weights through training.
        return {name: weights[name].detach().flatten(1).clone() for name in names}

    return measure


def from_first(values: Tensor, factors: int) -> Tensor:
    """RelL1 of each seed's replicas to its first one.

    Shapes: values [T, seeds * factors, P], ordered as `grid` does, to
    [T, seeds, factors - 1].
    """
    rows = [reading.unflatten(0, (-1, factors)) for reading in values]
    return torch.stack([relative_l1(row[:, 1:], row[:, :1]) for row in rows])


def by_layer(record: Record, factors: int) -> dict[str, Tensor]:
    """`from_first` of each layer of a record of `weights_of`."""
    return {name: from_first(w, factors) for name, w in record.values.items()}


def whole_network(record: Record, factors: int) -> Tensor:
    """`from_first` of all recorded weights together, [T, seeds, factors - 1].

    Every weight counts the same, as in Sun et al. 2022, Section 4.2.
    """
    return from_first(torch.cat(list(record.values.values()), dim=-1), factors)


def share_changed(record: Record, factors: int) -> Tensor:
    """Share of weights that are not bitwise those of the first replica.

    Shape [T, seeds, factors - 1]; exactly 0 where rounding changed nothing.
    """
    values = torch.cat(list(record.values.values()), dim=-1)
    rows = values.unflatten(1, (-1, factors))
    return (rows[:, :, 1:] != rows[:, :, :1]).double().mean(-1)


def pick(ensemble: Ensemble, rows: Sequence[int]) -> Ensemble:
    """The replicas with these numbers, as an ensemble of their own."""
    return concatenate([ensemble.replica(r) for r in rows])


def gradient_of(ensemble: Ensemble, batch: Dataset, loss: Loss) -> Tensor:
    """Gradient [R, P] of a loss on one batch, without weight decay.

    Batch norm uses the batch's statistics, and the running ones stay as they were.
    """
    buffers = {name: b.clone() for name, b in ensemble.buffers.items()}
    weights = ensemble.flatten().requires_grad_()
    inputs = batch.inputs.expand(len(ensemble), *batch.inputs.shape)
    targets = batch.targets.expand(len(ensemble), *batch.targets.shape)
    apart = replace(ensemble, buffers=buffers).unflatten(weights)
    (gradient,) = torch.autograd.grad(loss(apart(inputs), targets).sum(), weights)
    return gradient


def relative_norm(error: Tensor, reference: Tensor) -> Tensor:
    """Norm of an error over that of its reference, both [R, P], as [R] in float64."""
    return error.double().norm(dim=1) / reference.double().norm(dim=1)
