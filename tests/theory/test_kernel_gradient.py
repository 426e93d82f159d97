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
    active = response * torch.sigmoid(equation.beta * response)
    logit = active.mean() if equation.pooling == "mean" else active.sum()
    label = torch.tensor(equation.label, dtype=image.dtype)
    entropy = functional.binary_cross_entropy_with_logits(logit, label)
    return entropy + decay / 2 * kernel.square().sum()


@pytest.mark.parametrize(
    "equation",
    [NonlinearEquation(0.0, 2.0), NonlinearEquation(0.7, pooling="sum")],
)
def test_gradient_and_loss_equal_autograd(equation, random_image, random_kernels):
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
    tiny, beta = 1e-6 * random_kernels, 1.3
    response = functional.conv2d(random_image[None, None], tiny[:, None])[0].flatten(1)
    direct = DirectOperator(random_image, 5)
    change = direct.adjoint(swish_slope(response, beta) - 0.5)
    decay = torch.full((1, 1, 1), 2.0, dtype=torch.float64)
    linear = LinearEquation(-0.4, beta, source=0.0).gradient(tiny, direct, decay)
    torch.testing.assert_close(linear, -0.4 * change + 2 * tiny, rtol=1e-6, atol=1e-12)
    pulled = LinearEquation(-0.4, beta).gradient(tiny, direct, decay) - linear
    torch.testing.assert_close(pulled, (-0.2 * random_image.sum()).expand(3, 5, 5))


def test_linear_runs_record_the_loss_of_the_network(random_image, random_kernels):
    operator, decay = DirectOperator(random_image, 5), DECAYS[:, None, None]
    found = LinearEquation(beta=2.0).loss(random_kernels, operator, decay)
    network = NonlinearEquation(label=1.0, beta=2.0)
    torch.testing.assert_close(found, network.loss(random_kernels, operator, decay))


@pytest.mark.parametrize(
    ("equation", "message"),
    [
        (lambda: LinearEquation(residual=2.0), "residual is 2.0"),
        (lambda: LinearEquation(beta=0.0), "beta is 0.0"),
        (lambda: NonlinearEquation(label=2.0), "label is 2.0"),
        (lambda: NonlinearEquation(beta=-1.0), "beta is -1.0"),
        (lambda: NonlinearEquation(pooling="max"), "pooling is 'max'"),
    ],
)
def test_bad_settings(equation, message):
    with pytest.raises(ValueError, match=message):
        equation()
