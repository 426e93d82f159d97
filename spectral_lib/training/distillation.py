"""Training towards the outputs of another network."""

from collections.abc import Sequence

import torch
from torch import Tensor

from spectral_lib.data.dataset import Augment
from spectral_lib.training.ensemble import Ensemble, evaluating


def pseudolabels(teacher: Ensemble) -> Augment:
    """Replace the targets of each batch by the softmax outputs of a teacher.

    Replica r learns from replica r of the teacher, which sees the batch as it then is
    (put this last in `compose`), in evaluation mode. Targets become probabilities [R,
    batch, classes]. Source: Fridovich-Keil et al. 2021, Section 4.4; Furlanello et al.
    2018.

    Raises
    ------
    ValueError
        At the first batch, if there are not as many students as teachers; train
        replicas that are not stacked one by one, each with its own teacher.
    """

    def augment(
        inputs: Tensor, targets: Tensor, generators: Sequence[torch.Generator]
    ) -> tuple[Tensor, Tensor]:
        if len(inputs) != len(teacher):
            raise ValueError(
                f"{len(inputs)} students and {len(teacher)} teachers; give as many of "
                "one as of the other."
            )
        with torch.no_grad(), evaluating(teacher.module):
            return inputs, teacher(inputs).softmax(-1)

    return augment
