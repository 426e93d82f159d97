"""From pixels to inputs: bytes become numbers, which are resized, scaled and padded."""

from dataclasses import dataclass, replace

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


@dataclass(frozen=True)
class Decode:
    """Bytes [batch, channels, side, side] become scaled inputs in float32.

    Attributes
    ----------
    mean, deviation
        [channels, 1, 1], on the device of the bytes: a tensor made of numbers at each
        batch would have to wait for the device.
    white
        What a pixel of 1 is stored as.
    side
        Resize to so many pixels; None leaves the size.
    margin
        Zeros added around the scaled image.
    """

    mean: Tensor
    deviation: Tensor
    white: int = 255
    side: int | None = None
    margin: int = 0

    @classmethod
    def by(
        cls,
        scaling: Scaling,
        *,
        white: int = 255,
        side: int | None = None,
        margin: int = 0,
    ) -> "Decode":
        """With the numbers of a scaling, on the CPU."""
        like = torch.empty(0)
        mean, deviation = _column(scaling.mean, like), _column(scaling.deviation, like)
        return cls(mean, deviation, white, side, margin)

    def __call__(self, stored: Tensor) -> Tensor:
        """Inputs of stored bytes."""
        inputs = stored.to(torch.float32, copy=True).div_(self.white)
        inputs = inputs if self.side is None else resize(inputs, self.side)
        inputs = inputs.sub_(self.mean).div_(self.deviation)
        return F.pad(inputs, [self.margin] * 4) if self.margin else inputs

    def to(self, device: torch.device | str) -> "Decode":
        """The same on another device."""
        mean, deviation = self.mean.to(device), self.deviation.to(device)
        return replace(self, mean=mean, deviation=deviation)


def resize(images: Tensor, side: int) -> Tensor:
    """Images [batch, channels, side, side] at another side, bilinear, antialiased."""
    return F.interpolate(images, (side, side), mode="bilinear", antialias=True)


def _column(numbers: tuple[float, ...], like: Tensor) -> Tensor:
    return torch.tensor(numbers, dtype=like.dtype, device=like.device)[:, None, None]
