from itertools import islice

import pytest
import torch
from torch.nn import functional

from spectral_lib.theory.kernel_gradient import (
    LinearEquation,
    NonlinearEquation,
    swish,
    swish_slope,
)
from spectral_lib.theory.kernel_pde import (
    Perturbation,
    Scheme,
    initial_kernel,
    iterate,
    loss_history,
    relative_l1,
    rounding_divergence,
)
from spectral_lib.theory.patch_operator import FoldedOperator
from spectral_lib.theory.patches import checkerboard

RATES, DECAYS = (0.01, 0.02, 0.03), (1.0, 2.0, 3.0)
EQUATION = NonlinearEquation()


def final(states, steps):
    return next(islice(states, steps, None))


def test_euler_and_nesterov_follow_the_paper(random_image, random_kernels):
    """Written out from (10), (51) and (52), one run at a time, by convolution."""
    equation, momentum, steps = LinearEquation(), 0.9, 25
    image = 0.2 * random_image  # small, so that little grows
    total = image.sum()

    def gradient(kernel, decay):
        response = functional.conv2d(image[None, None], kernel[None, None])
        pull = functional.conv2d(image[None, None], response)[0, 0]
        return -0.25 * (total + pull) + decay * kernel

    operator = FoldedOperator(image, 5)
    euler = final(
        iterate(random_kernels, operator, equation, Scheme(RATES, DECAYS)), steps
    )
    nesterov = final(
        iterate(random_kernels, operator, equation, Scheme(RATES, DECAYS, momentum)),
        steps,
    )
    for run, (dt, decay) in enumerate(zip(RATES, DECAYS, strict=True)):
        kernel = random_kernels[run]
        for _ in range(steps):
            kernel = kernel - dt * gradient(kernel, decay)
        torch.testing.assert_close(euler[run], kernel, rtol=1e-10, atol=1e-10)

        damping = (2 - 2 * momentum) / (dt * (1 + momentum))
        carry = (2 - damping * dt) / (2 + damping * dt)
        assert carry == pytest.approx(momentum)
        kernel = before = random_kernels[run]
        for _ in range(steps):
            ahead = kernel + carry * (kernel - before)
            step = 2 * dt**2 / (2 + damping * dt) * gradient(ahead, decay)
            before, kernel = kernel, ahead - step
        torch.testing.assert_close(nesterov[run], kernel, rtol=1e-10, atol=1e-10)


def test_batch_equals_single_runs(random_image, random_kernels):
    operator = FoldedOperator(random_image, 5)
    batch = loss_history(random_kernels, operator, EQUATION, Scheme(RATES, DECAYS), 20)
    assert batch.shape == (3, 21)
    for run in range(3):
        alone = Scheme(RATES[run : run + 1], DECAYS[run : run + 1])
        one = loss_history(random_kernels[run], operator, EQUATION, alone, 20)
        torch.testing.assert_close(batch[run : run + 1], one, rtol=1e-12, atol=0)


@pytest.mark.parametrize("momentum", [None, 0.9])
def test_perturbation_changes_only_the_last_digits(
    momentum, random_image, random_kernels
):
    operator = FoldedOperator(random_image, 5)
    # Momentum squares the rate; a tiny update would be lost beside the weights.
    rates = RATES if momentum is None else (0.1, 0.2, 0.3)
    plain = Scheme(rates, DECAYS, momentum)

    def distance(factor):
        perturbed = Scheme(rates, DECAYS, momentum, Perturbation(factor))
        schemes = (plain, perturbed)
        return rounding_divergence(random_kernels, operator, EQUATION, schemes, 30)

    odd = distance(3)
    assert odd.shape == (3, 31)
    assert torch.all(odd[:, 0] == 0)
    assert 0 < odd.max() < 1e-12
    assert torch.equal(odd, distance(3))
    for factor in (1, 2, 4):
        assert torch.count_nonzero(distance(factor)) == 0


def test_an_update_is_as_the_paper_writes_it():
    gradient = initial_kernel(32)
    rate = torch.tensor(0.07, dtype=torch.float64)
    found = Perturbation(3).update(rate, gradient)
    assert torch.equal(found, (rate / 3) * (3 * gradient))
    assert not torch.equal(found, (rate * 3) * (gradient / 3))


def test_relative_l1():
    a = torch.tensor([1.0, 0.0, 2.0, -1.0])
    b = torch.tensor([1.0, 0.0, 6.0, 1.0])
    zero = torch.zeros(4)
    # 0/0 is left out: (0 + 4/8 + 2/2) / 3, doubled.
    found = relative_l1(torch.stack([a, a, a, zero]), torch.stack([b, a, -a, zero]))
    assert found.tolist() == pytest.approx([1.0, 0.0, 2.0, 0.0])


def test_swish_and_its_slope():
    x = torch.linspace(-4, 4, 101, dtype=torch.float64, requires_grad=True)
    swish(x).sum().backward()
    torch.testing.assert_close(swish_slope(x.detach()), x.grad)
    ends = swish_slope(torch.tensor([-60.0, 0.0, 60.0], dtype=torch.float64))
    torch.testing.assert_close(ends, torch.tensor([0, 0.5, 1], dtype=torch.float64))


def test_initial_kernel_is_numpys_seed_7():
    kernel = initial_kernel(32)
    assert kernel.shape == (32, 32)
    assert kernel[0, 0].item() == pytest.approx(1.6905257)
    assert 10 * kernel.square().sum().item() == pytest.approx(9497.49, abs=0.01)
    assert not torch.equal(kernel, initial_kernel(32, seed=8))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Scheme((0.0,), (1.0,)), "learning_rate is"),
        (lambda: Scheme((float("nan"),), (1.0,)), "learning_rate is"),
        (lambda: Scheme((float("inf"),), (1.0,)), "learning_rate is"),
        (lambda: Scheme((0.1,), (0.0,)), "weight_decay is"),
        (lambda: Scheme((0.1,), ()), "weight_decay is"),
        (lambda: Scheme((0.1, 0.2), (1.0, 2.0, 3.0)), "2 learning rates and 3"),
        (lambda: Scheme((0.1,), (1.0,), 1.0), "momentum is 1.0"),
        *((lambda k=k: Perturbation(k), f"factor is {k}") for k in (6, 0, -3)),
    ],
)
def test_bad_settings(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_bad_kernels_fail_at_the_call():
    operator = FoldedOperator(checkerboard(16), 5)
    scheme = Scheme(RATES, DECAYS)
    kernel = initial_kernel(5)
    with pytest.raises(TypeError, match=r"float16"):
        iterate(kernel.half(), operator, LinearEquation(), scheme)
    with pytest.raises(TypeError, match="convert one"):
        iterate(kernel.float(), operator, LinearEquation(), scheme)
    with pytest.raises(ValueError, match="kernel has shape"):
        iterate(initial_kernel(6), operator, LinearEquation(), scheme)
    with pytest.raises(ValueError, match="kernel has shape"):
        iterate(kernel.expand(2, 5, 5), operator, LinearEquation(), scheme)
