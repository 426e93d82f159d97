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


def decode(
    pixels: Tensor,
    scaling: Scaling,
    *,
    white: int = 255,
    side: int | None = None,
    margin: int = 0,
) -> Tensor:
    """Bytes [examples, channels, side, side] as scaled inputs in float32.

    Parameters
    ----------
    white
        What a pixel of 1 is stored as.
    side
        Resize to so many pixels; None leaves the size.
    margin
        Zeros added around the scaled image.
    """
    inputs = pixels.to(torch.float32, copy=True).div_(white)
    inputs = inputs if side is None else resize(inputs, side)
    inputs = scaling.apply(inputs)
    return F.pad(inputs, [margin] * 4) if margin else inputs


def resize(images: Tensor, side: int) -> Tensor:
    """Images [batch, channels, side, side] at another side, bilinear, antialiased."""
    return F.interpolate(images, (side, side), mode="bilinear", antialias=True)


def _column(numbers: tuple[float, ...], like: Tensor) -> Tensor:
    return torch.tensor(numbers, dtype=like.dtype, device=like.device)[:, None, None]
