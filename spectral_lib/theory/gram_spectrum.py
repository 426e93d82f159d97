"""Extreme eigenvalues of an image's Gram operator, on which stability hangs.

For a kernel without limits they are the extremes of ``|I^|^2`` (Sun et al. 2022,
theorem 5.4); for a kernel of k x k weights, those of P^T P (see `patch_operator`).
"""

import torch
from scipy.linalg import eigvalsh
from torch import Tensor

from spectral_lib.theory.patch_operator import FoldedOperator


def power_extremes(image: Tensor) -> tuple[float, float]:
    """Find the smallest and largest ``|I^|^2`` of an image (height, width).

    I^ is the DFT without a factor: only so it gives the paper's numbers.
    """
    power = torch.fft.fft2(image.double()).abs().square()
    return power.min().item(), power.max().item()


def gram_extremes(image: Tensor, kernel_size: int) -> tuple[float, float]:
    """Find the smallest and largest eigenvalue of P^T P, exactly for any image.

    P^T P and P P^T share their eigenvalues but for zeros, and equal rows of P can be
    merged into one, scaled by the root of their number; the smaller matrix is solved.
    Quick where the image has few distinct patches, or the kernel up to 40 x 40 weights.

    Raises
    ------
    ValueError, TypeError
        As `check_image`; `extend_image` gives other boundaries.
    """
    operator = FoldedOperator(image, kernel_size)
    rows = operator.patches * operator.counts.sqrt()[:, None]
    if len(rows) < kernel_size**2:
        return 0.0, float(eigvalsh((rows @ rows.T).numpy())[-1])
    values = eigvalsh((rows.T @ rows).numpy())
    return max(float(values[0]), 0.0), float(values[-1])
