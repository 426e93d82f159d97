"""Random changes of a batch of images, on its device.

Inputs are [R, batch, channels, side, side]. Replica r draws from generator r alone, so
replicas of equal seed see the same images, whatever the others do. What is drawn are a
few numbers an image, on the CPU; they go to the device in one piece for all replicas,
and nothing here waits for the device.
"""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from scipy import special
from torch import Tensor

from spectral_lib.data.dataset import Augment, send
from spectral_lib.data.label_waves import as_probabilities


def crop_and_flip(padding: int = 4) -> Augment:
    """Shift images by up to ``padding`` pixels at random, and mirror every second one.

    What comes in is 0. Source: the public codes of Sun et al. 2022, Fridovich-Keil et
    al. 2021 and Zhang et al. 2021.

    Raises
    ------
    ValueError
        If ``padding`` is negative.
    """
    if padding < 0:
        raise ValueError(f"padding is {padding}; give 0 pixels or more.")

    def draw(batch: int, side: int, generator: torch.Generator) -> Tensor:
        shifts = torch.randint(2 * padding + 1, (2, batch), generator=generator)
        rows, columns = shifts[:, :, None] + torch.arange(side)
        mirrored = torch.rand(batch, generator=generator) < 0.5
        columns = torch.where(mirrored[:, None], columns.flip(1), columns)
        return torch.stack([rows, columns], 1)

    def change(x: Tensor, pixels: Tensor) -> Tensor:
        padded = F.pad(x, [padding] * 4)
        which = torch.arange(len(x), device=x.device)[:, None, None]
        rows, columns = pixels[:, 0, :, None], pixels[:, 1, None, :]
        return padded[which, :, rows, columns].permute(0, 3, 1, 2)

    return _on_inputs(draw, change)


def cutout(size: int = 16) -> Augment:
    """Set a square to 0 around a random pixel; it is cut off at the image's border.

    ``size`` is the side in pixels; the square reaches from size // 2 pixels before its
    centre to size - size // 2 - 1 behind. Source: DeVries & Taylor 2017, with the size
    of the public code of Fridovich-Keil et al. 2021.

    Raises
    ------
    ValueError
        If ``size`` is negative.
    """
    if size < 0:
        raise ValueError(f"size is {size}; give 0 pixels or more.")

    def draw(batch: int, side: int, generator: torch.Generator) -> Tensor:
        return torch.randint(side, (2, batch, 1), generator=generator).transpose(0, 1)

    def change(x: Tensor, centres: Tensor) -> Tensor:
        offset = torch.arange(x.shape[-1], device=x.device) - centres + size // 2
        rows, columns = ((offset >= 0) & (offset < size)).unbind(1)
        hidden = rows[:, :, None] & columns[:, None, :]
        return x.masked_fill(hidden[:, None], 0.0)

    return _on_inputs(draw, change)


def mixup(alpha: float, classes: int) -> Augment:
    """Mix each image and label with those of a random partner in the batch.

    One weight a batch (and replica), drawn from Beta(alpha, alpha); 0 leaves the images
    alone, infinity is the mean of two. Targets become probabilities [R, batch,
    classes]. Source: Zhang et al. 2018 in the form of Fridovich-Keil et al. 2021.

    Raises
    ------
    ValueError
        If ``alpha`` is negative.
    """
    if not alpha >= 0:
        raise ValueError(f"alpha is {alpha}; give 0 or more.")

    def augment(
        inputs: Tensor, targets: Tensor, generators: Sequence[torch.Generator]
    ) -> tuple[Tensor, Tensor]:
        batch = inputs.shape[1]
        weights = torch.tensor([_beta(alpha, g) for g in generators])
        partners = torch.stack([torch.randperm(batch, generator=g) for g in generators])
        weights = send(weights, inputs.device)
        partners = send(partners, inputs.device)
        which = torch.arange(len(inputs), device=inputs.device)[:, None]

        def mix(x: Tensor) -> Tensor:
            weight = weights.to(x).view(-1, *[1] * (x.ndim - 1))
            return weight * x + (1 - weight) * x[which, partners]

        labels = as_probabilities(targets, classes).to(inputs.dtype)
        return mix(inputs), mix(labels)

    return augment


Draw = Callable[[int, int, torch.Generator], Tensor]
"""What happens to a batch of images of a side: numbers [batch, ...] on the CPU."""


def _on_inputs(draw: Draw, change: Callable[[Tensor, Tensor], Tensor]) -> Augment:
    """Draw for each replica, change the images of all at once, and leave the targets.

    ``change`` gets images [images, ...] and their draws [images, ...].
    """

    def augment(
        inputs: Tensor, targets: Tensor, generators: Sequence[torch.Generator]
    ) -> tuple[Tensor, Tensor]:
        batch, side = inputs.shape[1], inputs.shape[-1]
        pairs = zip(inputs, generators, strict=True)
        draws = torch.cat([draw(batch, side, g) for _, g in pairs])
        changed = change(inputs.flatten(0, 1), send(draws, inputs.device))
        return changed.unflatten(0, inputs.shape[:2]), targets

    return augment


def _beta(alpha: float, generator: torch.Generator) -> float:
    """A draw from Beta(alpha, alpha), by inversion of its distribution function."""
    u = float(torch.rand((), generator=generator, dtype=torch.float64))
    if alpha == 0:
        return float(u < 0.5)
    if alpha == math.inf:
        return 0.5
    return float(special.betaincinv(alpha, alpha, u))
