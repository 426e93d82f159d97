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

    How often each label occurs stays the same; of C equally frequent classes about one
    chosen label in C keeps its value. Source: the public code of Zhang et al. 2021.

    Parameters
    ----------
    data
        Targets are class indices [examples].
    share
        Of the examples to choose, 0 to 1.
    seed
        Of the choice and of the shuffle. Take another one for a part of the same data:
        equal seeds choose equal rows.

    Raises
    ------
    ValueError
        If the share is not within 0 and 1 or targets are not class indices.
    """
    generator = torch.Generator().manual_seed(seed)
    chosen = _choose(data, share, generator)
    order = torch.randperm(len(chosen), generator=generator)
    return _relabelled(data, chosen, data.targets[chosen[order.to(chosen.device)]])


def flip_labels(
    data: Dataset, share: float, classes: int, seed: int = 0
) -> NoisyLabels:
    """Give each example of a chosen share another class, uniform over the others.

    Parameters are those of `shuffle_labels`; labels are 0 to ``classes`` - 1.

    Raises
    ------
    ValueError
        If the share is not within 0 and 1, targets are not class indices below
        ``classes``, or there is no other class.
    """
    if classes < 2:
        raise ValueError(f"classes is {classes}; give at least 2.")
    generator = torch.Generator().manual_seed(seed)
    chosen = _choose(data, share, generator)
    if int(data.targets.max()) >= classes:
        raise ValueError(
            f"a label is {int(data.targets.max())}; with {classes} classes labels are "
            f"0 to {classes - 1}."
        )
    step = torch.randint(1, classes, (len(chosen),), generator=generator)
    changed = (data.targets[chosen] + step.to(chosen.device)) % classes
    return _relabelled(data, chosen, changed)


def _choose(data: Dataset, share: float, generator: torch.Generator) -> Tensor:
    if not 0 <= share <= 1:
        raise ValueError(f"share is {share}; give 0 to 1.")
    if data.targets.ndim != 1 or data.targets.is_floating_point():
        raise ValueError(
            f"targets are {data.targets.dtype} of shape {tuple(data.targets.shape)}; "
            "give one class index an example."
        )
    rows = torch.randperm(len(data), generator=generator)[: round(share * len(data))]
    return rows.sort().values.to(data.targets.device)


def _relabelled(data: Dataset, chosen: Tensor, labels: Tensor) -> NoisyLabels:
    targets = data.targets.clone()
    targets[chosen] = labels
    return NoisyLabels(replace(data, targets=targets), chosen)
