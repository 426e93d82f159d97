"""Shake-Shake networks: two residual branches mixed at random."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spectral_lib.models.shake import Law, mix
from spectral_lib.models.wide_resnet import start_at_zero


@dataclass(frozen=True)
class ShakeShakeSettings:
    """Architecture of a :class:`ShakeShake`; defaults are those of ``shake_shake_32``.

    Attributes
    ----------
    width
        Channels of the first of three stages; the next two have twice and four times
        as many, the first convolution ``min(width, 16)``. Even.
    blocks
        Blocks a stage, two convolutions deep: the depth is ``6 blocks + 2``.
    law
        Of the random shares, see :func:`spectral_lib.models.shake.share`.
    channels, classes
        Of the images and of the logits.

    Raises
    ------
    ValueError
        If a number is below 1, the width is odd or the law is unknown.
    """

    width: int = 32
    blocks: int = 4
    law: Law = "ratio"
    channels: int = 3
    classes: int = 10

    def __post_init__(self) -> None:
        if min(self.width, self.blocks, self.channels, self.classes) < 1:
            raise ValueError(f"{self} has a number below 1; give at least 1.")
        if self.width % 2:
            raise ValueError(f"width is {self.width}; give an even number.")
        if self.law not in ("uniform", "ratio"):
            raise ValueError(f"law is {self.law!r}; use 'uniform' or 'ratio'.")

    @property
    def depth(self) -> int:
        """Layers with weights on the longest path."""
        return 6 * self.blocks + 2


def shake_shake_32(classes: int = 10, channels: int = 3) -> ShakeShakeSettings:
    """Shake-Shake 26 2x32d of Fridovich-Keil et al. 2021."""
    return ShakeShakeSettings(32, channels=channels, classes=classes)


def shake_shake_96(classes: int = 10, channels: int = 3) -> ShakeShakeSettings:
    """Shake-Shake 26 2x96d of Fridovich-Keil et al. 2021."""
    return ShakeShakeSettings(96, channels=channels, classes=classes)


def shake_shake_112(classes: int = 10, channels: int = 3) -> ShakeShakeSettings:
    """Shake-Shake 26 2x112d of Fridovich-Keil et al. 2021."""
    return ShakeShakeSettings(112, channels=channels, classes=classes)


class Shortcut(nn.Module):
    """Carries a block's input to another width and side without losing its odd pixels.

    One half of the channels is a 1 x 1 convolution of every ``stride``-th pixel, the
    other half one of their lower right neighbours (0 beyond the border); then batch
    norm.
    """

    def __init__(self, inside: int, out: int, stride: int) -> None:
        super().__init__()
        self.here = nn.Conv2d(inside, out // 2, 1, stride, bias=False)
        self.next = nn.Conv2d(inside, out // 2, 1, stride, bias=False)
        self.norm = nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, inside, side, side] to [batch, out, side / stride, ...]."""
        shifted = F.pad(x, (0, 1, 0, 1))[..., 1:, 1:]
        return self.norm(torch.cat([self.here(x), self.next(shifted)], dim=-3))


class ShakeBlock(nn.Module):
    """Two branches of two convolutions, mixed at random and added to their input."""

    def __init__(self, inside: int, out: int, stride: int, law: Law) -> None:
        super().__init__()
        self.law: Law = law
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.ReLU(),
                nn.Conv2d(inside, out, 3, stride, padding=1, bias=False),
                nn.BatchNorm2d(out),
                nn.ReLU(),
                nn.Conv2d(out, out, 3, padding=1, bias=False),
                nn.BatchNorm2d(out),
            )
            for _ in range(2)
        )
        self.shortcut = nn.Sequential()
        if stride != 1 or inside != out:
            self.shortcut = nn.Sequential(Shortcut(inside, out, stride))

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, inside, side, side] to [batch, out, side / stride, ...]."""
        first, second = (branch(x) for branch in self.branches)
        return self.shortcut(x) + mix(first, second, self.law, self.training)


class ShakeShake(nn.Module):
    """Maps images [batch, channels, side, side] to logits [batch, classes].

    Three stages of blocks, the last two halving the side, ReLU, the mean over pixels
    and a linear layer that starts at zero. Each image has its own shares, in every
    block and in each direction (Shake-Shake-Image). Source: Gastaldi 2017 (arXiv
    1705.07485); Fridovich-Keil et al. 2021.
    """

    def __init__(self, settings: ShakeShakeSettings) -> None:
        super().__init__()
        s = settings
        inside = min(s.width, 16)
        self.conv = nn.Conv2d(s.channels, inside, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(inside)
        layers = []
        for stage in range(3):
            out = s.width * 2**stage
            for block in range(s.blocks):
                stride = 2 if stage and not block else 1
                layers.append(ShakeBlock(inside, out, stride, s.law))
                inside = out
        self.stages = nn.Sequential(*layers)
        self.head = nn.Linear(inside, s.classes)
        start_at_zero(self, self.head)

    def forward(self, x: Tensor) -> Tensor:
        """Classify x [batch, channels, side, side]."""
        y = torch.relu(self.stages(self.norm(self.conv(x))))
        return self.head(y.mean((-2, -1)))
