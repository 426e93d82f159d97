"""Elementwise optimizers whose hyperparameters differ between replicas.

`torch.optim` takes one learning rate per tensor; a stacked tensor holds R of them. The
updates below follow torch.optim's formulas operation by operation, so that one replica
gives the same numbers as `torch.optim` does. SGD may be *perturbed*: a factor that
cancels in exact arithmetic and changes only the rounding of an update (Sun et al. 2022,
Section 4.1).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

PerReplica = float | Sequence[float]


PER_REPLICA = ("learning_rate", "momentum", "weight_decay", "factor")
"""Settings that may be a sequence with one value a replica."""


@dataclass(frozen=True)
class OptimizerSettings:
    """Hyperparameters; each number may be a sequence with one value a replica.

    ``momentum``, ``nesterov``, ``factor`` and ``order`` belong to ``sgd``; Adam's betas
    and epsilon are PyTorch's defaults (0.9, 0.999, 1e-8), as in the paper.

    Attributes
    ----------
    factor
        k of perturbed SGD (Sun et al. 2022, Section 4.1): 1 for none, an odd number for
        a change of rounding, a power of two for the control that must change nothing.
    order
        ``(rate / k) * (k * g)``, as "paper" writes it, or ``(rate * k) * (g / k)``, as
        its public "code" does; g is the gradient with weight decay and momentum.
    milestones, drop
        After each of these epochs the learning rate is multiplied by ``drop``.
    schedule
        "cosine" lets the learning rate fall at each step, along half a cosine, to 0.
    clip
        Largest norm of a replica's gradient, weight decay included; longer gradients
        are shortened to it.

    Raises
    ------
    ValueError
        If a rate, momentum or decay is negative, factor is neither odd nor a power of
        two, drop is not in (0, 1], clip is not positive, or one does not belong to the
        kind.
    """

    kind: Literal["sgd", "adam"] = "adam"
    learning_rate: PerReplica = 1e-3
    momentum: PerReplica = 0.0
    weight_decay: PerReplica = 0.0
    nesterov: bool = False
    factor: int | Sequence[int] = 1
    order: Literal["paper", "code"] = "paper"
    milestones: tuple[int, ...] = ()
    drop: float = 0.1
    schedule: Literal["constant", "cosine"] = "constant"
    clip: float = math.inf

    def __post_init__(self) -> None:
        for name, known in (
            ("kind", ("sgd", "adam")),
            ("order", ("paper", "code")),
            ("schedule", ("constant", "cosine")),
        ):
            if getattr(self, name) not in known:
                one, other = map(repr, known)
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}; use {one} or {other}."
                )
        for name in ("learning_rate", "momentum", "weight_decay"):
            for value in _as_list(getattr(self, name)):
                if not value >= 0:
                    raise ValueError(f"{name} is {value}; it must be >= 0.0.")
        for k in _as_list(self.factor):
            whole = isinstance(k, int) and not isinstance(k, bool) and k >= 1
            if not whole or (k % 2 == 0 and int(k) & (int(k) - 1)):
                raise ValueError(
                    f"factor is {k!r}; give an odd positive integer, or a power of two "
                    "for the control."
                )
        if self.kind == "adam" and any(_as_list(self.momentum)):
            raise ValueError("momentum belongs to 'sgd'; Adam has its own betas.")
        if self.kind == "adam" and set(_as_list(self.factor)) != {1}:
            raise ValueError("factor belongs to 'sgd'; leave it at 1 for Adam.")
        if self.nesterov and not all(_as_list(self.momentum)):
            raise ValueError("nesterov needs a momentum larger than 0.")
        if not 0 < self.drop <= 1:
            raise ValueError(f"drop is {self.drop}; give a number in (0, 1].")
        if not self.clip > 0:
            raise ValueError(f"clip is {self.clip}; it must be > 0.")

    def per_replica(self) -> dict[str, Sequence[Any]]:
        """The settings that are sequences with one value a replica."""
        found = {name: getattr(self, name) for name in PER_REPLICA}
        return {k: v for k, v in found.items() if isinstance(v, Sequence)}

    def portion(self, which: slice) -> "OptimizerSettings":
        """Settings of some replicas; of a single one, numbers."""
        chosen: dict[str, Any] = {}
        for name, values in self.per_replica().items():
            part = values[which]
            chosen[name] = part if len(part) > 1 else part[0]
        return replace(self, **chosen)


def _as_list(value: PerReplica | Sequence[int]) -> list[float]:
    return list(value) if isinstance(value, Sequence) else [value]


class Optimizer:
    """Updates R rows of parameters in place from their gradients.

    Parameters
    ----------
    weights
        [R, P]: all parameters of replica r in row r. One tensor instead of one a layer
        makes the cost of an update independent of the depth.
    settings
        Hyperparameters, one number or one a replica.
    total
        Steps of the whole run, along which the schedule "cosine" falls.

    Attributes
    ----------
    steps, moments
        What the next step depends on besides the weights.
    """

    def __init__(
        self, weights: Tensor, settings: OptimizerSettings, total: int
    ) -> None:
        self.weights, self.settings, self.total = weights, settings, total
        self.learning_rate = _column(settings.learning_rate, weights)
        self.momentum = _column(settings.momentum, weights)
        self.weight_decay = _column(settings.weight_decay, weights)
        self.factor = _column(settings.factor, weights)
        self.steps = 0
        adam = settings.kind == "adam"
        names = ["mean"] if adam or any(_as_list(settings.momentum)) else []
        names += ["square"] if adam else []
        self.moments = {name: torch.zeros_like(weights) for name in names}
        # Written anew in each step; a new tensor would have to be fetched from memory.
        self.update = torch.empty_like(weights)

    @torch.no_grad()
    def step(self, gradient: Tensor, epoch: int) -> None:
        """Apply one update of an epoch, counted from 1, with the gradient [R, P]."""
        scale = self._scale(epoch)
        self.steps += 1
        if isinstance(self.weight_decay, Tensor) or self.weight_decay:
            decay = torch.mul(self.weights, self.weight_decay, out=self.update)
            gradient = decay.add_(gradient)
        if self.settings.clip < math.inf:
            clip = self.settings.clip
            norm = gradient.norm(dim=1, keepdim=True)
            gradient = gradient * (clip / norm.clamp(min=clip))
        update = self._adam if self.settings.kind == "adam" else self._sgd
        self.weights -= update(gradient, scale * self.learning_rate)

    def _scale(self, epoch: int) -> float:
        """Share of the learning rate that milestones and schedule leave to a step."""
        passed = sum(milestone < epoch for milestone in self.settings.milestones)
        left = self.settings.drop**passed
        if self.settings.schedule == "cosine":
            left *= 0.5 * (1 + math.cos(math.pi * self.steps / self.total))
        return left

    def _sgd(self, gradient: Tensor, rate: Tensor | float) -> Tensor:
        if self.moments:
            mean = self.moments["mean"].mul_(self.momentum).add_(gradient)
            nesterov = self.settings.nesterov
            gradient = gradient + self.momentum * mean if nesterov else mean
        if not isinstance(self.factor, Tensor) and self.factor == 1:
            return torch.mul(gradient, rate, out=self.update)
        return perturbed_product(rate, gradient, self.factor, self.settings.order)

    def _adam(self, gradient: Tensor, rate: Tensor | float) -> Tensor:
        beta1, beta2, epsilon = 0.9, 0.999, 1e-8
        mean, square = self.moments["mean"], self.moments["square"]
        mean.lerp_(gradient, 1 - beta1)
        square.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        scale = torch.sqrt(square, out=self.update)
        scale.div_((1 - beta2**self.steps) ** 0.5).add_(epsilon)
        torch.div(mean, scale, out=self.update)
        return self.update.mul_(rate / (1 - beta1**self.steps))


def perturbed_product(
    rate: Tensor | float,
    gradient: Tensor,
    factor: Tensor | int | float,
    order: Literal["paper", "code"] = "paper",
) -> Tensor:
    """Multiply rate and gradient so that a factor cancels but for rounding.

    Every operation rounds to the gradient's dtype. Shapes: rate and factor are numbers
    or [R, 1], the gradient [R, P]. Source: Sun et al. 2022, Section 4.1.
    """
    eta, k = _rounded(rate, gradient), _rounded(factor, gradient)
    if order == "paper":
        return (eta / k) * (k * gradient)
    return (eta * k) * (gradient / k)


def _rounded(value: Tensor | float, like: Tensor) -> Tensor:
    """A number in the dtype of a tensor, filled in on its device, not sent there."""
    if isinstance(value, Tensor):
        return value.to(like)
    return torch.full((), value, dtype=like.dtype, device=like.device)


def _column(value: PerReplica | Sequence[int], weights: Tensor) -> Tensor | float:
    """A hyperparameter as a number, or as [R, 1]."""
    if not isinstance(value, Sequence):
        return value
    return torch.tensor(value, dtype=weights.dtype, device=weights.device)[:, None]
