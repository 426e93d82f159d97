"""What a training gives back: readings of probes, losses and the trained ensemble."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from spectral_lib.training.ensemble import Ensemble, concatenate

Reading = tuple[int, Mapping[str, Tensor]]
"""An epoch, with named tensors [R, ...]."""

ON_DEVICE = 1 << 28
"""Bytes of a run's readings that stay on its device; later ones are waited for."""


@dataclass(frozen=True)
class Record:
    """What a probe measured: ``epochs`` [T] and tensors [T, R, ...] on the CPU."""

    epochs: Tensor
    values: dict[str, Tensor]

    def __getitem__(self, name: str) -> Tensor:
        return self.values[name]


class Readings:
    """What each probe measured, by its name, while a run goes on."""

    def __init__(self, probes: Iterable[str]) -> None:
        self.taken: dict[str, list[Reading]] = {name: [] for name in probes}
        self.on_device = 0

    def add(self, probe: str, epoch: int, values: Mapping[str, Tensor]) -> None:
        """Add copies of what a probe measured: it may hand out views of the weights.

        They stay on their device, where nothing waits for them, until the run ends;
        only what is more than `ON_DEVICE` goes to the CPU at once.
        """
        size = sum(v.nbytes for v in values.values() if v.device.type != "cpu")
        full = self.on_device + size > ON_DEVICE
        self.on_device += 0 if full else size
        copies = {
            name: value.to("cpu" if full else value.device, copy=True)
            for name, value in values.items()
        }
        self.taken[probe].append((epoch, copies))

    def records(self) -> dict[str, Record]:
        """The record of each probe."""
        return {name: _record(taken) for name, taken in self.taken.items()}

    def restore(self, records: Mapping[str, Mapping[str, Any]]) -> None:
        """Go on from records, each a mapping with ``epochs`` and ``values``."""
        for name, record in records.items():
            self.taken[name] = [
                (int(epoch), {key: value[i] for key, value in record["values"].items()})
                for i, epoch in enumerate(record["epochs"])
            ]


def _record(taken: Sequence[Reading]) -> Record:
    names = taken[0][1] if taken else ()
    return Record(
        torch.tensor([epoch for epoch, _ in taken]),
        {name: _stack([values[name] for _, values in taken]) for name in names},
    )


def _stack(values: Sequence[Tensor]) -> Tensor:
    """Tensors of the CPU or a device as one of the CPU, in one transfer if possible."""
    if len({value.device for value in values}) > 1:
        values = [value.cpu() for value in values]
    return torch.stack([*values]).cpu()


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


def join(runs: Sequence[Run]) -> Run:
    """Join the runs of groups of an ensemble along the replica axis."""
    if len(runs) == 1:
        return runs[0]
    records = {
        name: Record(
            first.epochs,
            {
                key: torch.cat([run.records[name][key] for run in runs], dim=1)
                for key in first.values
            },
        )
        for name, first in runs[0].records.items()
    }
    return Run(
        concatenate([run.ensemble for run in runs]),
        records,
        torch.cat([run.loss for run in runs], dim=1),
        torch.cat([run.diverged_at for run in runs]),
        sum(run.seconds for run in runs),
    )
