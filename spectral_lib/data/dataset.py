"""What every data module hands to training: inputs with targets."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Augment = Callable[[Tensor, Sequence[torch.Generator]], Tensor]
"""Changes a batch of inputs [R, batch, ...] with one generator a replica."""


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
