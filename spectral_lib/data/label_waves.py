"""Labels smoothed by a wave over the space of images: a target of known frequency.

A label y of K classes becomes y (1 - S) + S / K, where S(X), in [0, 1], is a wave of
the image X: radial, in its norm, or along a direction. The published method leaves open
some of what follows; where it does, the public code of Fridovich-Keil et al. 2021 is
followed, and a docstring says so.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from spectral_lib.data.dataset import Augment


@dataclass(frozen=True, eq=False)
class Wave:
    """A smoothing strength S = A_b (1 + sin(2 pi f (coordinate - phase))) of images.

    Source: Fridovich-Keil et al. 2021, Sections 3.1 (norm) and 3.3 (direction).

    Attributes
    ----------
    frequency
        f, in cycles per unit of the coordinate (L2, of scaled images).
    amplitude
        A, the mean of S before it is kept in [0, 1]; 0.5 uses the whole range.
    phase
        Coordinate at which the sine rises through 0: for the norm, the mean norm of the
        training images (`Images.mean_norm`) in the paper, in its public code that of
        white noise.
    direction
        A tensor of an image's shape and of L2 norm 1: the coordinate is the inner
        product with it, nothing centred. None: the coordinate is the L2 norm.
    relative
        Divide A by the mean of 1 + sin over the images given together (a batch, or a
        whole test set), as the public code does; else A_b = A.

    Raises
    ------
    ValueError
        If the frequency is negative or not finite, the amplitude not in 0 to 1, or the
        direction's norm not 1.
    """

    frequency: float
    amplitude: float = 0.5
    phase: float = 0.0
    direction: Tensor | None = None
    relative: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.frequency < math.inf:
            raise ValueError(f"frequency is {self.frequency}; give a finite one >= 0.")
        if not 0 <= self.amplitude <= 1:
            raise ValueError(f"amplitude is {self.amplitude}; give 0 to 1.")
        if self.direction is not None and abs(self.direction.norm() - 1) > 1e-3:
            norm = float(self.direction.norm())
            raise ValueError(f"direction has the norm {norm:g}; give one of norm 1.")

    def coordinate(self, inputs: Tensor) -> Tensor:
        """The number [batch] of each image [batch, ...] that the wave runs along."""
        rows = inputs.flatten(1)
        if self.direction is None:
            return rows.norm(dim=1)
        return rows @ self.direction.flatten().to(rows)

    def __call__(self, inputs: Tensor) -> Tensor:
        """S [batch] of images [batch, ...], kept in [0, 1]."""
        angle = 2 * math.pi * self.frequency * (self.coordinate(inputs) - self.phase)
        rise = 1 + torch.sin(angle)
        scale = rise.mean() if self.relative else 1.0
        return (self.amplitude * rise / scale).clamp(0.0, 1.0)


def fourier_image(offset: int, side: int, channels: int = 1) -> Tensor:
    """A diagonal Fourier image [channels, side, side] of L2 norm 1, alike in channels.

    cos t - sin t at t = 2 pi ``offset`` (row + column) / ``side``; offset 0 is
    constant. Source: the public code of Fridovich-Keil et al. 2021.
    """
    place = torch.arange(side, dtype=torch.float64)
    angle = 2 * math.pi * offset / side * (place[:, None] + place)
    image = (angle.cos() - angle.sin()).repeat(channels, 1, 1)
    return (image / image.norm()).float()


def smoothed(targets: Tensor, strength: Tensor, classes: int) -> Tensor:
    """Probabilities y (1 - S) + S / K [..., K] of labels and strengths S [...].

    Targets are class indices [...] or probabilities [..., K]; K is ``classes``.
    Source: the public code of Fridovich-Keil et al. 2021 (the paper's text lacks an S).

    >>> smoothed(torch.tensor([1]), torch.tensor([0.5]), classes=4)
    tensor([[0.1250, 0.6250, 0.1250, 0.1250]])

    Raises
    ------
    ValueError
        If the shapes do not fit.
    """
    probabilities = as_probabilities(targets, classes)
    if probabilities.shape[:-1] != strength.shape:
        raise ValueError(
            f"targets have shape {tuple(targets.shape)} and S "
            f"{tuple(strength.shape)}; give one S an image."
        )
    s = strength[..., None]
    return probabilities.to(s.dtype) * (1 - s) + s / classes


def smooth_labels(wave: Wave, classes: int, *, shuffled: bool = False) -> Augment:
    """Smooth the labels of each batch by a wave of its images as they then are.

    Put it last in `compose`, after what changes images; the mean that A is divided by
    is that of the batch, for each replica by itself. With ``shuffled`` the strengths
    are dealt out anew over the images of the batch: the same numbers, but nothing to be
    learned, the negative control.
    """

    def augment(
        inputs: Tensor, targets: Tensor, generators: Sequence[torch.Generator]
    ) -> tuple[Tensor, Tensor]:
        strength = torch.stack([wave(images) for images in inputs])
        if shuffled:
            rows = [torch.randperm(inputs.shape[1], generator=g) for g in generators]
            strength = strength.gather(1, torch.stack(rows).to(strength.device))
        return inputs, smoothed(targets, strength, classes)

    return augment


def as_probabilities(targets: Tensor, classes: int) -> Tensor:
    """Class indices [...] as one-hot float32 rows [..., classes]; probabilities as is.

    Raises
    ------
    ValueError
        If probabilities are not for ``classes`` classes.
    """
    if not targets.is_floating_point():
        return F.one_hot(targets, classes).float()
    if targets.shape[-1] != classes:
        raise ValueError(
            f"targets are probabilities of {targets.shape[-1]} classes; classes is "
            f"{classes}."
        )
    return targets
