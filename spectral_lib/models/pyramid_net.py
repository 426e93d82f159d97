"""PyramidNet with ShakeDrop: a width that grows in every block."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spectral_lib.models.shake import drop
from spectral_lib.models.wide_resnet import start_at_zero

EXPANSION = 4
"""Channels that leave a bottleneck for each channel of its 3 x 3 convolution."""


@dataclass(frozen=True)
class PyramidNetSettings:
    """Architecture of a :class:`PyramidNet`; defaults are those of ``pyramid_net``.

    Attributes
    ----------
    depth
        Layers with weights: ``9 n + 2`` for n blocks in each of three stages.
    alpha
        Channels gained from the first to the last block, in equal steps.
    stem
        Channels of the first convolution.
    dropped
        Probability p_L that the last block is disturbed; it grows linearly from the
        first block on. 0 switches ShakeDrop off.
    channels, classes
        Of the images and of the logits.

    Raises
    ------
    ValueError
        If a number is out of range or the depth is not 9 n + 2.
    """

    depth: int = 272
    alpha: int = 200
    stem: int = 16
    dropped: float = 0.5
    channels: int = 3
    classes: int = 10

    def __post_init__(self) -> None:
        if min(self.alpha, self.stem, self.channels, self.classes) < 1:
            raise ValueError(f"{self} has a number below 1; give at least 1.")
        if self.depth < 11 or self.depth % 9 != 2:
            raise ValueError(f"depth is {self.depth}; give 11, 20, 29, ... (9 n + 2).")
        if not 0 <= self.dropped <= 1:
            raise ValueError(f"dropped is {self.dropped}; it must lie in [0, 1].")

    @property
    def blocks(self) -> int:
        """Blocks a stage."""
        return (self.depth - 2) // 9

    def width(self, block: int) -> int:
        """Channels of the 3 x 3 convolution of a block, counted from 1; half goes up.

        Source: Han, Kim & Kim 2017 (arXiv 1610.02915), the additive rule.
        """
        total = 3 * self.blocks
        return self.stem + (2 * self.alpha * block + total) // (2 * total)

    def kept(self, block: int) -> float:
        """Probability that a block, counted from 1, passes undisturbed."""
        return 1 - block / (3 * self.blocks) * self.dropped


def pyramid_net(classes: int = 10, channels: int = 3) -> PyramidNetSettings:
    """PyramidNet-272 with alpha 200 and ShakeDrop of Fridovich-Keil et al. 2021."""
    return PyramidNetSettings(channels=channels, classes=classes)


class Bottleneck(nn.Module):
    """Convolutions of side 1, 3 and 1 between batch norms, added to their input.

    The input is averaged over 2 x 2 pixels where the side is halved, and gets channels
    of zeros where the width grows. ``kept`` is the probability that the branch passes
    undisturbed.
    """

    def __init__(self, inside: int, width: int, stride: int, kept: float) -> None:
        super().__init__()
        out = EXPANSION * width
        self.stride = stride
        self.gained = out - inside
        self.kept = kept
        self.branch = nn.Sequential(
            nn.BatchNorm2d(inside),
            nn.Conv2d(inside, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, out, 1, bias=False),
            nn.BatchNorm2d(out),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, inside, side, side] to [batch, 4 width, side / stride, ...]."""
        y = drop(self.branch(x), self.kept, self.training)
        if self.stride == 2:
            x = F.avg_pool2d(x, 2, ceil_mode=True)
        return y + F.pad(x, (0, 0, 0, 0, 0, self.gained))


class PyramidNet(nn.Module):
    """Maps images [batch, channels, side, side] to logits [batch, classes].

    Three stages of bottlenecks, the last two halving the side, batch norm, ReLU, the
    mean over pixels and a linear layer that starts at zero. Source: Han, Kim & Kim 2017
    (arXiv 1610.02915); ShakeDrop of Yamada et al. 2019 (arXiv 1802.02375).
    """

    def __init__(self, settings: PyramidNetSettings) -> None:
        super().__init__()
        s = settings
        self.conv = nn.Conv2d(s.channels, s.stem, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(s.stem)
        layers = []
        inside = s.stem
        for block in range(1, 3 * s.blocks + 1):
            stride = 2 if block in (s.blocks + 1, 2 * s.blocks + 1) else 1
            layers.append(Bottleneck(inside, s.width(block), stride, s.kept(block)))
            inside = EXPANSION * s.width(block)
        self.stages = nn.Sequential(*layers)
        self.norm = nn.BatchNorm2d(inside)
        self.head = nn.Linear(inside, s.classes)
        start_at_zero(self, self.head)

    def forward(self, x: Tensor) -> Tensor:
        """Classify x [batch, channels, side, side]."""
        y = self.stages(self.first_norm(self.conv(x)))
        return self.head(torch.relu(self.norm(y)).mean((-2, -1)))
