"""Elementwise optimizers whose hyperparameters differ between replicas.

`torch.optim` takes one learning rate per tensor; a stacked tensor holds R of them. The
updates below follow torch.optim's formulas operation by operation, so that one replica
gives the same numbers as `torch.optim` does.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal

import torch
from torch import Tensor

PerReplica = float | Sequence[float]


@dataclass(frozen=True)
class OptimizerSettings:
    """Hyperparameters; each number may be a sequence with one value a replica.

    ``momentum`` and ``nesterov`` belong to ``sgd``; Adam's betas and epsilon are
    PyTorch's defaults (0.9, 0.999, 1e-8), as in the paper.
    """

    kind: Literal["sgd", "adam"] = "adam"
    learning_rate: PerReplica = 1e-3
    momentum: PerReplica = 0.0
    weight_decay: PerReplica = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        if self.kind not in ("sgd", "adam"):
            raise ValueError(f"optimizer is {self.kind!r}; use 'sgd' or 'adam'.")
        for name, lowest in (
            ("learning_rate", 0.0),
            ("momentum", 0.0),
            ("weight_decay", 0.0),
        ):
            for value in _as_list(getattr(self, name)):
                if not value >= lowest:
                    raise ValueError(f"{name} is {value}; it must be >= {lowest}.")
        if self.kind == "adam" and any(_as_list(self.momentum)):
            raise ValueError("momentum belongs to 'sgd'; Adam has its own betas.")
        if self.nesterov and not all(_as_list(self.momentum)):
            raise ValueError("nesterov needs a momentum larger than 0.")

    def replica(self, r: int) -> "OptimizerSettings":
        """Settings of replica r alone."""
        single = {
            f.name: value[r]
            for f in fields(self)
            if isinstance(value := getattr(self, f.name), Sequence)
            and not isinstance(value, str)
        }
        return replace(self, **single)


def _as_list(value: PerReplica) -> list[float]:
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

    Raises
    ------
    ValueError
        If a sequence in the settings does not have R values.
    """

    def __init__(self, weights: Tensor, settings: OptimizerSettings) -> None:
        self.weights = weights
        self.nesterov = settings.nesterov
        self.learning_rate = _column("learning_rate", settings.learning_rate, weights)
        self.momentum = _column("momentum", settings.momentum, weights)
        self.weight_decay = _column("weight_decay", settings.weight_decay, weights)
        self.steps = 0
        self.mean = torch.zeros_like(weights)
        self.square = torch.zeros_like(weights)
        self._update = self._adam if settings.kind == "adam" else self._sgd

    @torch.no_grad()
    def step(self, gradient: Tensor) -> None:
        """Apply one update with the gradient [R, P]."""
        self.steps += 1
        if isinstance(self.weight_decay, Tensor) or self.weight_decay:
            gradient = gradient + self.weight_decay * self.weights
        self.weights -= self._update(gradient)

    def _sgd(self, gradient: Tensor) -> Tensor:
        if isinstance(self.momentum, Tensor) or self.momentum:
            self.mean.mul_(self.momentum).add_(gradient)
            heavy_ball = self.mean
            gradient = (
                gradient + self.momentum * heavy_ball if self.nesterov else heavy_ball
            )
        return self.learning_rate * gradient

    def _adam(self, gradient: Tensor) -> Tensor:
        beta1, beta2, epsilon = 0.9, 0.999, 1e-8
        self.mean.lerp_(gradient, 1 - beta1)
        self.square.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        scale = self.square.sqrt().div_((1 - beta2**self.steps) ** 0.5).add_(epsilon)
        return self.mean / scale * (self.learning_rate / (1 - beta1**self.steps))


def _column(name: str, value: PerReplica, weights: Tensor) -> Tensor | float:
    """A hyperparameter as a number, or as [R, 1]."""
    if not isinstance(value, Sequence):
        return value
    if len(value) != len(weights):
        raise ValueError(
            f"{name} has {len(value)} values for {len(weights)} replicas; "
            "give one number or one value a replica."
        )
    return torch.tensor(value, dtype=weights.dtype, device=weights.device)[:, None]
