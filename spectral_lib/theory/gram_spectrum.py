"""Extreme eigenvalues of the Gram operator: what stability of the kernel hangs on.

For a kernel without limits they are the extremes of ``|I^|^2`` (Sun et al. 2022,
theorem 5.4); for a kernel of k x k weights, those of P^T P (see `patch_operator`).
"""

from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigvalsh
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor

from spectral_lib.theory.patch_operator import (
    FoldedOperator,
    FourierOperator,
    PatchOperator,
)
from spectral_lib.theory.patches import distinct_positions, gram_matrix

Array = NDArray[np.float64]
Normalisation = Literal["backward", "ortho", "forward"]


def power_extremes(
    image: Tensor, normalisation: Normalisation = "backward"
) -> tuple[float, float]:
    """Find the smallest and largest ``|I^|^2`` of an image.

    Parameters
    ----------
    image : Tensor
        Shape ``(height, width)``.
    normalisation : {"backward", "ortho", "forward"}
        Factor of the DFT: 1, ``1/sqrt(pixels)`` or ``1/pixels``. Only the first
        gives the paper's numbers.

    Returns
    -------
    tuple of float
        Minimum and maximum over frequencies.
    """
    power = torch.fft.fft2(image.double(), norm=normalisation).abs().square()
    return power.min().item(), power.max().item()


def gram_extremes(image: Tensor, kernel_size: int) -> tuple[float, float]:
    """Find the extreme eigenvalues of the Gram operator, exactly for any image.

    Parameters
    ----------
    image : Tensor
        Shape ``(height, width)``; see `extend_image` for other boundaries.
    kernel_size : int
        Side k of the kernel.

    Returns
    -------
    tuple of float
        Smallest and largest eigenvalue of P^T P. With fewer distinct patches than
        weights the smaller matrix of products between patches is solved; up to 1600
        weights the Gram matrix itself; beyond that Lanczos iterations.

    Raises
    ------
    ValueError, TypeError
        As `check_image`.
    """
    rows, columns = distinct_positions(image, kernel_size)
    weights = kernel_size**2
    if rows * columns <= min(weights, 1600):
        return patch_extremes(FoldedOperator(image, kernel_size))
    if weights <= 1600:
        values = eigvalsh(gram_matrix(image, kernel_size).numpy())
        return max(float(values[0]), 0.0), float(values[-1])
    smallest, largest = lanczos_extremes(FourierOperator(image, kernel_size))
    return (0.0 if rows * columns < weights else smallest), largest


def patch_extremes(operator: FoldedOperator) -> tuple[float, float]:
    """Find the same from the products between distinct patches.

    P^T P and P P^T share their eigenvalues but for zeros, and equal rows of P can be
    merged into one, scaled by the root of their number.
    """
    rows = operator.patches * operator.counts.sqrt()[:, None]
    values = eigvalsh((rows @ rows.T).numpy())
    full = rows.shape[0] >= rows.shape[1]
    smallest = values[rows.shape[0] - rows.shape[1]] if full else 0.0
    return max(float(smallest), 0.0), float(values[-1])


def lanczos_extremes(operator: PatchOperator) -> tuple[float, float]:
    """Find the same by Lanczos iterations on any float64 operator.

    Both are accurate to about 1e-10 of the largest, which is what bounds on weight
    decay need. Raises ValueError for a kernel of one pixel, which has one eigenvalue.
    """
    largest = lanczos_largest(operator)
    # Seen from the largest, the smallest eigenvalue is the one furthest away; its
    # tolerance is then relative to that distance and not to a value that may be 0.
    distance = _lanczos(operator, shift=largest)
    return max(largest + distance, 0.0), largest


def lanczos_largest(operator: PatchOperator) -> float:
    """Find the largest eigenvalue only; errors as `lanczos_extremes`."""
    return _lanczos(operator, shift=0.0)


def _lanczos(operator: PatchOperator, shift: float) -> float:
    side = operator.kernel_size
    if side == 1:
        raise ValueError("kernel_size is 1; give at least 2, or use gram_extremes.")

    def apply(vector: Array) -> Array:
        kernel = torch.from_numpy(vector).to(operator.image).reshape(1, side, side)
        return operator.gram(kernel).flatten().numpy() - shift * vector.ravel()

    count = side * side
    gram = LinearOperator((count, count), matvec=apply, dtype=np.float64)
    # A fixed start makes the answer the same in every run.
    start = np.random.default_rng(0).standard_normal(count)
    values = eigsh(gram, 1, which="LM", v0=start, tol=1e-10, return_eigenvectors=False)
    return float(values[0])


def checkerboard_eigenvalue(kernel_size: ArrayLike, image_size: int = 256) -> Array:
    """Give the one non-zero eigenvalue of the Gram operator of a checkerboard.

    All patches equal one pattern up to sign, so that P^T P has rank one.

    Parameters
    ----------
    kernel_size : array_like of int
        Side k of the kernel, 1 to `image_size`; any shape.
    image_size : int
        Side N of the image, whose squares are single pixels.

    Returns
    -------
    ndarray
        ``k^2 (N + 1 - k)^2``. A quarter of it is the lower bound on weight decay for
        the residual -1/2: at most 6.8e7 for N = 256 (k = 128), far below the 1.07e9 of
        a kernel without limits (Sun et al. 2022, table 2).

    Raises
    ------
    ValueError
        If a kernel does not fit.
    """
    sizes = np.asarray(kernel_size, dtype=float)
    if np.any(sizes < 1) or np.any(sizes > image_size):
        raise ValueError(
            f"kernel_size is {kernel_size!r}; give kernels of 1 to {image_size} pixels."
        )
    return sizes**2 * (image_size + 1 - sizes) ** 2
