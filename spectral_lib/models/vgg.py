"""VGG with batch norm, in the forms used for images of 32 pixels."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from spectral_lib.models.staged import (
    ACTIVATIONS,
    Activation,
    Start,
    check_choices,
    check_positive,
    mean_of_pixels,
    scaled,
    start_like_he,
)

Head = Literal["linear", "dropout"]


@dataclass(frozen=True)
class VGGSettings:
    """Architecture of a :class:`VGG`; defaults are VGG16's.

    Source: Simonyan & Zisserman 2014, table 1 D; one linear layer in place of three, as
    usual for 32 pixels.

    Attributes
    ----------
    widths
        Channels of the convolutions of each stage; a stage ends in max pooling that
        halves the side.
    channels, classes, activation, start
        As in `ResNetSettings`.
    head
        ``"linear"``: one layer. ``"dropout"``: three, the first two with ``hidden``
        units each, the activation and Dropout of one half.
    hidden
        Units of that head; not used by the linear one.

    Raises
    ------
    ValueError
        If a number is below 1 or a name is unknown.
    """

    widths: tuple[tuple[int, ...], ...] = (
        (64, 64),
        (128, 128),
        (256, 256, 256),
        (512, 512, 512),
        (512, 512, 512),
    )
    channels: int = 3
    classes: int = 10
    activation: Activation = "relu"
    head: Head = "linear"
    hidden: int = 4096
    start: Start = "he"

    def __post_init__(self) -> None:
        least = min(width for stage in self.widths for width in stage)
        check_positive(
            channels=self.channels,
            classes=self.classes,
            hidden=self.hidden,
            widths=least,
        )
        if self.head not in ("linear", "dropout"):
            raise ValueError(f"head is {self.head!r}; use linear or dropout.")
        check_choices(self.activation, self.start)


def vgg11(
    width_factor: float = 1.0, classes: int = 10, channels: int = 3
) -> VGGSettings:
    """VGG11 for images of 32 pixels, with two layers of 4096 units and Dropout.

    ``width_factor`` multiplies the channels of the convolutions. Source: Simonyan &
    Zisserman 2014, table 1 A; Zhang, Xiong & Wu 2021.
    """
    return _named((1, 1, 2, 2, 2), width_factor, classes, channels)


def vgg13(
    width_factor: float = 1.0, classes: int = 10, channels: int = 3
) -> VGGSettings:
    """VGG13, table 1 B; see :func:`vgg11`."""
    return _named((2, 2, 2, 2, 2), width_factor, classes, channels)


def vgg16(
    width_factor: float = 1.0, classes: int = 10, channels: int = 3
) -> VGGSettings:
    """VGG16, table 1 D; see :func:`vgg11`."""
    return _named((2, 2, 3, 3, 3), width_factor, classes, channels)


def _named(
    lengths: tuple[int, ...], width_factor: float, classes: int, channels: int
) -> VGGSettings:
    stages = zip((64, 128, 256, 512, 512), lengths, strict=True)
    widths = tuple((scaled(width, width_factor),) * length for width, length in stages)
    return VGGSettings(widths, channels, classes, head="dropout", start="torch")


class VGG(nn.Module):
    """Maps images [batch, channels, side, side] to logits [batch, classes].

    The head sees the mean over the pixels that are left; at 32 pixels that is one.

    Raises
    ------
    ValueError
        In the forward pass, if the side is below 2 to the number of stages.
    """

    def __init__(self, settings: VGGSettings) -> None:
        super().__init__()
        flat = [settings.channels, *(w for stage in settings.widths for w in stage)]
        self.lengths = tuple(len(stage) for stage in settings.widths)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(flat)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in flat[1:])
        self.activation = ACTIVATIONS[settings.activation]
        self.head = _head(settings, flat[-1])
        if settings.start == "he":
            start_like_he(self)

    def forward(self, x: Tensor) -> Tensor:
        """Classify x [batch, channels, side, side]."""
        least = 2 ** len(self.lengths)
        if min(x.shape[-2:]) < least:
            raise ValueError(
                f"images of {x.shape[-2]} x {x.shape[-1]} pixels are too small for "
                f"{len(self.lengths)} stages, which halve the side each; give at least "
                f"{least} pixels or fewer stages."
            )
        layers = zip(self.convolutions, self.norms, strict=True)
        for length in self.lengths:
            for _ in range(length):
                convolution, norm = next(layers)
                x = self.activation(norm(convolution(x)))
            x = nn.functional.max_pool2d(x, 2)
        return self.head(mean_of_pixels(x))


def _head(settings: VGGSettings, inside: int) -> nn.Module:
    if settings.head == "linear":
        return nn.Linear(inside, settings.classes)
    # Modules, not functions: the activation has to come between the linear layers.
    activation = {"relu": nn.ReLU, "silu": nn.SiLU}[settings.activation]
    layers: list[nn.Module] = []
    for a, b in ((inside, settings.hidden), (settings.hidden, settings.hidden)):
        layers += [nn.Linear(a, b), activation(), nn.Dropout(0.5)]
    return nn.Sequential(*layers, nn.Linear(settings.hidden, settings.classes))
