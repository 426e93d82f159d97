"""Residual networks in the form used for small images."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

Activation = Literal["relu", "silu"]
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "silu": F.silu}
"""ReLU, and SiLU: the Swish ``x sigmoid(beta x)`` with beta 1."""


@dataclass(frozen=True)
class ResNetSettings:
    """Architecture of a :class:`ResNet`; defaults are ResNet56's for CIFAR-10.

    The depth is ``2 blocks len(widths) + 2``: 56 with nine blocks a stage, 8 with one.
    Source: He et al. 2016, Section 4.2; Sun et al. 2022, Section 4.2.

    Raises
    ------
    ValueError
        If a number is below 1 or the activation is unknown.
    """

    blocks: int = 9
    widths: tuple[int, ...] = (16, 32, 64)
    channels: int = 3
    classes: int = 10
    activation: Activation = "relu"

    def __post_init__(self) -> None:
        if min(self.blocks, self.channels, self.classes, *self.widths) < 1:
            raise ValueError(f"{self} has a number below 1; give at least 1.")
        check_activation(self.activation)

    @property
    def depth(self) -> int:
        """Layers with weights on the longest path."""
        return 2 * self.blocks * len(self.widths) + 2


def check_activation(name: str) -> None:
    """Raise ValueError unless an activation is known."""
    if name not in ACTIVATIONS:
        raise ValueError(f"activation is {name!r}; use {' or '.join(ACTIVATIONS)}.")


class Block(nn.Module):
    """Two 3 x 3 convolutions with batch norm, added to their input.

    Where width or side change, a 1 x 1 convolution with batch norm carries the input.
    """

    def __init__(self, inside: int, out: int, stride: int, activation: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, out, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out)
        self.activation = ACTIVATIONS[activation]
        self.shortcut = nn.Sequential()
        if stride != 1 or inside != out:
            carry = nn.Conv2d(inside, out, 1, stride, bias=False)
            self.shortcut = nn.Sequential(carry, nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, inside, side, side] to [batch, out, side / stride, ...]."""
        y = self.activation(self.norm1(self.conv1(x)))
        return self.activation(self.norm2(self.conv2(y)) + self.shortcut(x))


class ResNet(nn.Module):
    """Maps images [batch, channels, side, side] to logits [batch, classes].

    One convolution, a stage of blocks for each width, each but the first halving the
    side, the mean over pixels and a linear layer. Convolutions start from He's normal
    distribution (fan-out).
    """

    def __init__(self, settings: ResNetSettings) -> None:
        super().__init__()
        s = settings
        self.conv = nn.Conv2d(s.channels, s.widths[0], 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(s.widths[0])
        self.activation = ACTIVATIONS[s.activation]
        layers: list[nn.Module] = []
        inside = s.widths[0]
        for stage, width in enumerate(s.widths):
            for block in range(s.blocks):
                stride = 2 if stage and not block else 1
                layers.append(Block(inside, width, stride, s.activation))
                inside = width
        self.stages = nn.Sequential(*layers)
        self.head = nn.Linear(inside, s.classes)
        start_like_he(self)

    def forward(self, x: Tensor) -> Tensor:
        """Classify x [batch, channels, side, side]."""
        y = self.stages(self.activation(self.norm(self.conv(x))))
        return self.head(y.mean((-2, -1)))


def start_like_he(network: nn.Module) -> None:
    """Draw all convolutions from He's normal distribution with fan-out, in place."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
