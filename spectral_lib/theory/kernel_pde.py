"""Gradient flow of a one-layer convolutional network, discretised as it is trained.

Source: Sun et al. 2022, equation (10) (forward Euler), theorem D.1 (Nesterov
momentum) and section 4.1 (perturbed updates). The gradients are in `kernel_gradient`,
the ways to apply an image in `patch_operator`. Kernels carry a leading batch axis,
one entry per learning rate and weight decay.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from spectral_lib.theory.kernel_gradient import LinearEquation, NonlinearEquation
from spectral_lib.theory.patch_operator import PatchOperator

Equation = LinearEquation | NonlinearEquation


@dataclass(frozen=True)
class Perturbation:
    """A factor that changes nothing but the rounding of an update.

    An odd number; or a power of two, the control that must change nothing at all.
    Source: Sun et al. 2022, section 4.1.

    Raises
    ------
    ValueError
        If the factor is neither.
    """

    factor: int = 1

    def __post_init__(self) -> None:
        k = self.factor
        if k < 1 or (k % 2 == 0 and k & (k - 1)):
            raise ValueError(
                f"the perturbation factor is {k}; give an odd positive integer, or a "
                "power of two for the control."
            )

    def update(self, rate: Tensor, gradient: Tensor) -> Tensor:
        """Multiply rate and gradient."""
        if self.factor == 1:
            return rate * gradient
        return (rate / self.factor) * (self.factor * gradient)


@dataclass(frozen=True)
class Scheme:
    """Step sizes, weight decays and update rule of a batch of runs.

    Learning rates and weight decays are positive; one value each, or as many as there
    are runs. The momentum is None for forward Euler, equation (10) of Sun et al. 2022,
    or a number in [0, 1) for the Nesterov scheme of its theorem D.1, where the gradient
    is multiplied by ``rate^2 (1 + momentum) / 2``: that is ``2 dt^2 / (2 + d dt)`` for
    the damping d at which ``(2 - d dt) / (2 + d dt)`` is the momentum.

    Raises
    ------
    ValueError
        If a value is out of range or the two tuples do not fit together.
    """

    learning_rate: tuple[float, ...]
    weight_decay: tuple[float, ...]
    momentum: float | None = None
    perturbation: Perturbation = field(default_factory=Perturbation)

    def __post_init__(self) -> None:
        for name in ("learning_rate", "weight_decay"):
            values = getattr(self, name)
            if not values or not all(0 < value < float("inf") for value in values):
                raise ValueError(
                    f"{name} is {values}; give values that are positive and finite."
                )
        check_momentum(self.momentum)
        lengths = {len(self.learning_rate), len(self.weight_decay)} - {1}
        if len(lengths) > 1:
            raise ValueError(
                f"there are {len(self.learning_rate)} learning rates and "
                f"{len(self.weight_decay)} weight decays; give as many of both or one."
            )

    @property
    def runs(self) -> int:
        """Number of runs in the batch."""
        return max(len(self.learning_rate), len(self.weight_decay))


def check_momentum(momentum: float | None) -> None:
    """Raise ValueError unless the momentum is None or in [0, 1)."""
    if momentum is not None and not 0 <= momentum < 1:
        raise ValueError(f"momentum is {momentum}; give None or a number in [0, 1).")


def initial_kernel(kernel_size: int, seed: int = 7) -> Tensor:
    """Draw the initial kernel, [k, k] standard normal weights in float64.

    The seed is that of numpy's older generator, the one of the paper's figures.
    """
    generator = np.random.RandomState(seed)
    return torch.from_numpy(generator.standard_normal((kernel_size, kernel_size)))


def iterate(
    kernel: Tensor, operator: PatchOperator, equation: Equation, scheme: Scheme
) -> Iterator[Tensor]:
    """Yield the kernels at step 0, 1, 2, ... for as long as they are asked for.

    The kernel holds the initial weights, [k, k] for all runs or [runs, k, k], in the
    dtype of the image; what is yielded is [runs, k, k]. Inputs are checked at the call.

    Raises
    ------
    ValueError
        If the kernel does not have the operator's size or the scheme's batch.
    TypeError
        If the kernel is not of the image's dtype.
    """
    if kernel.dtype != operator.image.dtype:
        raise TypeError(
            f"the kernel is {kernel.dtype} and the image {operator.image.dtype}; "
            "convert one to the other's dtype."
        )
    side = operator.kernel_size
    allowed = [(side, side), (1, side, side), (scheme.runs, side, side)]
    if tuple(kernel.shape) not in allowed:
        raise ValueError(
            f"the kernel has shape {tuple(kernel.shape)}; give one of {allowed}."
        )
    start = kernel.expand(scheme.runs, side, side).clone()
    rate = _per_run(scheme.learning_rate, start)
    decay = _per_run(scheme.weight_decay, start)

    def gradient(kernels: Tensor) -> Tensor:
        return equation.gradient(kernels, operator, decay)

    if scheme.momentum is None:
        return _euler(start, gradient, rate, scheme.perturbation)
    step = rate.square() * (1.0 + scheme.momentum) / 2.0
    return _nesterov(start, gradient, step, scheme.momentum, scheme.perturbation)


def loss_history(
    kernel: Tensor,
    operator: PatchOperator,
    equation: Equation,
    scheme: Scheme,
    steps: int,
) -> Tensor:
    """Record the loss at every step of `iterate`, [runs, steps + 1].

    It is inf where it left the range of the dtype. Errors are those of `iterate`.
    """
    states = iterate(kernel, operator, equation, scheme)
    decay = _per_run(scheme.weight_decay, kernel)
    losses = [
        equation.loss(kernels, operator, decay) for kernels in islice(states, steps + 1)
    ]
    return torch.stack(losses, dim=-1)


def rounding_divergence(
    kernel: Tensor,
    operator: PatchOperator,
    equation: Equation,
    schemes: tuple[Scheme, Scheme],
    steps: int,
) -> Tensor:
    """Record how far two runs drift apart that differ in rounding only.

    `relative_l1` of the kernels of two schemes, [runs, steps + 1]: Sun et al. 2022,
    figure 4, right. Errors are those of `iterate`.
    """
    first, second = (iterate(kernel, operator, equation, each) for each in schemes)
    pairs = islice(zip(first, second, strict=True), steps + 1)
    found = [relative_l1(one.flatten(1), other.flatten(1)) for one, other in pairs]
    return torch.stack(found, dim=-1)


def relative_l1(first: Tensor, second: Tensor) -> Tensor:
    """Compute ``2 mean(|a - b| / (|a| + |b|))`` over the last axis.

    Entries that are 0 in both are left out; 0 means equal, 2 is the largest value.
    Source: Sun et al. 2022, Section 4.2.
    """
    size = first.abs() + second.abs()
    counted = size != 0
    gap = (first - second).abs() / torch.where(counted, size, torch.ones_like(size))
    return 2.0 * gap.sum(-1) / counted.sum(-1).clamp(min=1)


def _per_run(values: tuple[float, ...], like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=like.dtype, device=like.device)[:, None, None]


def _euler(
    kernels: Tensor,
    gradient: Callable[[Tensor], Tensor],
    rate: Tensor,
    perturbation: Perturbation,
) -> Iterator[Tensor]:
    while True:
        yield kernels
        kernels = kernels - perturbation.update(rate, gradient(kernels))


def _nesterov(
    kernels: Tensor,
    gradient: Callable[[Tensor], Tensor],
    rate: Tensor,
    momentum: float,
    perturbation: Perturbation,
) -> Iterator[Tensor]:
    previous = kernels
    while True:
        yield kernels
        ahead = kernels + momentum * (kernels - previous)
        previous = kernels
        kernels = ahead - perturbation.update(rate, gradient(ahead))
