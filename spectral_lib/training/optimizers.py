"""Elementwise optimizers whose hyperparameters differ between replicas.

`torch.optim` takes one learning rate per tensor; a stacked tensor holds R of them. The
updates below follow torch.optim's formulas operation by operation, so that one replica
gives the same numbers as `torch.optim` does. SGD may be *perturbed*: a factor that
cancels in exact arithmetic and changes only the rounding of an update (Sun et al. 2022,
Section 4.1).
"""

import math
from collections.abc import Callable, Mapping, Sequence
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
        k of perturbed SGD: 1 for none, an odd number for a change of rounding, a power
        of two for the control that must change nothing.
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
        If a value is out of range or does not belong to the kind.

    Notes
    -----
    ``factor`` and ``order``: Sun et al. 2022, Section 4.1.
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
        if self.kind not in ("sgd", "adam"):
            raise ValueError(f"optimizer is {self.kind!r}; use 'sgd' or 'adam'.")
        for name in ("learning_rate", "momentum", "weight_decay"):
            for value in _as_list(getattr(self, name)):
                if not value >= 0:
                    raise ValueError(f"{name} is {value}; it must be >= 0.0.")
        if self.kind == "adam" and any(_as_list(self.momentum)):
            raise ValueError("momentum belongs to 'sgd'; Adam has its own betas.")
        if self.nesterov and not all(_as_list(self.momentum)):
            raise ValueError("nesterov needs a momentum larger than 0.")
        self._check_perturbation()
        if not 0 < self.drop <= 1:
            raise ValueError(f"drop is {self.drop}; give a number in (0, 1].")
        if self.schedule not in ("constant", "cosine"):
            raise ValueError(
                f"schedule is {self.schedule!r}; use 'constant' or 'cosine'."
            )
        if not self.clip > 0:
            raise ValueError(f"clip is {self.clip}; it must be > 0.")

    def _check_perturbation(self) -> None:
        for k in _as_list(self.factor):
            whole = isinstance(k, int) and not isinstance(k, bool) and k >= 1
            if not whole or (k % 2 == 0 and int(k) & (int(k) - 1)):
                raise ValueError(
                    f"factor is {k!r}; give an odd positive integer, or a power of two "
                    "for the control."
                )
        if self.order not in ("paper", "code"):
            raise ValueError(f"order is {self.order!r}; use 'paper' or 'code'.")
        if self.kind == "adam" and set(_as_list(self.factor)) != {1}:
            raise ValueError("factor belongs to 'sgd'; leave it at 1 for Adam.")

    def check_replicas(self, size: int) -> None:
        """Raise ValueError unless each sequence has one value for each replica."""
        for name in PER_REPLICA:
            value = getattr(self, name)
            if isinstance(value, Sequence) and len(value) != size:
                raise ValueError(
                    f"{name} has {len(value)} values for {size} replicas; "
                    "give one number or one value a replica."
                )

    def replica(self, r: int) -> "OptimizerSettings":
        """Settings of replica r alone."""
        return self._each(lambda values: values[r])

    def portion(self, which: slice) -> "OptimizerSettings":
        """Settings of some replicas."""
        return self._each(lambda values: values[which])

    def _each(self, choose: Callable[[Sequence[float]], object]) -> "OptimizerSettings":
        """Settings with something else in place of one value a replica."""
        chosen: dict[str, Any] = {
            name: choose(value)
            for name in PER_REPLICA
            if isinstance(value := getattr(self, name), Sequence)
        }
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
        Steps of the whole run; needed by the schedule "cosine".

    Raises
    ------
    ValueError
        If a sequence in the settings does not have R values, or the schedule needs the
        number of steps.
    """

    def __init__(
        self, weights: Tensor, settings: OptimizerSettings, total: int | None = None
    ) -> None:
        if settings.schedule == "cosine" and total is None:
            raise ValueError("schedule 'cosine' needs the total number of steps.")
        settings.check_replicas(len(weights))
        self.weights = weights
        self.total = total
        self.nesterov = settings.nesterov
        self.settings = settings
        self.learning_rate = _column(settings.learning_rate, weights)
        self.momentum = _column(settings.momentum, weights)
        self.weight_decay = _column(settings.weight_decay, weights)
        self.factor = _column(settings.factor, weights)
        self.steps = 0
        self.drops = self.scale = 1.0
        self.mean = torch.zeros_like(weights)
        self.square = torch.zeros_like(weights)

    def start_epoch(self, epoch: int) -> None:
        """Set the learning rate of an epoch, counted from 1."""
        passed = sum(milestone < epoch for milestone in self.settings.milestones)
        self.drops = self.settings.drop**passed

    def state(self) -> dict[str, Tensor | int]:
        """What the next step depends on besides the weights; shares the memory."""
        sgd = self.settings.kind == "sgd"
        moving = any(_as_list(self.settings.momentum))
        moments = {"mean": self.mean} if moving or not sgd else {}
        if not sgd:
            moments["square"] = self.square
        return {"steps": self.steps, **moments}

    @torch.no_grad()
    def restore(self, state: Mapping[str, Tensor | int]) -> None:
        """Go on from what `state` gave."""
        for name, value in state.items():
            if isinstance(value, Tensor):
                getattr(self, name).copy_(value)
            else:
                setattr(self, name, value)

    @torch.no_grad()
    def step(self, gradient: Tensor) -> None:
        """Apply one update with the gradient [R, P]."""
        self.scale = self.drops * self._fall()
        self.steps += 1
        if isinstance(self.weight_decay, Tensor) or self.weight_decay:
            gradient = gradient + self.weight_decay * self.weights
        if self.settings.clip < math.inf:
            clip = self.settings.clip
            norm = gradient.norm(dim=1, keepdim=True)
            gradient = gradient * (clip / norm.clamp(min=clip))
        # Not a bound method kept on the object: such a cycle would keep the weights and
        # moments of finished runs in memory.
        adam = self.settings.kind == "adam"
        self.weights -= self._adam(gradient) if adam else self._sgd(gradient)

    def _fall(self) -> float:
        """Share of the learning rate that the schedule leaves to this step."""
        if self.settings.schedule == "constant" or not self.total:
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * self.steps / self.total))

    def _sgd(self, gradient: Tensor) -> Tensor:
        if isinstance(self.momentum, Tensor) or self.momentum:
            self.mean.mul_(self.momentum).add_(gradient)
            heavy_ball = self.mean
            gradient = (
                gradient + self.momentum * heavy_ball if self.nesterov else heavy_ball
            )
        rate, k = self.scale * self.learning_rate, self.factor
        if not isinstance(k, Tensor) and k == 1:
            return rate * gradient
        return perturbed_product(rate, gradient, k, self.settings.order)

    def _adam(self, gradient: Tensor) -> Tensor:
        beta1, beta2, epsilon = 0.9, 0.999, 1e-8
        self.mean.lerp_(gradient, 1 - beta1)
        self.square.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        scale = self.square.sqrt().div_((1 - beta2**self.steps) ** 0.5).add_(epsilon)
        rate = self.scale * self.learning_rate
        return self.mean / scale * (rate / (1 - beta1**self.steps))


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
