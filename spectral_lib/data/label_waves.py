"""Labels smoothed by a wave over the space of images: a target of known frequency.

A label y of K classes becomes y (1 - S) + S / K, where S(X), in [0, 1], is a wave of
the image X: radial, in its norm, or along a direction. The published method leaves open
some of what follows; where it does, the public code of Fridovich-Keil et al. 2021 is
followed, and a docstring says so.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from spectral_lib.data.dataset import Augment


@dataclass(frozen=True, eq=False)
class Wave(ABC):
    """A smoothing strength S = A_b (1 + sin(2 pi f (coordinate - phase))) of images.

    Attributes
    ----------
    frequency
        f, in cycles per unit of the coordinate (L2, of scaled images).
    amplitude
        A, the mean of S before it is kept in [0, 1]; 0.5 uses the whole range.
    relative
        Divide A by the mean of 1 + sin over the images given together (a batch, or a
        whole test set), as the public code does; else A_b = A.

    Raises
    ------
    ValueError
        If the frequency is negative or the amplitude not in 0 to 1.
    """

    frequency: float
    amplitude: float = 0.5
    relative: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.frequency < math.inf:
            raise ValueError(f"frequency is {self.frequency}; give a finite one >= 0.")
        if not 0 <= self.amplitude <= 1:
            raise ValueError(f"amplitude is {self.amplitude}; give 0 to 1.")

    @abstractmethod
    def coordinate(self, inputs: Tensor) -> Tensor:
        """The number [batch] of each image [batch, ...] that the wave runs along."""

    def _phase(self) -> float:
        return 0.0

    def unclipped(self, inputs: Tensor) -> Tensor:
        """S [batch] of images [batch, ...] by the formula; it may exceed 1."""
        angle = 2 * math.pi * self.frequency * (self.coordinate(inputs) - self._phase())
        rise = 1 + torch.sin(angle)
        scale = rise.mean() if self.relative else 1.0
        return self.amplitude * rise / scale

    def __call__(self, inputs: Tensor) -> Tensor:
        """S [batch] of images [batch, ...], kept in [0, 1]."""
        return self.unclipped(inputs).clamp(0.0, 1.0)


@dataclass(frozen=True, eq=False)
class RadialWave(Wave):
    """A wave in the L2 norm of the whole image.

    ``phase`` is the norm at which the sine rises through 0: `expected_norm` of the
    number of pixels in the public code, the mean norm of the training images
    (`Images.mean_norm`) in the paper. Source: Fridovich-Keil et al. 2021, Section 3.1.
    """

    phase: float = 0.0

    def coordinate(self, inputs: Tensor) -> Tensor:
        """L2 norm [batch] of images [batch, ...]."""
        return inputs.flatten(1).norm(dim=1)

    def _phase(self) -> float:
        return self.phase


@dataclass(frozen=True, eq=False)
class DirectionalWave(Wave):
    """A wave in the inner product of the image with ``direction``, of its shape.

    The direction has to have L2 norm 1, as `fourier_image` has; nothing is centred.
    Source: Fridovich-Keil et al. 2021, Section 3.3.

    Raises
    ------
    ValueError
        If the norm of the direction is not 1.
    """

    direction: Tensor = field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        norm = float(self.direction.norm())
        if abs(norm - 1) > 1e-3:
            raise ValueError(f"direction has the norm {norm:g}; give one of norm 1.")

    def coordinate(self, inputs: Tensor) -> Tensor:
        """Inner product [batch] of images [batch, ...] with the direction."""
        return inputs.flatten(1) @ self.direction.flatten().to(inputs)


def expected_norm(dimension: int) -> float:
    """Expected L2 norm of a standard normal vector; 55.4211 for 3 x 32 x 32 pixels."""
    half = dimension / 2
    return math.sqrt(2) * math.exp(math.lgamma(half + 0.5) - math.lgamma(half))


def fourier_image(k: float, channels: int, side: int) -> Tensor:
    """A diagonal Fourier basis image [channels, side, side] of L2 norm 1.

    One pair of conjugate coefficients, 1/2 + i/2 at row and column offset o from the
    constant and 1/2 - i/2 at -o, with o = int(k / sqrt(2)): k is the length of (o, o)
    before rounding down, so any k below sqrt(2) gives the constant image. All channels
    are the same. Source: the public code of Fridovich-Keil et al. 2021; Figure 4.

    Raises
    ------
    ValueError
        If the offset is not 0 to half of the side, the Nyquist frequency.
    """
    # A hair more, so that k = o sqrt(2) is not rounded down to o - 1.
    offset = math.floor(k / math.sqrt(2) + 1e-9)
    if not 0 <= offset <= side // 2:
        raise ValueError(
            f"k is {k}; with {side} pixels a side give 0 to {side / math.sqrt(2):.4g}."
        )
    steps = torch.arange(side, dtype=torch.float64)
    angle = 2 * math.pi * offset / side * (steps[:, None] + steps)
    image = (torch.cos(angle) - torch.sin(angle)).expand(channels, side, side)
    return (image / image.norm()).float()


def frequency_for(cycles: float, coordinate: Tensor) -> float:
    """Frequency f that makes f times the standard deviation of a coordinate ``cycles``.

    ``coordinate`` [images] is `Wave.coordinate` of the training images. At equal f a
    direction in which images vary more sees more cycles; this holds them fixed.

    Raises
    ------
    ValueError
        If the coordinate does not vary.
    """
    deviation = float(coordinate.double().std())
    if not deviation > 0:
        raise ValueError(
            "the coordinate is the same for all images; choose another direction."
        )
    return cycles / deviation


def share_outside(strength: Tensor) -> float:
    """Share of the images whose S [...] (`Wave.unclipped`) is not within 0 and 1."""
    return float(((strength < 0) | (strength > 1)).double().mean())


def smoothed(targets: Tensor, strength: Tensor, classes: int) -> Tensor:
    """Probabilities y (1 - S) + S / K [..., K] of labels and strengths S [...].

    Targets are class indices [...] or probabilities [..., K]; K is ``classes``.
    Source: the public code of Fridovich-Keil et al. 2021 (the paper's text lacks an S).

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


def shuffle_strength(strength: Tensor, seed: int) -> Tensor:
    """The strengths S [images] of a fixed set, each moved to another random image.

    A negative control: the set of numbers is the same, its relation to the images gone.
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(strength), generator=generator)
    return strength[order.to(strength.device)]


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
