"""Images under a sliding kernel: the checkerboard, boundaries, periods."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Boundary = Literal["valid", "zero", "circular"]


def checkerboard(size: int = 256, square: int = 1) -> Tensor:
    """Draw a checkerboard of -1 and 1, `size` pixels wide, float64; -1 in a corner.

    With the defaults, the image of Sun et al. 2022, section 5.3.

    Raises
    ------
    ValueError
        If the image or its squares have less than one pixel.
    """
    if size < 1 or square < 1:
        raise ValueError(
            f"size is {size} and square {square}; give at least one pixel for each."
        )
    parity = torch.arange(size) // square
    return ((parity[:, None] + parity[None, :]) % 2).double() * 2.0 - 1.0


def extend_image(image: Tensor, kernel_size: int, boundary: Boundary) -> Tensor:
    """Pad an image (height, width) so that a sliding kernel sees the wished boundary.

    "valid" gives only positions at which the kernel fits: the image itself. "zero"
    gives all overlaps with an image that is zero outside, "circular" an image that
    repeats for ever, with one period of positions.

    Raises
    ------
    ValueError, TypeError
        As `check_image`, or if the boundary is none of these.
    """
    check_image(image, kernel_size)
    margin = kernel_size - 1
    if boundary == "valid":
        return image
    if boundary == "zero":
        return functional.pad(image, (margin,) * 4)
    if boundary == "circular":
        padded = functional.pad(image[None, None], (0, margin) * 2, mode="circular")
        return padded[0, 0]
    raise ValueError(f"boundary is {boundary!r}; choose 'valid', 'zero' or 'circular'.")


def distinct_positions(image: Tensor, kernel_size: int) -> tuple[int, int]:
    """Count row and column positions after which the patches repeat exactly.

    An image without a period gives all positions at which the kernel fits. Errors are
    those of `check_image`.
    """
    check_image(image, kernel_size)
    rows, columns = (side - kernel_size + 1 for side in image.shape)
    return min(_period(image), rows), min(_period(image.T), columns)


def check_image(image: Tensor, kernel_size: int) -> None:
    """Refuse an image or a kernel size that no operator can take.

    Raises
    ------
    ValueError
        If the image is not (height, width) or the kernel does not fit in it.
    TypeError
        If the image is not float32 or float64.
    """
    if image.dtype not in (torch.float32, torch.float64):
        raise TypeError(
            f"the image has dtype {image.dtype}; convert it to torch.float64 (or "
            "torch.float32)."
        )
    if image.ndim != 2:
        raise ValueError(
            f"the image has shape {tuple(image.shape)}; give (height, width)."
        )
    if not 1 <= kernel_size <= min(image.shape):
        raise ValueError(
            f"kernel_size is {kernel_size} and the image {tuple(image.shape)}; "
            f"give a kernel of 1 to {min(image.shape)} pixels."
        )


def _period(image: Tensor) -> int:
    height = image.shape[0]
    for period in range(1, height):
        if torch.equal(image[period:], image[:-period]):
            return period
    return height
