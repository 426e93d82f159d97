"""Residual networks in the form used for small images."""

from dataclasses import dataclass

from torch import Tensor, nn

from spectral_lib.models.staged import (
    ACTIVATIONS,
    Activation,
    Projection,
    Staged,
    Start,
    check_choices,
    check_positive,
    scaled,
    stages,
    start_like_he,
)


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
        if len(self.stage_blocks) != len(self.widths):
            raise ValueError(
                f"blocks is {self.blocks} and widths {self.widths}; give one number of "
                "blocks, or one for each width."
            )
        stages(self.widths, self.stage_blocks)
        stem = self.widths[0] if self.stem is None else self.stem
        check_positive(channels=self.channels, classes=self.classes, stem=stem)
        check_choices(self.activation, self.start)

    @property
    def stage_blocks(self) -> tuple[int, ...]:
        """Blocks of each stage."""
        if isinstance(self.blocks, int):
            return (self.blocks,) * len(self.widths)
        return tuple(self.blocks)


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
            carry = Projection(inside, out, stride)
            self.shortcut = nn.Sequential(carry, nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, inside, side, side] to [batch, out, side / stride, ...]."""
        y = self.activation(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        return self.activation(y + self.shortcut(x) if self.skip else y)


class ResNet(Staged):
    """A convolution with batch norm, then stages of :class:`Block`."""

    def __init__(self, settings: ResNetSettings) -> None:
        s = settings
        super().__init__(
            ("conv", "norm", "activation", "stages"),
            s.channels,
            s.classes,
            s.widths[0] if s.stem is None else s.stem,
            lambda _, inside, out, stride: Block(
                inside, out, stride, s.activation, s.skip
            ),
            stages(s.widths, s.stage_blocks),
            ACTIVATIONS[s.activation],
        )
        if s.start == "he":
            start_like_he(self)
