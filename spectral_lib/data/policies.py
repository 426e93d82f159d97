"""RandAugment and AutoAugment: policies of image operations, a fresh draw an image.

The operations are kornia's, on pixels in [0, 1] rounded to bytes, each applied at once
to all images of the batch, of all replicas, that drew it. As in `augmentations`, the
replicas' own generators draw on the CPU. Images of one channel are as good as those of
three: "color" leaves grey as it is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from kornia import enhance
from kornia.augmentation.auto.autoaugment import autoaugment
from kornia.geometry import transform
from torch import Tensor

from spectral_lib.data.dataset import Augment, send
from spectral_lib.data.decoding import Scaling

LEVELS = 10.0
"""The strongest magnitude."""

OPERATIONS = (
    "identity",
    "auto_contrast",
    "equalize",
    "rotate",
    "solarize",
    "color",
    "posterize",
    "contrast",
    "brightness",
    "sharpness",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
    "invert",
)
"""Names of all operations; RandAugment takes all but "invert"."""


@dataclass(frozen=True)
class _Draw:
    """What happens to each image: operation, magnitude and sign [images, steps]."""

    operation: Tensor
    magnitude: Tensor
    sign: Tensor


def rand_augment(
    scaling: Scaling, operations: int = 3, magnitude: float = 4.0
) -> Augment:
    """Apply to each image so many operations of equal magnitude, drawn at random.

    The fourteen operations of the paper are drawn with replacement, each applied for
    sure; magnitudes 0 to 10 mean what `apply_operation` says. ``scaling`` is that of
    the images. Source: Cubuk et al. 2020; 3 and 4 are the settings of Fridovich-Keil et
    al. 2021 in their public code.

    Raises
    ------
    ValueError
        If ``operations`` is negative or the magnitude not 0 to 10.
    """
    if operations < 0:
        raise ValueError(f"operations is {operations}; give 0 or more.")
    if not 0 <= magnitude <= LEVELS:
        raise ValueError(f"magnitude is {magnitude}; give 0 to {LEVELS:g}.")
    kinds = OPERATIONS.index("invert")

    def draw(batch: int, generator: torch.Generator) -> _Draw:
        shape = (batch, operations)
        return _Draw(
            torch.randint(kinds, shape, generator=generator),
            torch.full(shape, float(magnitude)),
            _signs(shape, generator),
        )

    return _policy(draw, scaling)


def auto_augment(scaling: Scaling) -> Augment:
    """Apply to each image one of the 25 pairs of operations found for CIFAR-10.

    Each operation of a pair has its probability and magnitude; the table is kornia's,
    magnitudes mean what `apply_operation` says. ``scaling`` is that of the images.
    Source: Cubuk et al. 2019.
    """
    pairs = autoaugment.cifar10_policy
    names = torch.tensor([[OPERATIONS.index(op[0]) for op in pair] for pair in pairs])
    chances = torch.tensor([[op[1] for op in pair] for pair in pairs])
    levels = torch.tensor([[float(op[2] or 0) for op in pair] for pair in pairs])

    def draw(batch: int, generator: torch.Generator) -> _Draw:
        which = torch.randint(len(pairs), (batch,), generator=generator)
        happens = torch.rand(batch, 2, generator=generator) < chances[which]
        identity = torch.tensor(OPERATIONS.index("identity"))
        return _Draw(
            torch.where(happens, names[which], identity),
            levels[which],
            _signs((batch, 2), generator),
        )

    return _policy(draw, scaling)


def apply_operation(name: str, x: Tensor, magnitude: Tensor, sign: Tensor) -> Tensor:
    """Apply an operation to images [n, channels, side, side] in [0, 1].

    ``magnitude`` [n], in 0 to 10, and ``sign`` [n], -1 or 1, mean: rotate by up to 30
    degrees, shear by up to 0.3, translate by up to 10/32 of the side, each with the
    sign; solarize bytes from 256 - 25.6 m up; posterize to 8 - round(0.4 m) bits;
    color, contrast, brightness and sharpness by the factor 0.1 + 0.18 m, where 1 leaves
    the image alone. The rest have no magnitude. Source: Cubuk et al. 2019, Table 6;
    pixels of a translation as in their public code for CIFAR-10.

    Raises
    ------
    ValueError
        If the operation is unknown, or the images have not 1 or 3 channels.
    """
    if x.shape[1] not in (1, 3):
        raise ValueError(f"images have {x.shape[1]} channels; give 1 or 3.")
    amount = sign * magnitude / LEVELS
    factor = 0.1 + 1.8 * magnitude / LEVELS

    def along(axis: Tensor) -> Tensor:
        both = [axis, torch.zeros_like(axis)]
        return torch.stack(both if name.endswith("_x") else both[::-1], 1)

    match name:
        case "identity":
            return x
        case "invert":
            return 1 - x
        case "auto_contrast":
            low, high = x.amin((2, 3), True), x.amax((2, 3), True)
            flat = high <= low
            stretched = (x - low) / torch.where(flat, 1, high - low)
            return torch.where(flat, x, stretched)
        case "equalize":
            return enhance.equalize(x)
        case "rotate":
            return transform.rotate(x, 30 * amount)
        case "shear_x" | "shear_y":
            return transform.shear(x, along(0.3 * amount))
        case "translate_x" | "translate_y":
            pixels = (x.shape[-1] * 10 / 32 * amount).round()
            return transform.translate(x, along(pixels))
        case "solarize":
            # Half a byte less, so that rounding does not decide.
            threshold = (256 - 25.6 * magnitude).ceil() - 0.5
            return torch.where(255 * x >= threshold[:, None, None, None], 1 - x, x)
        case "posterize":
            return enhance.posterize(x, 8 - (0.4 * magnitude).round().int())
        case "color":
            return enhance.adjust_saturation_with_gray_subtraction(x, factor)
        case "contrast":
            return enhance.adjust_contrast_with_mean_subtraction(x, factor)
        case "brightness":
            return enhance.adjust_brightness_accumulative(x, factor)
        case "sharpness":
            return enhance.sharpness(x, factor)
    raise ValueError(f"operation is {name!r}; known are {', '.join(OPERATIONS)}.")


def _policy(draw: Callable[[int, torch.Generator], _Draw], scaling: Scaling) -> Augment:
    exact = torch.float64
    mean = torch.tensor(scaling.mean, dtype=exact)
    deviation = torch.tensor(scaling.deviation, dtype=exact)

    def augment(
        inputs: Tensor, targets: Tensor, generators: Sequence[torch.Generator]
    ) -> tuple[Tensor, Tensor]:
        draws = [draw(inputs.shape[1], g) for g in generators]
        names = torch.cat([d.operation for d in draws])
        device = inputs.device
        levels = send(torch.cat([d.magnitude for d in draws]), device).to(inputs)
        signs = send(torch.cat([d.sign for d in draws]), device).to(inputs)
        centre, spread = (
            send(n, device).to(inputs)[:, None, None] for n in (mean, deviation)
        )
        # Whole bytes, as in a file: several operations cut between them.
        pixels = ((inputs.flatten(0, 1) * spread + centre) * 255).round()
        pixels = pixels.clamp(0, 255) / 255
        touched = (names != OPERATIONS.index("identity")).any(1)
        order = send(names.argsort(dim=0, stable=True), device)
        for step, drawn in enumerate(names.unbind(1)):
            counts = drawn.bincount(minlength=len(OPERATIONS)).tolist()
            parts = zip(OPERATIONS, order[:, step].split(counts), strict=True)
            for name, rows in parts:
                if len(rows):
                    pixels[rows] = apply_operation(
                        name, pixels[rows], levels[rows, step], signs[rows, step]
                    ).clamp(0.0, 1.0)
        changed = ((pixels - centre) / spread).view_as(inputs)
        # Untouched images stay what they were, to the last bit.
        keep = send(touched, device).view(inputs.shape[:2])[:, :, None, None, None]
        return torch.where(keep, changed, inputs), targets

    return augment


def _signs(shape: tuple[int, int], generator: torch.Generator) -> Tensor:
    return 1.0 - 2.0 * torch.randint(2, shape, generator=generator)
