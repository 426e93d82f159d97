"""Wide residual networks, Shake-Shake, and PyramidNet with ShakeDrop.

Networks of three stages whose last layer starts at zero, so that all logits are 0
before the first step, as in the public code of Fridovich-Keil et al. 2021.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spectral_lib.models.shake import drop, mix
from spectral_lib.models.staged import Projection, Staged, stages, start_like_he

EXPANSION = 4
"""Channels that leave a bottleneck for each channel of its 3 x 3 convolution."""

MOST_DROPPED = 0.5
"""Probability that ShakeDrop disturbs the last block; it grows linearly up to there."""


class PreactivationBlock(nn.Module):
    """Twice batch norm, ReLU and a 3 x 3 convolution, added to the block's input.

    Where the width changes, a 3 x 3 convolution of the *normalised* input is added
    instead (1 x 1 in Zagoruyko & Komodakis 2016).
    """

    def __init__(self, inside: int, out: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inside)
        self.conv1 = nn.Conv2d(inside, out, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.carry: nn.Module | None = None
        if stride != 1 or inside != out:
            self.carry = nn.Conv2d(inside, out, 3, stride, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, inside, side, side] to [batch, out, side / stride, ...]."""
        y = torch.relu(self.norm1(x))
        if self.carry is not None:
            x = self.carry(y)
        return x + self.conv2(torch.relu(self.norm2(self.conv1(y))))


class Shortcut(nn.Module):
    """Carries a block's input to another width and side without losing its odd pixels.

    One half of the channels is a 1 x 1 convolution of every ``stride``-th pixel, the
    other half one of their lower right neighbours (0 beyond the border); then batch
    norm.
    """

    def __init__(self, inside: int, out: int, stride: int) -> None:
        super().__init__()
        self.here = Projection(inside, out // 2, stride)
        self.next = Projection(inside, out // 2, stride)
        self.norm = nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, inside, side, side] to [batch, out, side / stride, ...]."""
        shifted = F.pad(x, (0, 1, 0, 1))[..., 1:, 1:]
        return self.norm(torch.cat([self.here(x), self.next(shifted)], dim=-3))


class ShakeBlock(nn.Module):
    """Two branches of two convolutions, mixed at random and added to their input."""

    def __init__(self, inside: int, out: int, stride: int) -> None:
        super().__init__()
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
        return self.shortcut(x) + mix(first, second, self.training)


class Bottleneck(nn.Module):
    """Convolutions of side 1, 3 and 1 between batch norms, added to their input.

    The input is averaged over 2 x 2 pixels where the side is halved, and gets channels
    of zeros where the width grows. ``undisturbed`` is the probability that ShakeDrop
    lets the branch pass.
    """

    def __init__(self, inside: int, out: int, stride: int, undisturbed: float) -> None:
        super().__init__()
        width = out // EXPANSION
        self.stride, self.gained = stride, out - inside
        self.undisturbed = undisturbed
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
        """Map [batch, inside, side, side] to [batch, out, side / stride, ...]."""
        y = drop(self.branch(x), self.undisturbed, self.training)
        if self.stride == 2:
            x = F.avg_pool2d(x, 2, ceil_mode=True)
        return y + F.pad(x, (0, 0, 0, 0, 0, self.gained))


def wide_resnet(width: int, blocks: int, channels: int, classes: int) -> Staged:
    """Wide residual network, WRN-(6 blocks + 4), of widths 1, 2 and 4 times ``width``.

    Source: Zagoruyko & Komodakis 2016 (arXiv 1605.07146), table 1.
    """
    order = ("conv", "stages", "norm", "activation")
    return _doubling(order, PreactivationBlock, width, blocks, channels, classes)


def shake_shake(width: int, blocks: int, channels: int, classes: int) -> Staged:
    """Shake-Shake-Image network of 6 blocks + 2 layers; widths as in `wide_resnet`.

    Each image has its own shares, in every block and in each direction. Source:
    Gastaldi 2017 (arXiv 1705.07485).

    Raises
    ------
    ValueError
        If the width is odd.
    """
    if width % 2:
        raise ValueError(f"width is {width}; give an even number.")
    order = ("conv", "norm", "stages", "activation")
    return _doubling(order, ShakeBlock, width, blocks, channels, classes)


def _doubling(
    order: Sequence[str],
    block: Callable[[int, int, int], nn.Module],
    width: int,
    blocks: int,
    channels: int,
    classes: int,
) -> Staged:
    """Three stages of blocks, each twice as wide as the one before."""
    return _start_at_zero(
        Staged(
            order,
            channels,
            classes,
            min(width, 16),
            lambda _, inside, out, stride: block(inside, out, stride),
            stages((width, 2 * width, 4 * width), (blocks,) * 3),
        )
    )


def pyramid_net(
    alpha: int, blocks: int, channels: int, classes: int, stem: int = 16
) -> Staged:
    """PyramidNet of 9 blocks + 2 layers that gains ``alpha`` channels in equal steps.

    Channels are counted in the 3 x 3 convolutions; half a channel goes up. Source: Han,
    Kim & Kim 2017 (arXiv 1610.02915), the additive rule; ShakeDrop of Yamada et al.
    2019 (arXiv 1802.02375).
    """
    total = 3 * blocks
    strides = [stride for _, stride in stages((stem,) * 3, (blocks,) * 3)]
    gained = [(2 * alpha * n + total) // (2 * total) for n in range(1, total + 1)]
    return _start_at_zero(
        Staged(
            ("conv", "first_norm", "stages", "norm", "activation"),
            channels,
            classes,
            stem,
            lambda number, inside, out, stride: Bottleneck(
                inside, out, stride, 1 - number / total * MOST_DROPPED
            ),
            zip([EXPANSION * (stem + n) for n in gained], strides, strict=True),
        )
    )


def _start_at_zero(network: Staged) -> Staged:
    """Draw convolutions from N(0, 2 / fan-in) and set the last layer to 0, in place."""
    start_like_he(network, "fan_in")
    nn.init.zeros_(network.head.weight)
    nn.init.zeros_(network.head.bias)
    return network
