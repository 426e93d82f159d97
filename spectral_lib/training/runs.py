"""What a training gives back, and how the runs of parts become one."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from spectral_lib.training.ensemble import Ensemble, concatenate
from spectral_lib.training.progress import Record


@dataclass(frozen=True)
class Run:
    """A trained ensemble and what was recorded.

    ``loss`` [epochs, R] is the mean training loss of each epoch; ``diverged_at`` [R]
    the first epoch whose loss was not finite, or -1. Both and the records are on the
    CPU.
    """

    ensemble: Ensemble
    records: dict[str, Record]
    loss: Tensor
    diverged_at: Tensor
    seconds: float


def diverged_at(loss: Tensor) -> Tensor:
    """First epoch, counted from 1, whose loss [epochs, R] is not finite, or -1."""
    if not len(loss):
        return torch.full(loss.shape[1:], -1)
    event = ~loss.isfinite()
    epochs = torch.arange(1, len(loss) + 1)[:, None]
    first = torch.where(event, epochs, len(loss) + 1).amin(0)
    return torch.where(event.any(0), first, -1)


def join(parts: Sequence[Run]) -> Run:
    """Join the runs of parts of an ensemble along the replica axis."""
    records = {
        name: Record(
            first.epochs,
            {
                key: torch.cat([p.records[name][key] for p in parts], dim=1)
                for key in first.values
            },
        )
        for name, first in parts[0].records.items()
    }
    return Run(
        concatenate([p.ensemble for p in parts]),
        records,
        torch.cat([p.loss for p in parts], dim=1),
        torch.cat([p.diverged_at for p in parts]),
        sum(p.seconds for p in parts),
    )
