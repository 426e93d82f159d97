"""Wrong labels for a chosen share of a data set, with a record of which."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from spectral_lib.data.dataset import Dataset
from spectral_lib.data.subsets import balanced_rows, take


@dataclass(frozen=True)
class NoisyLabels:
    """A data set with some labels replaced.

    Attributes
    ----------
    data
        All examples, with the noisy labels.
    chosen
        Rows of the examples whose label was put at risk, rising; on the data's device.
    clean
        The labels [examples] as they were.
    """

    data: Dataset
    chosen: Tensor
    clean: Tensor

    @property
    def changed(self) -> Tensor:
        """Rows of the labels that are now wrong; all of them were chosen."""
        return (self.data.targets != self.clean).nonzero().squeeze(1)

    @property
    def perturbed(self) -> Dataset:
        """The chosen examples with their noisy labels."""
        return take(self.data, self.chosen)


def shuffle_labels(
    data: Dataset, share: float, seed: int = 0, *, balanced: bool = False
) -> NoisyLabels:
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
    balanced
        Choose equally many of each class.

    Raises
    ------
    ValueError
        If the share is not within 0 and 1 or targets are not class indices.
    """
    generator = torch.Generator().manual_seed(seed)
    chosen = _choose(data, share, generator, balanced)
    order = torch.randperm(len(chosen), generator=generator)
    labels = data.targets.clone()
    labels[chosen] = data.targets[chosen[order.to(chosen.device)]]
    return NoisyLabels(replace(data, targets=labels), chosen, data.targets)


def flip_labels(
    data: Dataset, share: float, classes: int, seed: int = 0, *, balanced: bool = False
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
    chosen = _choose(data, share, generator, balanced)
    if int(data.targets.max()) >= classes:
        raise ValueError(
            f"a label is {int(data.targets.max())}; with {classes} classes labels are "
            f"0 to {classes - 1}."
        )
    step = torch.randint(1, classes, (len(chosen),), generator=generator)
    labels = data.targets.clone()
    labels[chosen] = (labels[chosen] + step.to(chosen.device)) % classes
    return NoisyLabels(replace(data, targets=labels), chosen, data.targets)


def _choose(
    data: Dataset, share: float, generator: torch.Generator, balanced: bool
) -> Tensor:
    if not 0 <= share <= 1:
        raise ValueError(f"share is {share}; give 0 to 1.")
    if data.targets.ndim != 1 or data.targets.is_floating_point():
        raise ValueError(
            f"targets are {data.targets.dtype} of shape {tuple(data.targets.shape)}; "
            "give one class index an example."
        )
    count = round(share * len(data))
    if balanced and count:
        seed = int(torch.randint(2**31, (), generator=generator))
        rows = balanced_rows(data.targets, count, seed)
    else:
        rows = torch.randperm(len(data), generator=generator)[:count].sort().values
    return rows.to(data.targets.device)
