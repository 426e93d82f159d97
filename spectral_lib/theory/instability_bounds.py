"""The bounds on weight decay of Sun et al. 2022, tables 2 and 6, and how they vary.

The defaults are the paper's settings; nothing is drawn here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigvalsh, toeplitz
from torch import Tensor

from spectral_lib.theory.gram_spectrum import (
    Normalisation,
    checkerboard_eigenvalue,
    gram_extremes,
    lanczos_largest,
    patch_extremes,
)
from spectral_lib.theory.patch_operator import FoldedOperator, fast_operator
from spectral_lib.theory.patches import Boundary, checkerboard, extend_image
from spectral_lib.theory.stability import (
    Interval,
    bisected_bounds,
    exact_bounds,
    printed_bounds,
)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class BoundsRow:
    """Bounds on weight decay for one kernel size.

    `exact` is the closed form for the window, `bisected` the same from the growth
    factor, `printed` the paper's formula for a kernel without limits.
    """

    kernel_size: int
    exact: Interval
    bisected: Interval
    printed: Interval


def table_2(
    kernel_sizes: Sequence[int] = (16, 32, 64),
    image: Tensor | None = None,
    learning_rate: float = 1e-8,
) -> list[BoundsRow]:
    """Compute the bounds of gradient descent, Sun et al. 2022, table 2.

    Parameters
    ----------
    kernel_sizes : sequence of int
        Sides of the kernel.
    image : Tensor or None
        None for the paper's checkerboard.
    learning_rate : float
        Positive.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.
    """
    return _bounds_table(kernel_sizes, image, learning_rate, None)


def table_6(
    kernel_sizes: Sequence[int] = (16, 32, 64),
    image: Tensor | None = None,
    learning_rate: float = 1e-4,
    momentum: float = 0.9,
) -> list[BoundsRow]:
    """Compute the bounds of Nesterov momentum, Sun et al. 2022, table 6.

    Parameters and errors are those of `table_2`, with the momentum in [0, 1).
    """
    return _bounds_table(kernel_sizes, image, learning_rate, momentum)


def lower_bound_curve(
    kernel_sizes: Sequence[int], boundary: Boundary = "valid", image_size: int = 256
) -> Array:
    """Compute the lower bound on weight decay against the size of the kernel.

    Parameters
    ----------
    kernel_sizes : sequence of int
        Sides of the kernel, 1 to `image_size`; with "zero" any.
    boundary : {"valid", "zero", "circular"}
        How the image continues beyond its edge, as in `extend_image`.
    image_size : int
        Side of the checkerboard.

    Returns
    -------
    ndarray
        One bound for each size, residual -1/2 and beta 1. With "valid", the paper's
        case, ``k^2 (257 - k)^2 / 4``: never near the limit of table 2. With "circular"
        and k = 256 it is that limit; with "zero" it nears the limit as the kernel
        outgrows the image.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    if boundary == "valid":
        return checkerboard_eigenvalue(np.asarray(kernel_sizes), image_size) / 4.0
    if boundary == "zero":
        return np.array([_padded_eigenvalue(k, image_size) for k in kernel_sizes]) / 4.0
    image = checkerboard(image_size)
    largest = [
        _largest_eigenvalue(extend_image(image, size, boundary), size)
        for size in kernel_sizes
    ]
    return np.array(largest) / 4.0


def _padded_eigenvalue(kernel_size: int, image_size: int) -> float:
    """Largest eigenvalue of a checkerboard's patches, zeros beyond its edges.

    Signs aside the board is constant, so that rows and columns have one factor each:
    the overlaps of a constant row with itself, shifted.
    """
    if kernel_size < 1:
        raise ValueError(f"kernel_size is {kernel_size}; give at least 1 pixel.")
    overlaps = np.maximum(float(image_size) - np.arange(kernel_size), 0)
    last = kernel_size - 1
    (factor,) = eigvalsh(toeplitz(overlaps), subset_by_index=[last, last])
    return float(factor**2)


def printed_bounds_by_convention(
    square: int, normalisation: Normalisation = "backward"
) -> Interval:
    """Compute equation (13) for another checkerboard or another DFT.

    Parameters
    ----------
    square : int
        Side of one square in pixels.
    normalisation : {"backward", "ortho", "forward"}
        As in `power_extremes`; only single pixels and "backward" give table 2.

    Raises
    ------
    ValueError
        If `square` is below 1.
    """
    board = checkerboard(256, square)
    return printed_bounds(board, 1e-8, normalisation=normalisation)


def _largest_eigenvalue(image: Tensor, kernel_size: int) -> float:
    operator = fast_operator(image, kernel_size)
    if isinstance(operator, FoldedOperator):
        return patch_extremes(operator)[1]
    return lanczos_largest(operator)


def _bounds_table(
    kernel_sizes: Sequence[int],
    image: Tensor | None,
    learning_rate: float,
    momentum: float | None,
) -> list[BoundsRow]:
    board = checkerboard() if image is None else image
    printed = printed_bounds(board, learning_rate, momentum=momentum is not None)
    rows = []
    for size in kernel_sizes:
        extremes = gram_extremes(board, size)
        rows.append(
            BoundsRow(
                kernel_size=size,
                exact=exact_bounds(extremes, learning_rate, momentum=momentum),
                bisected=bisected_bounds(extremes, learning_rate, momentum=momentum),
                printed=printed,
            )
        )
    return rows
