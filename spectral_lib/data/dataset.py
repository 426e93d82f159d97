"""What every data module hands to training: inputs with targets."""

from collections.abc import Callable, Sequence
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


@dataclass(frozen=True)
class Dataset:
    """Inputs and targets [examples, ...], shared by all replicas.

    Raises
    ------
    ValueError
        If there are not as many targets as inputs.
    """

    inputs: Tensor
    targets: Tensor

    def __post_init__(self) -> None:
        if len(self.inputs) != len(self.targets):
            raise ValueError(
                f"{len(self.inputs)} inputs and {len(self.targets)} targets; "
                "give as many of one as of the other."
            )

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def shape(self) -> torch.Size:
        """Shape of one example's input."""
        return self.inputs.shape[1:]

    @property
    def device(self) -> torch.device:
        """Device of the inputs."""
        return self.inputs.device

    def batch(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs and targets [rows, ...] of rows of any shape, on the same device."""
        return self.inputs[rows], self.targets[rows]


def send(values: Tensor, device: torch.device) -> Tensor:
    """Values of the CPU on a device, without waiting until the device has them."""
    if device.type != "cuda":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)
