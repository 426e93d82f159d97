"""Gradients of a one-layer convolutional network, full and linearised around zero.

Source: Sun et al. 2022, theorems 5.1 and 5.2, appendix C.1 and C.2, with label 1 and
Swish of steepness 1. The network is ``sigmoid(pool(swish(K * I)))`` for one image I,
without bias; ``*`` slides the kernel over the image as `patch_operator` does. Kernels
are [batch, k, k]; weight decay broadcasts against them.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from spectral_lib.theory.patch_operator import PatchOperator


def swish(x: Tensor) -> Tensor:
    """Compute the activation ``x sigmoid(x)`` of Sun et al. 2022, (28)."""
    return x * torch.sigmoid(x)


def swish_slope(x: Tensor) -> Tensor:
    """Compute the derivative of `swish`, Sun et al. 2022, equation (29)."""
    gate = torch.sigmoid(x)
    return gate * (1.0 + x * (1.0 - gate))


@dataclass(frozen=True)
class NonlinearEquation:
    """Flow of the cross-entropy of the network, Sun et al. 2022, (5)-(8).

    The paper's "integral" is the mean over positions in the runs of figure 4; with a
    sum the thresholds differ by orders.

    Raises
    ------
    ValueError
        If the pooling is neither of these.
    """

    pooling: Literal["mean", "sum"] = "mean"

    def __post_init__(self) -> None:
        if self.pooling not in ("mean", "sum"):
            raise ValueError(f"pooling is {self.pooling!r}; choose 'mean' or 'sum'.")

    def logit(self, response: Tensor, operator: PatchOperator) -> Tensor:
        """Pool the activated responses, [batch]."""
        return (swish(response) * operator.counts).sum(-1) / self._divisor(operator)

    def gradient(
        self, kernels: Tensor, operator: PatchOperator, weight_decay: Tensor
    ) -> Tensor:
        """Compute the gradient, equation (25)."""
        response = operator.respond(kernels)
        residual = torch.sigmoid(self.logit(response, operator)) - 1.0
        pull = operator.adjoint(swish_slope(response)) / self._divisor(operator)
        return residual[:, None, None] * pull + weight_decay * kernels

    def loss(
        self, kernels: Tensor, operator: PatchOperator, weight_decay: Tensor
    ) -> Tensor:
        """Compute cross-entropy plus ``weight_decay / 2 |K|^2``, [batch]."""
        logit = self.logit(operator.respond(kernels), operator)
        entropy = functional.softplus(logit) - logit
        return entropy + 0.5 * (weight_decay * kernels.square()).sum((-2, -1))

    def _divisor(self, operator: PatchOperator) -> int:
        return operator.positions if self.pooling == "mean" else 1


@dataclass(frozen=True)
class LinearEquation:
    """The flow linearised around K = 0, Sun et al. 2022, theorem 5.2.

    The gradient is ``-1/4 (source + P^T P K) + weight_decay K`` with a sum, not a mean,
    over positions: prediction minus label is -1/2 at K = 0. The source, which the
    paper calls the integral of the image, is the sum of its pixels; it moves the fixed
    point and has no part in stability.
    """

    def gradient(
        self, kernels: Tensor, operator: PatchOperator, weight_decay: Tensor
    ) -> Tensor:
        """Compute the linearised gradient, (34)."""
        pull = operator.image.sum() + operator.gram(kernels)
        return -0.25 * pull + weight_decay * kernels

    def loss(
        self, kernels: Tensor, operator: PatchOperator, weight_decay: Tensor
    ) -> Tensor:
        """Compute the network's loss for mean pooling (figure 3)."""
        return NonlinearEquation().loss(kernels, operator, weight_decay)
