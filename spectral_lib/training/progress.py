"""How far a run has come: what changes while it trains, and how that is kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from spectral_lib.training.ensemble import State
from spectral_lib.training.optimizers import Optimizer

Reading = tuple[int, Mapping[str, Tensor]]
"""An epoch, with named tensors [R, ...]."""

ON_DEVICE = 1 << 28
"""Bytes of a run's readings that stay on its device; later ones are waited for."""


@dataclass(frozen=True)
class Record:
    """What a probe saw: ``epochs`` [T] and named tensors [T, R, ...] on the CPU."""

    epochs: Tensor
    values: dict[str, Tensor]

    def __getitem__(self, name: str) -> Tensor:
        return self.values[name]


def record(taken: Sequence[Reading]) -> Record:
    """Stack the readings of one probe."""
    names = taken[0][1] if taken else ()
    return Record(
        torch.tensor([epoch for epoch, _ in taken]),
        {name: _stack([seen[name] for _, seen in taken]) for name in names},
    )


@dataclass
class Readings:
    """What each probe saw, by its name, and how many bytes of it are on a device."""

    taken: dict[str, list[Reading]]
    held: int = 0

    def keep(self, probe: str, epoch: int, seen: Mapping[str, Tensor]) -> None:
        """Add copies of what a probe saw: it may hand out views of the weights.

        They stay on their device, where nothing waits for them, until the run ends;
        only what is more than `ON_DEVICE` goes to the CPU at once.
        """
        size = sum(v.nbytes for v in seen.values() if v.device.type != "cpu")
        full = self.held + size > ON_DEVICE
        self.held += 0 if full else size
        copies = {
            name: value.to("cpu" if full else value.device, copy=True)
            for name, value in seen.items()
        }
        self.taken[probe].append((epoch, copies))


def _stack(values: Sequence[Tensor]) -> Tensor:
    """Tensors of the CPU or a device as one of the CPU, in one transfer if possible."""
    if len({value.device for value in values}) > 1:
        values = [value.cpu() for value in values]
    return torch.stack([*values]).cpu()


@dataclass
class Progress:
    """Everything of a run that changes while it trains."""

    weights: Tensor
    buffers: State
    optimizer: Optimizer
    orders: Sequence[torch.Generator]
    readings: Readings
    losses: list[Tensor] = field(default_factory=list)
    epoch: int = 0
    seconds: float = 0.0

    def state(self, *, finished: bool) -> dict[str, Any]:
        """What a checkpoint holds; weights and moments are not copied.

        A finished run needs no moments any more.
        """
        device = self.weights.device
        cuda = device.type == "cuda"
        return {
            "epoch": self.epoch,
            "seconds": self.seconds,
            "weights": self.weights,
            "buffers": self.buffers,
            "optimizer": {} if finished else self.optimizer.state(),
            "orders": [order.get_state() for order in self.orders],
            "random": torch.random.get_rng_state(),
            "cuda random": torch.cuda.get_rng_state(device) if cuda else None,
            "losses": torch.stack(self.losses),
            "records": {
                name: vars(record(taken)) for name, taken in self.readings.taken.items()
            },
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self.epoch, self.seconds = state["epoch"], state["seconds"]
        self.weights.copy_(state["weights"])
        for name, buffer in self.buffers.items():
            buffer.copy_(state["buffers"][name])
        self.optimizer.restore(state["optimizer"])
        for order, value in zip(self.orders, state["orders"], strict=True):
            order.set_state(value)
        torch.random.set_rng_state(state["random"])
        if state["cuda random"] is not None:
            torch.cuda.set_rng_state(state["cuda random"], self.weights.device)
        self.losses = list(state["losses"].to(self.weights.device))
        for name, kept in state["records"].items():
            self.readings.taken[name] = [
                (int(epoch), {key: seen[i] for key, seen in kept["values"].items()})
                for i, epoch in enumerate(kept["epochs"])
            ]
