"""Image classifiers by name: the six of one paper, and small ones for small images."""

from collections.abc import Callable

from torch import nn

from spectral_lib.models.mlp import MLP
from spectral_lib.models.staged import start_like_he
from spectral_lib.models.vgg import VGG, VGGSettings
from spectral_lib.models.wide_networks import pyramid_net, shake_shake, wide_resnet

PUBLISHED = {
    "wrn_32": ("wrn", 32),
    "wrn_160": ("wrn", 160),
    "shake_shake_32": ("shake", 32),
    "shake_shake_96": ("shake", 96),
    "shake_shake_112": ("shake", 112),
    "pyramid_net": ("pyramid", 200),
}
"""Family and width of the six networks of Fridovich-Keil et al. 2021."""

FAMILIES = ("mlp", "cnn", "wrn", "shake", "pyramid")
"""Families that take a width, as in "wrn 8"."""


def classifier(name: str, channels: int, side: int, classes: int) -> nn.Module:
    """Build a network that maps images [batch, channels, side, side] to logits.

    Its last layer starts at 0, so that all classes are equally likely before training.

    Parameters
    ----------
    name
        One of `PUBLISHED`; "linear"; or a family and a width: "mlp 256" has one hidden
        layer of 256 units, "cnn 8" three convolutions of 8, 16 and 32 channels with
        batch norm and pooling, "wrn 8" and "shake 8" one block a stage of 8, 16 and 32
        channels, "pyramid 12" three bottlenecks that gain 12 channels.
    channels, side, classes
        Of the images, their pixels a side, and of the logits.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    family, width = parse(name)
    blocks = 4 if name in PUBLISHED else 1
    match family:
        case "linear":
            head = nn.Linear(channels * side**2, classes)
            return nn.Sequential(nn.Flatten(), _start_at_zero(head))
        case "mlp":
            mlp = MLP([channels * side**2, width, classes])
            _start_at_zero(mlp.layers[-1])
            return mlp
        case "cnn":
            widths = ((width,), (2 * width,), (4 * width,))
            vgg = VGG(VGGSettings(widths, channels, classes))
            start_like_he(vgg, "fan_in")
            _start_at_zero(vgg.head)
            return vgg
        case "wrn":
            return wide_resnet(width, blocks, channels, classes)
        case "shake":
            return shake_shake(width, blocks, channels, classes)
    blocks, stem = (30, 16) if name in PUBLISHED else (1, 4)
    return pyramid_net(width, blocks, channels, classes, stem)


def builder(
    name: str, channels: int, side: int, classes: int
) -> Callable[[], nn.Module]:
    """`classifier` without its arguments, for `training.ensemble.initialise`.

    Raises
    ------
    ValueError
        If the name is unknown, at once.
    """
    parse(name)
    return lambda: classifier(name, channels, side, classes)


def parse(name: str) -> tuple[str, int]:
    """Family and width of a network's name; the width of "linear" is 0.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    if name == "linear":
        return "linear", 0
    if name in PUBLISHED:
        return PUBLISHED[name]
    family, _, width = name.partition(" ")
    if family in FAMILIES and width.isdecimal() and int(width) > 0:
        return family, int(width)
    raise ValueError(
        f"network is {name!r}; give linear, {', '.join(PUBLISHED)}, or one of "
        f"{', '.join(FAMILIES)} with a width, such as 'wrn 8'."
    )


def stacks(name: str) -> bool:
    """Whether replicas train faster stacked on a CPU: fully connected ones do."""
    return parse(name)[0] in ("linear", "mlp")


def _start_at_zero(layer: nn.Module) -> nn.Module:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer
