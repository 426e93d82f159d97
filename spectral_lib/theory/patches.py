"""Images under a sliding kernel: the checkerboard, boundaries, periods, Gram matrix."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Boundary = Literal["valid", "zero", "circular"]


def checkerboard(size: int = 256, square: int = 1) -> Tensor:
    """Draw a checkerboard of -1 and 1.

    Parameters
    ----------
    size : int
        Side of the image in pixels.
    square : int
        Side of one square in pixels.

    Returns
    -------
    Tensor
        Float64, shape ``(size, size)``, -1 in the first corner. With the defaults,
        the image of Sun et al. 2022, section 5.3.

    Raises
    ------
    ValueError
        If a side is below 1.
    """
    if size < 1 or square < 1:
        raise ValueError(
            f"size is {size} and square {square}; give at least one pixel for each."
        )
    parity = torch.arange(size) // square
    return ((parity[:, None] + parity[None, :]) % 2).double() * 2.0 - 1.0


def extend_image(image: Tensor, kernel_size: int, boundary: Boundary) -> Tensor:
    """Pad an image so that a plain sliding kernel sees the wished boundary.

    Parameters
    ----------
    image : Tensor
        Shape ``(height, width)``.
    kernel_size : int
        Side of the kernel in pixels.
    boundary : {"valid", "zero", "circular"}
        Only positions at which the kernel fits; all overlaps with an image that is
        zero outside; or an image that repeats for ever, with one period of positions.

    Returns
    -------
    Tensor
        The image itself for "valid", a larger one otherwise.

    Raises
    ------
    ValueError
        If the kernel is larger than the image or the boundary unknown.
    TypeError
        If the image is not float32 or float64.
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


def check_image(image: Tensor, kernel_size: int) -> None:
    """Refuse an image or kernel size that no operator can take.

    Raises ValueError if the image is not two-dimensional or the kernel does not fit
    in it, TypeError if the image is not float32 or float64.
    """
    check_precision(image, "image")
    if image.ndim != 2:
        raise ValueError(
            f"the image has shape {tuple(image.shape)}; give (height, width)."
        )
    if not 1 <= kernel_size <= min(image.shape):
        raise ValueError(
            f"kernel_size is {kernel_size} and the image {tuple(image.shape)}; "
            f"give a kernel of 1 to {min(image.shape)} pixels."
        )


def check_precision(tensor: Tensor, name: str) -> None:
    """Raise TypeError unless a tensor is float32 or float64."""
    if tensor.dtype not in (torch.float32, torch.float64):
        raise TypeError(
            f"the {name} has dtype {tensor.dtype}; convert it to torch.float64 "
            "(or torch.float32)."
        )


def distinct_positions(image: Tensor, kernel_size: int) -> tuple[int, int]:
    """Count row and column positions after which the patches repeat exactly.

    Parameters and errors are those of `fast_operator`; an image without any period
    gives all positions at which the kernel fits.
    """
    check_image(image, kernel_size)
    fits = [side - kernel_size + 1 for side in image.shape]
    return min(_period(image), fits[0]), min(_period(image.T), fits[1])


def gram_matrix(image: Tensor, kernel_size: int) -> Tensor:
    """Compute P^T P from window sums, without ever building the patch matrix P.

    ``G[y, y'] = sum_x I(x + y) I(x + y')`` depends on y only through the window over
    which the product of the image with its copy shifted by ``y' - y`` is summed; one
    table of cumulative sums per shift gives all windows.

    Parameters
    ----------
    image : Tensor
        Shape ``(height, width)``, float32 or float64.
    kernel_size : int
        Side k of the kernel; memory is k^4 numbers and time k^2 images.

    Returns
    -------
    Tensor
        Symmetric, shape ``(k^2, k^2)``, positions in row-major order.

    Raises
    ------
    ValueError, TypeError
        As `check_image`.
    """
    check_image(image, kernel_size)
    k = kernel_size
    height, width = image.shape
    rows, columns = height - k + 1, width - k + 1
    gram = image.new_zeros(k, k, k, k)
    offsets = torch.arange(k)
    for down in range(k):
        for right in range(-k + 1, k):
            left, start = max(0, -right), max(0, right)
            span = width - abs(right)
            product = (
                image[: height - down, left : left + span]
                * image[down:, start : start + span]
            )
            table = functional.pad(product.cumsum(0).cumsum(1), (1, 0, 1, 0))
            tall = table[rows:] - table[:-rows]
            window = tall[:, columns:] - tall[:, :-columns]
            first = offsets[: k - down, None]
            second = offsets[None, left : left + k - abs(right)]
            gram[first, second, first + down, second + right] = window
            gram[first + down, second + right, first, second] = window
    return gram.reshape(k * k, k * k)


def _period(image: Tensor) -> int:
    height = image.shape[0]
    for period in range(1, height):
        if torch.equal(image[period:], image[:-period]):
            return period
    return height
