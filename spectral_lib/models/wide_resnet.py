"""Wide residual networks."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from spectral_lib.models.resnet import start_like_he


@dataclass(frozen=True)
class WideResNetSettings:
    """Architecture of a :class:`WideResNet`; defaults are those of ``wrn_32``.

    Attributes
    ----------
    width
        Channels of the first of three stages; the next two have twice and four times
        as many, the first convolution ``min(width, 16)``.
    blocks
        Blocks a stage, two convolutions each: the depth is ``6 blocks + 4``.
    shortcut
        Side of the kernel that carries a block's input where the width changes: 3 in
        the public code of Fridovich-Keil et al. 2021, 1 in Zagoruyko & Komodakis 2016.
    channels, classes
        Of the images and of the logits.

    Raises
    ------
    ValueError
        If a number is below 1 or the shortcut's side is neither 1 nor 3.
    """

    width: int = 32
    blocks: int = 4
    shortcut: int = 3
    channels: int = 3
    classes: int = 10

    def __post_init__(self) -> None:
        if min(self.width, self.blocks, self.channels, self.classes) < 1:
            raise ValueError(f"{self} has a number below 1; give at least 1.")
        if self.shortcut not in (1, 3):
            raise ValueError(f"shortcut is {self.shortcut}; use 1 or 3.")

    @property
    def depth(self) -> int:
        """Layers with weights, counted as in the name WRN-28."""
        return 6 * self.blocks + 4


def wrn_32(classes: int = 10, channels: int = 3) -> WideResNetSettings:
    """WRN-28-2 of Fridovich-Keil et al. 2021."""
    return WideResNetSettings(32, channels=channels, classes=classes)


def wrn_160(classes: int = 10, channels: int = 3) -> WideResNetSettings:
    """WRN-28-10 of Fridovich-Keil et al. 2021."""
    return WideResNetSettings(160, channels=channels, classes=classes)


class PreactivationBlock(nn.Module):
    """Twice batch norm, ReLU and a 3 x 3 convolution, added to the block's input.

    Where the width changes, a convolution of the *normalised* input is added instead.
    """

    def __init__(self, inside: int, out: int, stride: int, shortcut: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inside)
        self.conv1 = nn.Conv2d(inside, out, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.carry: nn.Module | None = None
        if stride != 1 or inside != out:
            self.carry = nn.Conv2d(
                inside, out, shortcut, stride, padding=shortcut // 2, bias=False
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, inside, side, side] to [batch, out, side / stride, ...]."""
        y = torch.relu(self.norm1(x))
        if self.carry is not None:
            x = self.carry(y)
        return x + self.conv2(torch.relu(self.norm2(self.conv1(y))))


class WideResNet(nn.Module):
    """Maps images [batch, channels, side, side] to logits [batch, classes].

    Three stages of pre-activation blocks, the last two halving the side, batch norm,
    ReLU, the mean over pixels and a linear layer that starts at zero. Source:
    Zagoruyko & Komodakis 2016 (arXiv 1605.07146), table 1; Fridovich-Keil et al. 2021.
    """

    def __init__(self, settings: WideResNetSettings) -> None:
        super().__init__()
        s = settings
        inside = min(s.width, 16)
        self.conv = nn.Conv2d(s.channels, inside, 3, padding=1, bias=False)
        layers = []
        for stage in range(3):
            out = s.width * 2**stage
            for block in range(s.blocks):
                stride = 2 if stage and not block else 1
                layers.append(PreactivationBlock(inside, out, stride, s.shortcut))
                inside = out
        self.stages = nn.Sequential(*layers)
        self.norm = nn.BatchNorm2d(inside)
        self.head = nn.Linear(inside, s.classes)
        start_at_zero(self, self.head)

    def forward(self, x: Tensor) -> Tensor:
        """Classify x [batch, channels, side, side]."""
        y = torch.relu(self.norm(self.stages(self.conv(x))))
        return self.head(y.mean((-2, -1)))


def start_at_zero(network: nn.Module, head: nn.Linear) -> None:
    """Draw convolutions from N(0, 2 / fan-in) and set the last layer to 0, in place.

    All logits are then 0 before the first step. Source: public code of Fridovich-Keil
    et al. 2021.
    """
    start_like_he(network, "fan_in")
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
