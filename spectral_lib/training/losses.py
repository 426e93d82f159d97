"""Losses of an ensemble: prediction and target [R, ...] to one number a replica."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]


def mse(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean squared error, [R]; ValueError unless both have one shape [R, ...]."""
    if prediction.shape != target.shape:  # else each would meet each
        raise ValueError(
            f"predictions are {list(prediction.shape)} and targets "
            f"{list(target.shape)}; give both the same shape."
        )
    return (prediction - target).square().flatten(1).mean(1)


def nmse(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean squared error over the mean square of the target, [R].

    Both are [R, functions, points], else a ValueError, and both means run over all
    points of all functions. Source: Wang, Wang & Lai 2024, Section 3.2 and their public
    notebook.

    >>> import torch
    >>> target = torch.tensor([[[1.0, 2.0]], [[2.0, 4.0]]])  # two replicas
    >>> nmse(0.5 * target, target)
    tensor([0.2500, 0.2500])
    """
    return mse(prediction, target) / _power(target)


def nmse_by_output(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean squared error over the mean square of the *model's own output*, [R].

    The normaliser is then part of what is minimised. Source: the public notebook of
    Wang, Wang & Lai 2024 calls its NMSE with the two arguments exchanged.
    """
    return mse(prediction, target) / _power(prediction)


def _power(f: Tensor) -> Tensor:
    """Mean square of f [R, functions, points], [R]."""
    if f.ndim < 3:  # else the first axis, of functions, would pass for replicas
        raise ValueError(
            f"there are {f.ndim} axes; give [R, functions, points], x[None] for one "
            "replica."
        )
    return f.square().flatten(1).mean(1)


def cross_entropy(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean cross-entropy of logits [R, batch, classes], [R].

    The target holds labels [R, batch], or probabilities [R, batch, classes].
    """
    losses = F.cross_entropy(
        prediction.flatten(0, 1), target.flatten(0, 1), reduction="none"
    )
    return losses.view(prediction.shape[:2]).mean(1)
