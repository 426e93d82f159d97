"""What every data module hands to training: inputs with targets."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Augment = Callable[[Tensor, Tensor, Sequence[torch.Generator]], tuple[Tensor, Tensor]]
"""Changes a batch, inputs and targets [R, batch, ...], with one generator a replica.

Targets belong to it because some changes concern both: a mixture of two images has a
mixture of two labels, and a label may depend on the image as it was changed.
"""


def compose(*augments: Augment) -> Augment:
    """Several changes of a batch, applied in the order given."""

    def augment(
        inputs: Tensor, targets: Tensor, generators: Sequence[torch.Generator]
    ) -> tuple[Tensor, Tensor]:
        for change in augments:
            inputs, targets = change(inputs, targets, generators)
        return inputs, targets

    return augment


Transform = Callable[[Tensor], Tensor]
"""Turns stored examples [batch, ...] into inputs; pure, on the examples' device."""


@dataclass(frozen=True)
class Dataset:
    """Inputs and targets [examples, ...], shared by all replicas.

    Attributes
    ----------
    stored
        The inputs, or what ``transform`` makes inputs from, such as bytes: a fourth of
        the memory of float32, with the same numbers in the end.
    targets
        One an example.
    transform
        Applied to each batch as it is taken; None if inputs are stored as they are.

    Raises
    ------
    ValueError
        If there are not as many targets as inputs.
    """

    stored: Tensor
    targets: Tensor
    transform: Transform | None = None

    def __post_init__(self) -> None:
        if len(self.stored) != len(self.targets):
            raise ValueError(
                f"{len(self.stored)} inputs and {len(self.targets)} targets; "
                "give as many of one as of the other."
            )

    def __len__(self) -> int:
        return len(self.stored)

    @property
    def inputs(self) -> Tensor:
        """All inputs; with a transform all are made anew at each access."""
        return self._seen(self.stored)

    def parts(self, rows: int) -> Iterator[Tensor]:
        """All inputs in order, at most so many rows at a time, made one by one.

        Raises
        ------
        ValueError
            If ``rows`` is not positive.
        """
        if rows < 1:
            raise ValueError(f"rows is {rows}; it must be at least 1.")
        return map(self._seen, self.stored.split(rows))

    @property
    def shape(self) -> torch.Size:
        """Shape of one example's input."""
        return self._seen(self.stored[:1]).shape[1:]

    @property
    def device(self) -> torch.device:
        """Device of the inputs."""
        return self.stored.device

    def batch(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs and targets [*rows, ...] of rows of any shape, on the same device."""
        stored, targets = self.stored[rows], self.targets[rows]
        if self.transform is None:
            return stored, targets
        last = rows.ndim - 1
        return self._seen(stored.flatten(0, last)).unflatten(0, rows.shape), targets

    def _seen(self, stored: Tensor) -> Tensor:
        return stored if self.transform is None else self.transform(stored)


def send(values: Tensor, device: torch.device) -> Tensor:
    """Values of the CPU on a device, without waiting until the device has them."""
    if device.type != "cuda":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)
