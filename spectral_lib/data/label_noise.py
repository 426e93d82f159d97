"""Wrong labels for a chosen share of a data set, with a record of which."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from spectral_lib.data.dataset import Dataset
from spectral_lib.data.subsets import take


@dataclass(frozen=True)
class NoisyLabels:
    """A data set with some labels replaced.

    Attributes
    ----------
    data
        All examples, with the noisy labels.
    chosen
        Rows of the examples whose label was put at risk, rising; on the data's device.
    """

    data: Dataset
    chosen: Tensor

    @property
    def perturbed(self) -> Dataset:
        """The chosen examples with their noisy labels."""
        return take(self.data, self.chosen)


def shuffle_labels(data: Dataset, share: float, seed: int = 0) -> NoisyLabels:
    """Shuffle the labels of a chosen share of the examples among themselves.

    Targets are class indices [examples]. How often each label occurs stays the same; of
    C equally frequent classes about one chosen label in C keeps its value. Take another
    seed for a part of the same data: equal ones choose equal rows. Source: the public
    code of Zhang et al. 2021.

    Raises
    ------
    ValueError
        If the share is not within 0 and 1 or targets are not class indices.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share is {share}; give 0 to 1.")
    if data.targets.ndim != 1 or data.targets.is_floating_point():
        raise ValueError(
            f"targets are {data.targets.dtype} of shape {tuple(data.targets.shape)}; "
            "give one class index an example."
        )
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(data), generator=generator)[: round(share * len(data))]
    chosen = rows.sort().values.to(data.targets.device)
    order = torch.randperm(len(chosen), generator=generator)
    targets = data.targets.clone()
    targets[chosen] = data.targets[chosen[order.to(chosen.device)]]
    return NoisyLabels(replace(data, targets=targets), chosen)
