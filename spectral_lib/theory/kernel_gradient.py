"""Gradients of a one-layer convolutional network, full and linearised around zero.

Source: Sun et al. 2022, theorems 5.1 and 5.2, appendix C.1 and C.2. The network is
``sigmoid(pool(swish(K * I)))`` for one image I, without bias; ``*`` slides the kernel
over the image as `patch_operator` does. Kernels are [batch, k, k]; weight decay
broadcasts against them.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from spectral_lib.theory.patch_operator import PatchOperator


def swish(x: Tensor, beta: float = 1.0) -> Tensor:
    """Compute the activation ``x sigmoid(beta x)`` of Sun et al. 2022, (28)."""
    return x * torch.sigmoid(beta * x)


def swish_slope(x: Tensor, beta: float = 1.0) -> Tensor:
    """Compute the derivative of `swish`, Sun et al. 2022, equation (29)."""
    gate = torch.sigmoid(beta * x)
    return gate * (1.0 + beta * x * (1.0 - gate))


@dataclass(frozen=True)
class NonlinearEquation:
    """Flow of the cross-entropy of the network, Sun et al. 2022, (5)-(8).

    ``label`` is the target y, 0 to 1; ``beta`` the steepness of Swish, positive. The
    paper's "integral" is the mean over positions in the runs of figure 4; with a sum
    the thresholds differ by orders.

    Raises
    ------
    ValueError
        If the label, beta or the pooling is none of these.
    """

    label: float = 1.0
    beta: float = 1.0
    pooling: Literal["mean", "sum"] = "mean"

    def __post_init__(self) -> None:
        if not 0 <= self.label <= 1:
            raise ValueError(f"label is {self.label}; give a number from 0 to 1.")
        if not self.beta > 0:
            raise ValueError(f"beta is {self.beta}; give a positive number.")
        if self.pooling not in ("mean", "sum"):
            raise ValueError(f"pooling is {self.pooling!r}; choose 'mean' or 'sum'.")

    def logit(self, response: Tensor, operator: PatchOperator) -> Tensor:
        """Pool the activated responses, [batch]."""
        active = swish(response, self.beta)
        return (active * operator.counts).sum(-1) / self._divisor(operator)

    def gradient(
        self, kernels: Tensor, operator: PatchOperator, weight_decay: Tensor
    ) -> Tensor:
        """Compute the gradient, equation (25)."""
        response = operator.respond(kernels)
        residual = torch.sigmoid(self.logit(response, operator)) - self.label
        slope = swish_slope(response, self.beta)
        pull = operator.adjoint(slope) / self._divisor(operator)
        return residual[:, None, None] * pull + weight_decay * kernels

    def loss(
        self, kernels: Tensor, operator: PatchOperator, weight_decay: Tensor
    ) -> Tensor:
        """Compute cross-entropy plus ``weight_decay / 2 |K|^2``, [batch]."""
        logit = self.logit(operator.respond(kernels), operator)
        entropy = functional.softplus(logit) - self.label * logit
        return entropy + 0.5 * (weight_decay * kernels.square()).sum((-2, -1))

    def _divisor(self, operator: PatchOperator) -> int:
        return operator.positions if self.pooling == "mean" else 1


@dataclass(frozen=True)
class LinearEquation:
    """The flow linearised around K = 0, Sun et al. 2022, theorem 5.2.

    The gradient is ``residual / 2 (source + beta P^T P K) + weight_decay K`` with a
    sum, not a mean, over positions. ``residual`` is the constant a, prediction minus
    label, -1 to 1; ``beta`` as above. ``source``, which the paper calls the integral
    of the image, is the sum of its pixels if not given; it moves the fixed point and
    has no part in stability.

    Raises
    ------
    ValueError
        As `check_linear`.
    """

    residual: float = -0.5
    beta: float = 1.0
    source: float | None = None

    def __post_init__(self) -> None:
        check_linear(self.residual, self.beta)

    def gradient(
        self, kernels: Tensor, operator: PatchOperator, weight_decay: Tensor
    ) -> Tensor:
        """Compute the linearised gradient, (34)."""
        source = operator.image.sum() if self.source is None else self.source
        pull = source + self.beta * operator.gram(kernels)
        return 0.5 * self.residual * pull + weight_decay * kernels

    def loss(
        self, kernels: Tensor, operator: PatchOperator, weight_decay: Tensor
    ) -> Tensor:
        """Compute the network's loss for label 1 and mean pooling (figure 3)."""
        network = NonlinearEquation(beta=self.beta)
        return network.loss(kernels, operator, weight_decay)


def check_linear(residual: float, beta: float) -> None:
    """Raise ValueError unless the residual is in [-1, 1] and beta is positive."""
    if not -1 <= residual <= 1:
        raise ValueError(f"residual is {residual}; give a number from -1 to 1.")
    if not beta > 0:
        raise ValueError(f"beta is {beta}; give a positive number.")
