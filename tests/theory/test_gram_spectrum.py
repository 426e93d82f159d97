"""Extreme eigenvalues by several ways."""

import numpy as np
import pytest
import torch

from spectral_lib.theory.gram_spectrum import (
    checkerboard_eigenvalue,
    gram_extremes,
    lanczos_extremes,
    lanczos_largest,
    patch_extremes,
    power_extremes,
)
from spectral_lib.theory.patch_operator import FoldedOperator, FourierOperator
from spectral_lib.theory.patches import checkerboard, extend_image, gram_matrix


@pytest.mark.parametrize("size", [1, 2, 5, 8, 20])
def test_rank_one_shortcut_equals_the_general_ways(size):
    board = checkerboard(20)
    shortcut = checkerboard_eigenvalue(size, 20)
    values = np.linalg.eigvalsh(gram_matrix(board, size).numpy())
    assert values[-1] == pytest.approx(shortcut, rel=1e-12)
    np.testing.assert_allclose(values[:-1], 0, atol=1e-9 * shortcut)
    assert gram_extremes(board, size)[1] == pytest.approx(shortcut, rel=1e-12)
    folded = FoldedOperator(board, size)
    assert patch_extremes(folded)[1] == pytest.approx(shortcut, rel=1e-12)
    if size > 1:
        largest = lanczos_largest(FourierOperator(board, size))
        assert largest == pytest.approx(shortcut, rel=1e-9)


@pytest.mark.parametrize("size", [1, 3, 6, 11])
def test_three_ways_to_the_extremes_of_any_image(size, random_image):
    values = np.linalg.eigvalsh(gram_matrix(random_image, size).numpy())
    expected = (max(values[0], 0.0), values[-1])
    tolerance = 1e-9 * values[-1]
    for extremes in (
        gram_extremes(random_image, size),
        patch_extremes(FoldedOperator(random_image, size)),
    ):
        np.testing.assert_allclose(extremes, expected, rtol=0, atol=tolerance)
    if size > 1:
        lanczos = lanczos_extremes(FourierOperator(random_image, size))
        np.testing.assert_allclose(lanczos, expected, rtol=0, atol=tolerance)


def test_lanczos_branch_for_large_kernels():
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(96, 96, dtype=torch.float64, generator=generator)
    smallest, largest = gram_extremes(image, 41)
    values = np.linalg.eigvalsh(gram_matrix(image, 41).numpy())
    assert smallest == pytest.approx(values[0], abs=1e-7 * values[-1])
    assert largest == pytest.approx(values[-1], rel=1e-9)
    # 31 x 31 positions cannot span 66 x 66 weights.
    assert gram_extremes(image, 66)[0] == 0.0


def test_kernel_without_limits_sees_the_power_spectrum():
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(8, 8, dtype=torch.float64, generator=generator)
    torus = gram_extremes(extend_image(image, 8, "circular"), 8)
    np.testing.assert_allclose(torus, power_extremes(image), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: checkerboard_eigenvalue(257), "1 to 256 pixels"),
        (lambda: checkerboard_eigenvalue([0, 1]), "1 to 256 pixels"),
        (lambda: gram_extremes(checkerboard(4), 5), "kernel_size is 5"),
        (lambda: lanczos_largest(FourierOperator(checkerboard(4), 1)), "at least 2"),
    ],
)
def test_bad_inputs(call, message):
    with pytest.raises(ValueError, match=message):
        call()
