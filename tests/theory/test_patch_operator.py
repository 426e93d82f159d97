import pytest
import torch

from spectral_lib.theory.patch_operator import (
    DirectOperator,
    FoldedOperator,
    fast_operator,
)
from spectral_lib.theory.patches import checkerboard, distinct_positions, extend_image


def close(first, second, tolerance=1e-11):
    scale = max(1.0, second.abs().max().item())
    torch.testing.assert_close(first, second, rtol=0, atol=tolerance * scale)


def test_direct_form_follows_the_definition(random_image, random_kernels):
    direct = DirectOperator(random_image, 5)
    maps = direct.respond(random_kernels).reshape(3, 10, 8)
    patch = random_image[4:9, 2:7]
    assert maps[1, 4, 2].item() == pytest.approx((patch * random_kernels[1]).sum())
    single = torch.zeros(1, 80, dtype=torch.float64)
    single[0, 4 * 8 + 2] = 1.0
    torch.testing.assert_close(direct.adjoint(single)[0], patch)


def test_folded_form_equals_the_convolution(random_image, random_kernels):
    direct, folded = DirectOperator(random_image, 5), FoldedOperator(random_image, 5)
    response = direct.respond(random_kernels)
    close(folded.respond(random_kernels), response)
    close(folded.adjoint(response.sin()), direct.adjoint(response.sin()))
    single = FoldedOperator(random_image.float(), 5).gram(random_kernels.float())
    assert single.dtype == torch.float32
    close(single.double(), direct.gram(random_kernels), 1e-5)


@pytest.mark.parametrize("square", [1, 2, 3])
def test_folding_is_exact_on_periodic_images(square, random_kernels):
    board = checkerboard(17, square)
    folded, direct = FoldedOperator(board, 5), DirectOperator(board, 5)
    assert folded.positions == direct.positions == 169
    assert folded.counts.numel() == min(2 * square, 13) ** 2
    close(folded.gram(random_kernels), direct.gram(random_kernels))


@pytest.mark.parametrize("boundary", ["zero", "circular"])
def test_other_boundaries(boundary, random_image, random_kernels):
    """Without edges, the Gram operator sees only the image's autocorrelation."""
    found = DirectOperator(extend_image(random_image, 5, boundary), 5)
    size = (14, 12) if boundary == "circular" else (22, 20)
    power = torch.fft.fft2(random_image, s=size).abs().square()
    spectrum = torch.fft.fft2(random_kernels, s=size)
    close(found.gram(random_kernels), torch.fft.ifft2(power * spectrum).real[:, :5, :5])


def test_checkerboard_folds_to_four_patches_and_a_random_image_does_not():
    board = checkerboard()
    assert board[0, :2].tolist() == [-1, 1]
    assert distinct_positions(board, 32) == (2, 2)
    folded = fast_operator(board, 32)
    assert isinstance(folded, FoldedOperator)
    assert folded.positions == 225**2
    signs = folded.patches[:, 0]
    assert folded.counts[signs < 0].sum() == 25313
    assert folded.counts[signs > 0].sum() == 25312
    image = torch.randn(64, 60, generator=torch.Generator().manual_seed(0)).double()
    assert distinct_positions(image, 5) == (60, 56)
    assert isinstance(fast_operator(image, 5), DirectOperator)


IMAGE = checkerboard(12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: DirectOperator(IMAGE, 13), "kernel_size is 13 and the image"),
        (lambda: FoldedOperator(IMAGE, 0), "kernel_size is 0"),
        (lambda: fast_operator(IMAGE.half(), 5), r"torch\.float16"),
        (lambda: fast_operator(IMAGE[None], 5), "height, width"),
        (lambda: checkerboard(4, 0), "at least one pixel"),
        (lambda: extend_image(IMAGE, 5, "reflect"), "boundary is 'reflect'"),
    ],
)
def test_bad_images(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
