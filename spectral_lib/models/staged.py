"""One builder for convolutional networks of small images, in stages that halve them."""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

Activation = Literal["relu", "silu"]
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "silu": F.silu}
"""ReLU, and SiLU: the Swish ``x sigmoid(beta x)`` with beta 1."""

Start = Literal["he", "torch"]
MakeBlock = Callable[[int, int, int, int], nn.Module]
"""A block from its number, counted from 1, channels in and out, and stride."""


class Projection(nn.Conv2d):
    """A 1 x 1 convolution of every ``stride``-th pixel, without bias.

    With channels last it is a product with the rows of these pixels: 0.5 to 0.9 of the
    time of torch's strided convolution, whose gradient by the weights writes beyond its
    memory there for large images (2.13, on a CPU with AVX-512).
    """

    def __init__(self, inside: int, out: int, stride: int) -> None:
        super().__init__(inside, out, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, inside, side, side] to [batch, out, side / stride, ...]."""
        if x.stride(-3) != 1:
            return super().forward(x)
        step = self.stride[0]
        picked = x.movedim(-3, -1)[..., ::step, ::step, :]
        return F.linear(picked, self.weight.flatten(1)).movedim(-1, -3)


class Staged(nn.Module):
    """Maps images [batch, channels, side, side] to logits [batch, classes].

    Layers in the given order, the mean over pixels, and a linear layer, ``head``.
    The order names them: ``"conv"``, a 3 x 3 convolution to ``stem`` channels without
    bias; ``"stages"``, all blocks; ``"activation"``; by any other name a batch norm.
    The plan holds channels out and stride of each block, as `stages` makes them.
    """

    def __init__(
        self,
        order: Sequence[str],
        channels: int,
        classes: int,
        stem: int,
        block: MakeBlock,
        plan: Iterable[tuple[int, int]],
        activation: Callable[[Tensor], Tensor] = F.relu,
    ) -> None:
        super().__init__()
        self.order, self.activation = tuple(order), activation
        width = stem
        for name in order:
            if name == "conv":
                self.conv = nn.Conv2d(channels, stem, 3, padding=1, bias=False)
            elif name == "stages":
                self.stages = nn.Sequential()
                for number, (out, stride) in enumerate(plan, 1):
                    self.stages.append(block(number, width, out, stride))
                    width = out
            elif name != "activation":
                self.add_module(name, nn.BatchNorm2d(width))
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Classify x [batch, channels, side, side]."""
        for name in self.order:
            x = getattr(self, name)(x)
        return self.head(mean_of_pixels(x))


def mean_of_pixels(x: Tensor) -> Tensor:
    """Mean of x [batch, channels, side, side] over its pixels, [batch, channels].

    The gradient lies in memory as x does; torch's own has channels first, and what
    mixes the two orders is slow: 1 of 36 ms of a step of "wrn 16" with 32 pixels.
    """
    if x.stride(-3) == 1:
        return x.movedim(-3, -1).flatten(-3, -2).mean(-2)
    return x.mean((-2, -1))


def stages(widths: Sequence[int], blocks: Sequence[int]) -> list[tuple[int, int]]:
    """Channels out and stride of each block; all stages but the first halve the side.

    Raises
    ------
    ValueError
        If a width or a number of blocks is below 1.
    """
    check_positive(widths=min(widths), blocks=min(blocks))
    return [
        (width, 2 if stage and not block else 1)
        for stage, (width, count) in enumerate(zip(widths, blocks, strict=True))
        for block in range(count)
    ]


def start_like_he(
    network: nn.Module, fan: Literal["fan_in", "fan_out"] = "fan_out"
) -> None:
    """Draw all convolutions from He's normal distribution, N(0, 2 / fan), in place."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode=fan, nonlinearity="relu")


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


def check_positive(**numbers: int) -> None:
    """Raise ValueError if a number is below 1."""
    for name, number in numbers.items():
        if number < 1:
            raise ValueError(f"{name} has {number}, below 1; give at least 1.")


def check_choices(activation: str, start: str) -> None:
    """Raise ValueError unless activation and initialization are known."""
    if activation not in ACTIVATIONS:
        raise ValueError(
            f"activation is {activation!r}; use {' or '.join(ACTIVATIONS)}."
        )
    if start not in ("he", "torch"):
        raise ValueError(f"start is {start!r}; use he or torch.")
