"""Eigenvalues against the singular values of all patches, written out."""

import numpy as np
import pytest
import torch

from spectral_lib.theory.gram_spectrum import gram_extremes, power_extremes
from spectral_lib.theory.patches import checkerboard, extend_image


def all_eigenvalues(image, size):
    """Of P^T P, rising; the weights that patches cannot span have 0."""
    patches = image.unfold(0, size, 1).unfold(1, size, 1).reshape(-1, size**2)
    values = np.zeros(size**2)
    singular = np.linalg.svd(patches.numpy(), compute_uv=False)
    values[: len(singular)] = singular**2
    return np.sort(values)


@pytest.mark.parametrize("size", [1, 3, 6, 11])
@pytest.mark.parametrize("square", [None, 2, 3])  # patches that occur many times
def test_extremes_of_any_image(size, square, random_image):
    image = checkerboard(19, square) if square else random_image
    values = all_eigenvalues(image, size)
    found, tolerance = gram_extremes(image, size), 1e-9 * values[-1]
    np.testing.assert_allclose(found, values[[0, -1]], rtol=0, atol=tolerance)


@pytest.mark.parametrize("size", [1, 2, 5, 8, 20])
def test_a_checkerboard_has_one_eigenvalue(size):
    """All patches equal one pattern up to sign, so that P^T P has rank one."""
    board, closed = checkerboard(20), size**2 * (20 + 1 - size) ** 2
    values = all_eigenvalues(board, size)
    np.testing.assert_allclose(values[:-1], 0, atol=1e-9 * closed)
    assert values[-1] == pytest.approx(closed, rel=1e-12)
    assert gram_extremes(board, size)[1] == pytest.approx(closed, rel=1e-12)


def test_a_kernel_without_limits_sees_the_power_spectrum():
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(8, 8, dtype=torch.float64, generator=generator)
    torus = gram_extremes(extend_image(image, 8, "circular"), 8)
    np.testing.assert_allclose(torus, power_extremes(image), rtol=1e-9, atol=1e-9)
