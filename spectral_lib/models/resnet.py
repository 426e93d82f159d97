"""Residual networks in the form used for small images."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

Activation = Literal["relu", "silu"]
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "silu": F.silu}
"""ReLU, and SiLU: the Swish ``x sigmoid(beta x)`` with beta 1."""

Start = Literal["he", "torch"]


@dataclass(frozen=True)
class ResNetSettings:
    """Architecture of a :class:`ResNet`; defaults are ResNet56's for CIFAR-10.

    Source: He et al. 2016, Section 4.2; Sun et al. 2022, Section 4.2.

    Attributes
    ----------
    blocks
        Blocks a stage, two convolutions each: one number for all stages or one for
        each. The depth is 56 with nine blocks in each of three stages, 8 with one.
    widths
        Channels of each stage.
    channels, classes, activation
        Of the images, of the logits, and the one between all layers.
    stem
        Channels of the first convolution; None for those of the first stage.
    skip
        False leaves out all shortcuts: the same convolutions, nothing added.
    start
        Convolutions start from He's normal distribution with fan-out (``"he"``) or as
        PyTorch starts them (``"torch"``).

    Raises
    ------
    ValueError
        If a number is below 1, the blocks do not fit the widths, or a name is unknown.
    """

    blocks: int | tuple[int, ...] = 9
    widths: tuple[int, ...] = (16, 32, 64)
    channels: int = 3
    classes: int = 10
    activation: Activation = "relu"
    stem: int | None = None
    skip: bool = True
    start: Start = "he"

    def __post_init__(self) -> None:
        stem = 1 if self.stem is None else self.stem
        sizes = (*self.stage_blocks, *self.widths, stem)
        if min(self.channels, self.classes, *sizes) < 1:
            raise ValueError(f"{self} has a number below 1; give at least 1.")
        if len(self.stage_blocks) != len(self.widths):
            raise ValueError(
                f"blocks is {self.blocks} and widths {self.widths}; give one number of "
                "blocks, or one for each width."
            )
        check_activation(self.activation)
        check_start(self.start)

    @property
    def stage_blocks(self) -> tuple[int, ...]:
        """Blocks of each stage."""
        if isinstance(self.blocks, int):
            return (self.blocks,) * len(self.widths)
        return tuple(self.blocks)

    @property
    def depth(self) -> int:
        """Layers with weights on the longest path."""
        return 2 * sum(self.stage_blocks) + 2


def resnet18(
    width_factor: float = 1.0, classes: int = 10, channels: int = 3
) -> ResNetSettings:
    """ResNet18 for images of 32 pixels, with stages ``width_factor`` times as wide.

    The first convolution keeps its 64 channels. Source: He et al. 2016, table 1, with a
    first convolution of side 3 and stride 1; Zhang, Xiong & Wu 2021, Appendix C.
    """
    return _wide((2, 2, 2, 2), width_factor, classes, channels)


def resnet34(
    width_factor: float = 1.0, classes: int = 10, channels: int = 3
) -> ResNetSettings:
    """ResNet34 for images of 32 pixels; see :func:`resnet18`."""
    return _wide((3, 4, 6, 3), width_factor, classes, channels)


def _wide(
    blocks: tuple[int, ...], width_factor: float, classes: int, channels: int
) -> ResNetSettings:
    widths = tuple(scaled(width, width_factor) for width in (64, 128, 256, 512))
    return ResNetSettings(blocks, widths, channels, classes, stem=64, start="torch")


def scaled(width: int, factor: float) -> int:
    """A width times a factor, rounded.

    Raises
    ------
    ValueError
        If less than half a channel is left.
    """
    if not 0.5 <= width * factor < float("inf"):
        raise ValueError(
            f"width_factor is {factor}; it must be positive, 0.5 to 2 say."
        )
    return round(width * factor)


def check_activation(name: str) -> None:
    """Raise ValueError unless an activation is known."""
    if name not in ACTIVATIONS:
        raise ValueError(f"activation is {name!r}; use {' or '.join(ACTIVATIONS)}.")


def check_start(name: str) -> None:
    """Raise ValueError unless an initialization is known."""
    if name not in ("he", "torch"):
        raise ValueError(f"start is {name!r}; use he or torch.")


class Block(nn.Module):
    """Two 3 x 3 convolutions with batch norm, added to their input.

    Where width or side change, a 1 x 1 convolution with batch norm carries the input.
    Without ``skip`` nothing is added.
    """

    def __init__(
        self, inside: int, out: int, stride: int, activation: str, skip: bool = True
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, out, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out)
        self.activation = ACTIVATIONS[activation]
        self.skip = skip
        self.shortcut = nn.Sequential()
        if skip and (stride != 1 or inside != out):
            carry = nn.Conv2d(inside, out, 1, stride, bias=False)
            self.shortcut = nn.Sequential(carry, nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, inside, side, side] to [batch, out, side / stride, ...]."""
        y = self.activation(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        return self.activation(y + self.shortcut(x) if self.skip else y)


class ResNet(nn.Module):
    """Maps images [batch, channels, side, side] to logits [batch, classes].

    One convolution, a stage of blocks for each width, each but the first halving the
    side, the mean over pixels and a linear layer.
    """

    def __init__(self, settings: ResNetSettings) -> None:
        super().__init__()
        s = settings
        inside = s.widths[0] if s.stem is None else s.stem
        self.conv = nn.Conv2d(s.channels, inside, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(inside)
        self.activation = ACTIVATIONS[s.activation]
        layers: list[nn.Module] = []
        for stage, (width, blocks) in enumerate(
            zip(s.widths, s.stage_blocks, strict=True)
        ):
            for block in range(blocks):
                stride = 2 if stage and not block else 1
                layers.append(Block(inside, width, stride, s.activation, s.skip))
                inside = width
        self.stages = nn.Sequential(*layers)
        self.head = nn.Linear(inside, s.classes)
        if s.start == "he":
            start_like_he(self)

    def forward(self, x: Tensor) -> Tensor:
        """Classify x [batch, channels, side, side]."""
        y = self.stages(self.activation(self.norm(self.conv(x))))
        return self.head(y.mean((-2, -1)))


def start_like_he(
    network: nn.Module, fan: Literal["fan_in", "fan_out"] = "fan_out"
) -> None:
    """Draw all convolutions from He's normal distribution, N(0, 2 / fan), in place."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode=fan, nonlinearity="relu")
