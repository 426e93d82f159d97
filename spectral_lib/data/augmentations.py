"""Random changes of a batch of images, on its device.

Inputs are [R, batch, channels, side, side]. Replica r draws from generator r alone, so
replicas of equal seed see the same images, whatever the others do.
"""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from scipy import special
from torch import Tensor

from spectral_lib.data.dataset import Augment
from spectral_lib.data.label_waves import as_probabilities


def flip() -> Augment:
    """Mirror every second image left to right, at random."""

    def change(x: Tensor, generator: torch.Generator) -> Tensor:
        mirrored = torch.rand(len(x), generator=generator) < 0.5
        return torch.where(mirrored.to(x.device)[:, None, None, None], x.flip(-1), x)

    return _on_inputs(change)


def crop(padding: int = 4) -> Augment:
    """Shift images by up to ``padding`` pixels at random; what comes in is 0.

    Raises
    ------
    ValueError
        If ``padding`` is negative.
    """
    return _shifts(padding, mirror=False)


def crop_and_flip(padding: int = 4) -> Augment:
    """Shift images by up to ``padding`` pixels at random, and mirror every second one.

    What comes in is 0. Source: the public codes of Sun et al. 2022, Fridovich-Keil et
    al. 2021 and Zhang et al. 2021.

    Raises
    ------
    ValueError
        If ``padding`` is negative.
    """
    return _shifts(padding, mirror=True)


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

    def change(x: Tensor, generator: torch.Generator) -> Tensor:
        side = x.shape[-1]
        centres = torch.randint(side, (2, len(x), 1), generator=generator)
        offset = torch.arange(side) - centres + size // 2
        rows, columns = ((offset >= 0) & (offset < size)).to(x.device)
        hidden = rows[:, :, None] & columns[:, None, :]
        return x.masked_fill(hidden[:, None], 0.0)

    return _on_inputs(change)


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
        partners = partners.to(inputs.device)
        which = torch.arange(len(inputs), device=inputs.device)[:, None]

        def mix(x: Tensor) -> Tensor:
            weight = weights.to(x).view(-1, *[1] * (x.ndim - 1))
            return weight * x + (1 - weight) * x[which, partners]

        labels = as_probabilities(targets, classes).to(inputs.dtype)
        return mix(inputs), mix(labels)

    return augment


def policy_and_crop(
    policy: Augment, padding: int = 4, *, discarded: bool = False
) -> Augment:
    """Apply a policy (`policies`), then shift and mirror; or as a public pipeline does.

    With ``discarded`` the shift and the mirror start from the image as it was before
    the policy, whose result is thus lost: so does the data pipeline of the public code
    of Fridovich-Keil et al. 2021. Both forms draw the same random numbers, so a replica
    sees the same shifts in both.
    """
    shift = crop_and_flip(padding)

    def augment(
        inputs: Tensor, targets: Tensor, generators: Sequence[torch.Generator]
    ) -> tuple[Tensor, Tensor]:
        changed, new_targets = policy(inputs, targets, generators)
        return shift(inputs if discarded else changed, new_targets, generators)

    return augment


def _on_inputs(change: Callable[[Tensor, torch.Generator], Tensor]) -> Augment:
    """Change the images [batch, ...] of each replica and leave the targets."""

    def augment(
        inputs: Tensor, targets: Tensor, generators: Sequence[torch.Generator]
    ) -> tuple[Tensor, Tensor]:
        pairs = zip(inputs, generators, strict=True)
        return torch.stack([change(x, g) for x, g in pairs]), targets

    return augment


def _shifts(padding: int, mirror: bool) -> Augment:
    if padding < 0:
        raise ValueError(f"padding is {padding}; give 0 pixels or more.")

    def change(x: Tensor, generator: torch.Generator) -> Tensor:
        batch, side = len(x), x.shape[-1]
        shifts = torch.randint(2 * padding + 1, (2, batch), generator=generator)
        rows, columns = shifts[:, :, None] + torch.arange(side)
        if mirror:
            mirrored = torch.rand(batch, generator=generator) < 0.5
            columns = torch.where(mirrored[:, None], columns.flip(1), columns)
        padded = F.pad(x, [padding] * 4)
        which = torch.arange(batch, device=x.device)[:, None, None]
        rows, columns = rows[:, :, None].to(x.device), columns[:, None, :].to(x.device)
        return padded[which, :, rows, columns].permute(0, 3, 1, 2)

    return _on_inputs(change)


def _beta(alpha: float, generator: torch.Generator) -> float:
    """A draw from Beta(alpha, alpha), by inversion of its distribution function."""
    u = float(torch.rand((), generator=generator, dtype=torch.float64))
    if alpha == 0:
        return float(u < 0.5)
    if alpha == math.inf:
        return 0.5
    return float(special.betaincinv(alpha, alpha, u))
