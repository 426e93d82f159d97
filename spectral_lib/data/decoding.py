"""From pixels to inputs: bytes become numbers, which are resized, scaled and padded."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Scaling:
    """Pixels in [0, 1] become (pixel - mean) / deviation; one number a channel, or one.

    ``Scaling()`` leaves them in [0, 1].
    """

    mean: tuple[float, ...] = (0.0,)
    deviation: tuple[float, ...] = (1.0,)

    def apply(self, pixels: Tensor) -> Tensor:
        """Scale pixels [..., channels, side, side] in [0, 1]."""
        return (pixels - _column(self.mean, pixels)) / _column(self.deviation, pixels)

    def undo(self, images: Tensor) -> Tensor:
        """Pixels in [0, 1] of scaled images [..., channels, side, side]."""
        return images * _column(self.deviation, images) + _column(self.mean, images)


def decode(stored: Tensor, scaling: Scaling, side: int | None = None) -> Tensor:
    """Bytes [images, channels, height, width] as scaled float32, of 32 pixels or more.

    Smaller images get a margin of zeros around the scaled image; with ``side`` they are
    resized instead, before they are scaled.
    """
    pixels = stored.float() / 255
    if side is not None:
        return scaling.apply(resize(pixels, side))
    margin = max(0, 32 - pixels.shape[-1]) // 2
    return F.pad(scaling.apply(pixels), [margin] * 4)


def resize(images: Tensor, side: int) -> Tensor:
    """Images [batch, channels, side, side] at another side, bilinear, antialiased."""
    return F.interpolate(images, (side, side), mode="bilinear", antialias=True)


def _column(numbers: tuple[float, ...], like: Tensor) -> Tensor:
    return torch.tensor(numbers, dtype=like.dtype, device=like.device)[:, None, None]
