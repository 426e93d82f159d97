"""VGG16 with batch norm, in the form used for images of 32 pixels."""

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn

from spectral_lib.models.resnet import (
    ACTIVATIONS,
    Activation,
    check_activation,
    start_like_he,
)


@dataclass(frozen=True)
class VGGSettings:
    """Architecture of a :class:`VGG`; defaults are VGG16's.

    ``widths`` holds the channels of the convolutions of each stage; a stage ends in
    max pooling that halves the side. Source: Simonyan & Zisserman 2014, table 1 D; one
    linear layer in place of three, as usual for 32 pixels.

    Raises
    ------
    ValueError
        If the activation is unknown.
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

    def __post_init__(self) -> None:
        check_activation(self.activation)


class VGG(nn.Module):
    """Maps images [batch, channels, side, side] to logits [batch, classes].

    The side must be at least 2 to the number of stages.
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
        self.head = nn.Linear(flat[-1], settings.classes)
        start_like_he(self)

    def forward(self, x: Tensor) -> Tensor:
        """Classify x [batch, channels, side, side]."""
        layers = zip(self.convolutions, self.norms, strict=True)
        for length in self.lengths:
            for _ in range(length):
                convolution, norm = next(layers)
                x = self.activation(norm(convolution(x)))
            x = nn.functional.max_pool2d(x, 2)
        return self.head(x.mean((-2, -1)))
