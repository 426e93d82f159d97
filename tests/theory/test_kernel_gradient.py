import pytest
import torch
from torch.nn import functional

from spectral_lib.theory.kernel_gradient import (
    LinearEquation,
    NonlinearEquation,
    swish_slope,
)
from spectral_lib.theory.patch_operator import DirectOperator

DECAYS = torch.tensor((1.0, 2.0, 3.0), dtype=torch.float64)


def network_loss(image, kernel, decay, equation):
    """The loss as a network would write it, for autograd."""
    response = functional.conv2d(image[None, None], kernel[None, None])
    active = functional.silu(response)
    logit = active.mean() if equation.pooling == "mean" else active.sum()
    entropy = functional.binary_cross_entropy_with_logits(logit, torch.ones_like(logit))
    return entropy + decay / 2 * kernel.square().sum()


@pytest.mark.parametrize("pooling", ["mean", "sum"])
def test_gradient_and_loss_equal_autograd(pooling, random_image, random_kernels):
    equation = NonlinearEquation(pooling)
    operator, decay = DirectOperator(random_image, 5), DECAYS[:, None, None]
    losses = equation.loss(random_kernels, operator, decay)
    gradients = equation.gradient(random_kernels, operator, decay)
    for run, kernel in enumerate(random_kernels):
        leaf = kernel.clone().requires_grad_()
        loss = network_loss(random_image, leaf, DECAYS[run], equation)
        loss.backward()
        assert losses[run].item() == pytest.approx(loss.item(), rel=1e-12)
        torch.testing.assert_close(gradients[run], leaf.grad, rtol=1e-11, atol=1e-12)


def test_linear_gradient_is_the_slope_of_the_full_one(random_image, random_kernels):
    """For a sum of Swish and a constant residual, (34) is the slope at K = 0."""
    tiny = 1e-6 * random_kernels
    response = functional.conv2d(random_image[None, None], tiny[:, None])[0].flatten(1)
    direct = DirectOperator(random_image, 5)
    change = direct.adjoint(swish_slope(response) - 0.5)
    decay = torch.full((1, 1, 1), 2.0, dtype=torch.float64)
    at_zero = LinearEquation().gradient(0 * tiny, direct, decay)
    torch.testing.assert_close(at_zero, (-0.25 * random_image.sum()).expand(3, 5, 5))
    linear = LinearEquation().gradient(tiny, direct, decay) - at_zero
    torch.testing.assert_close(linear, -0.5 * change + 2 * tiny, rtol=1e-6, atol=1e-12)


def test_linear_runs_record_the_loss_of_the_network(random_image, random_kernels):
    operator, decay = DirectOperator(random_image, 5), DECAYS[:, None, None]
    found = LinearEquation().loss(random_kernels, operator, decay)
    expected = NonlinearEquation().loss(random_kernels, operator, decay)
    torch.testing.assert_close(found, expected)


def test_unknown_pooling():
    with pytest.raises(ValueError, match="pooling is 'max'"):
        NonlinearEquation(pooling="max")
