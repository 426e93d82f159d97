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
