"""How far replicas drift apart that differ in rounding only."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from spectral_lib.data.dataset import Dataset
from spectral_lib.theory.kernel_pde import relative_l1
from spectral_lib.training.ensemble import Ensemble, concatenate
from spectral_lib.training.losses import Loss
from spectral_lib.training.runs import Record
from spectral_lib.training.settings import Measure


def grid(
    seeds: Sequence[int], factors: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Seed and factor of every replica of a grid, all factors of a seed together.

    Replicas of one seed share initialization and order of data, so that what differs
    between them is the rounding that the factor brings.
    """
    pairs = [(seed, factor) for seed in seeds for factor in factors]
    return tuple(s for s, _ in pairs), tuple(k for _, k in pairs)


def weights_of() -> Measure:
    """Measure the weights [R, P] of each layer, by the parameter's name."""

    def measure(ensemble: Ensemble) -> dict[str, Tensor]:
        # Clones: the readings must not follow the weights through training.
        return {
            name: weights.detach().flatten(1).clone()
            for name, weights in ensemble.parameters.items()
        }

    return measure


def from_first(values: Tensor, factors: int) -> Tensor:
    """RelL1 of each seed's replicas to its first one.

    Shapes: values [T, seeds * factors, P], ordered as `grid` does, to
    [T, seeds, factors - 1].
    """
    rows = [reading.unflatten(0, (-1, factors)) for reading in values]
    return torch.stack([relative_l1(row[:, 1:], row[:, :1]) for row in rows])


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
