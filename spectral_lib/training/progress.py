"""How far a run has come: what changes while it trains, and how that is kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from spectral_lib.training.ensemble import State
from spectral_lib.training.optimizers import Optimizer

Readings = dict[str, list[tuple[int, Mapping[str, Tensor]]]]
"""What each probe saw: epochs, with named tensors [R, ...] on the CPU."""


@dataclass(frozen=True)
class Record:
    """What a probe saw: ``epochs`` [T] and named tensors [T, R, ...] on the CPU."""

    epochs: Tensor
    values: dict[str, Tensor]

    def __getitem__(self, name: str) -> Tensor:
        return self.values[name]


def record(taken: Sequence[tuple[int, Mapping[str, Tensor]]]) -> Record:
    """Stack the readings of one probe."""
    names = taken[0][1] if taken else ()
    return Record(
        torch.tensor([epoch for epoch, _ in taken]),
        {name: torch.stack([seen[name] for _, seen in taken]) for name in names},
    )


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
                name: vars(record(taken)) for name, taken in self.readings.items()
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
        self.losses = list(state["losses"])
        for name, kept in state["records"].items():
            self.readings[name] = [
                (int(epoch), {key: seen[i] for key, seen in kept["values"].items()})
                for i, epoch in enumerate(kept["epochs"])
            ]
