import pytest
import torch

from spectral_lib.theory.patch_operator import (
    CircularOperator,
    DirectOperator,
    FoldedOperator,
    FourierOperator,
    GramOperator,
    fast_operator,
)
from spectral_lib.theory.patches import (
    checkerboard,
    distinct_positions,
    extend_image,
    gram_matrix,
)

FAST = [FourierOperator, GramOperator, FoldedOperator]


def close(first, second, tolerance=1e-11):
    scale = max(1.0, second.abs().max().item())
    torch.testing.assert_close(first, second, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("operator", FAST)
def test_fast_forms_equal_the_convolution(operator, random_image, random_kernels):
    direct = DirectOperator(random_image, 5)
    fast = operator(random_image, 5)
    response = direct.respond(random_kernels)
    assert response.shape == (3, 10 * 8)
    close(fast.respond(random_kernels), response)
    close(fast.adjoint(response.sin()), direct.adjoint(response.sin()))
    close(fast.gram(random_kernels), direct.gram(random_kernels))


def test_direct_form_follows_the_definition(random_image, random_kernels):
    direct = DirectOperator(random_image, 5)
    maps = direct.respond(random_kernels).reshape(3, 10, 8)
    patch = random_image[4:9, 2:7]
    assert maps[1, 4, 2].item() == pytest.approx((patch * random_kernels[1]).sum())
    single = torch.zeros(1, 80, dtype=torch.float64)
    single[0, 4 * 8 + 2] = 1.0
    torch.testing.assert_close(direct.adjoint(single)[0], patch)


@pytest.mark.parametrize("boundary", ["zero", "circular"])
@pytest.mark.parametrize("operator", FAST)
def test_other_boundaries(operator, boundary, random_image, random_kernels):
    image = extend_image(random_image, 5, boundary)
    direct = DirectOperator(image, 5).gram(random_kernels)
    close(operator(image, 5).gram(random_kernels), direct)
    # Without edges, the Gram operator sees only the image's autocorrelation.
    size = (14, 12) if boundary == "circular" else (22, 20)
    power = torch.fft.fft2(random_image, s=size).abs().square()
    spectrum = torch.fft.fft2(random_kernels, s=size)
    autocorrelated = torch.fft.ifft2(power * spectrum).real[:, :5, :5]
    close(direct, autocorrelated)


def test_circular_operator_equals_the_extended_image():
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(7, 7, dtype=torch.float64, generator=generator)
    kernels = torch.randn(2, 7, 7, dtype=torch.float64, generator=generator)
    torus = CircularOperator(image, 7)
    direct = DirectOperator(extend_image(image, 7, "circular"), 7)
    close(torus.respond(kernels), direct.respond(kernels))
    close(torus.gram(kernels), direct.gram(kernels))
    with pytest.raises(ValueError, match="same side"):
        CircularOperator(image, 5)


def test_gram_matrix_is_the_product_of_patches(random_image):
    patches = random_image.unfold(0, 5, 1).unfold(1, 5, 1).reshape(-1, 25)
    close(gram_matrix(random_image, 5), patches.T @ patches)
    whole = extend_image(random_image, 12, "valid")
    close(
        gram_matrix(whole, 12),
        DirectOperator(whole, 12)
        .gram(torch.eye(144, dtype=torch.float64).reshape(144, 12, 12))
        .reshape(144, 144),
    )


def test_checkerboard_folds_to_four_patches():
    board = checkerboard()
    assert board[0, 0] == -1
    assert board[0, 1] == 1
    assert distinct_positions(board, 32) == (2, 2)
    folded = fast_operator(board, 32)
    assert isinstance(folded, FoldedOperator)
    assert folded.positions == 225**2
    signs = folded.patches[:, 0]
    assert folded.counts[signs < 0].sum() == 25313
    assert folded.counts[signs > 0].sum() == 25312


@pytest.mark.parametrize("square", [1, 2, 3])
def test_folding_is_exact_on_periodic_images(square, random_kernels):
    board = checkerboard(17, square)
    folded, direct = FoldedOperator(board, 5), DirectOperator(board, 5)
    assert folded.positions == direct.positions == 169
    assert folded.counts.numel() == min(2 * square, 13) ** 2
    close(folded.gram(random_kernels), direct.gram(random_kernels))


def test_random_image_is_not_folded(random_image):
    image = torch.randn(64, 64, dtype=torch.float64)
    assert distinct_positions(image, 5) == (60, 60)
    assert isinstance(fast_operator(image, 5), FourierOperator)
    assert distinct_positions(random_image, 5) == (10, 8)


def test_float32_is_kept(random_image, random_kernels):
    single = FourierOperator(random_image.float(), 5).gram(random_kernels.float())
    assert single.dtype == torch.float32
    close(single.double(), DirectOperator(random_image, 5).gram(random_kernels), 1e-5)


@pytest.mark.parametrize("operator", [DirectOperator, *FAST, fast_operator])
def test_bad_images(operator, random_image):
    with pytest.raises(ValueError, match="kernel_size is 13 and the image"):
        operator(random_image, 13)
    with pytest.raises(ValueError, match="kernel_size is 0"):
        operator(random_image, 0)
    with pytest.raises(TypeError, match=r"torch\.float16"):
        operator(random_image.half(), 5)
    with pytest.raises(ValueError, match="height, width"):
        operator(random_image[None], 5)


def test_bad_boards_and_boundaries(random_image):
    with pytest.raises(ValueError, match="at least one pixel"):
        checkerboard(4, 0)
    with pytest.raises(ValueError, match="boundary is 'reflect'"):
        extend_image(random_image, 5, "reflect")
