"""The law of the random factors, forward and backward."""

import math

import pytest
import torch
from torch.func import vmap

from spectral_lib.models.shake import Shake, drop, mix, share

IMAGES = 40_000


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def within(values, expected, variance):
    """Whether a mean lies within five standard errors."""
    error = abs(values.mean().item() - expected)
    return error < 5 * math.sqrt(variance / values.numel())


def one_per_image(values):
    """The number [batch] that fills each image of values [batch, 2, 1, 3]."""
    first = values[:, :1, :1, :1]
    assert torch.equal(values, first.expand_as(values))
    return first.flatten()


def test_each_direction_has_its_own_factor():
    x = torch.randn(4, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    ahead, back = torch.rand(2, 4, 1, 1, 1, dtype=torch.float64)
    weight = torch.randn_like(x)
    y = Shake.apply(x, ahead, back)
    assert torch.equal(y, x * ahead)
    (gradient,) = torch.autograd.grad((weight * y).sum(), x)
    assert torch.equal(gradient, weight * back)


def test_shares_follow_their_law():
    found, variance = share(torch.zeros(IMAGES, 2, 1, 3)).double(), 3 / 4 - math.log(2)
    assert found.shape == (IMAGES, 1, 1, 1)
    assert 0 <= found.min() < 0.01
    assert 0.99 < found.max() <= 1
    assert within(found, 0.5, variance)
    assert within((found - 0.5).square(), variance, 1 / 80)
    # all draws are independent: neighbours do not agree
    assert abs(torch.corrcoef(found.view(2, -1))[0, 1]) < 0.04


def test_branches_are_mixed_anew_in_each_direction():
    first = torch.ones(IMAGES, 2, 1, 3, requires_grad=True)
    second = torch.zeros(IMAGES, 2, 1, 3, requires_grad=True)
    y = mix(first, second, training=True)
    ahead = one_per_image(y.detach())
    gradients = torch.autograd.grad(y.sum(), (first, second))
    back, rest = (one_per_image(g) for g in gradients)
    torch.testing.assert_close(back + rest, torch.ones(IMAGES))
    for factor in (ahead, back):
        assert within(factor, 0.5, 1 / 12)
        assert 0 <= factor.min() < 0.01
        assert 0.99 < factor.max() <= 1
    assert abs(torch.corrcoef(torch.stack([ahead, back]))[0, 1]) < 0.03
    same = torch.randn(5, 2, 3, 3, dtype=torch.float64)  # the second has the rest
    torch.testing.assert_close(mix(same, same, training=True), same)


def test_evaluation_takes_the_mean():
    first, second = torch.randn(2, 4, 2, 3, 3)
    state = torch.random.get_rng_state()
    assert torch.equal(mix(first, second, False), (first + second) / 2)
    assert torch.equal(drop(first, 0.75, False), 0.75 * first)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("undisturbed", [0.0, 0.5, 0.8, 1.0])
def test_shakedrop(undisturbed):
    x = torch.ones(IMAGES, 2, 1, 3, requires_grad=True)
    y = drop(x, undisturbed, training=True)
    ahead = one_per_image(y.detach())
    back = one_per_image(torch.autograd.grad(y.sum(), x)[0])
    calm = (ahead == 1) & (back == 1)
    assert within(calm.double(), undisturbed, undisturbed * (1 - undisturbed) + 1e-9)
    assert within(ahead, undisturbed, 1)  # what evaluation uses
    ahead, back = ahead[~calm], back[~calm]
    if undisturbed == 1:
        assert not len(ahead)
        return
    assert -1 <= ahead.min() < -0.99
    assert 0.99 < ahead.max() < 1
    assert 0 <= back.min() < 0.01
    assert 0.99 < back.max() < 1
    assert within(ahead, 0, 1 / 3)
    assert within(ahead.square(), 1 / 3, 4 / 45)
    assert within(back, 0.5, 1 / 12)
    assert within((back - 0.5).square(), 1 / 12, 1 / 180)
    assert abs(torch.corrcoef(torch.stack([ahead, back]))[0, 1]) < 0.05


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_precision_stays_and_draws_are_fine(dtype):
    x = torch.ones(2000, 1, 1, 1, dtype=dtype, requires_grad=True)
    for y in (drop(x, 0.999, True), mix(x, x, True)):
        assert y.dtype == dtype
        assert torch.autograd.grad(y.sum(), x)[0].dtype == dtype
    # bfloat16 alone would know 256 numbers
    assert len(share(x.detach()).unique()) > 1900


def test_stacked_replicas_draw_their_own():
    x = torch.ones(3, 500, 1, 1, 1, requires_grad=True)
    for shake in (
        lambda a: mix(a, torch.zeros_like(a), True),
        lambda a: drop(a, 0.3, True),
    ):
        y = vmap(shake, randomness="different")(x)
        (back,) = torch.autograd.grad(y.sum(), x)
        for factors in (y.detach(), back):
            between = torch.corrcoef(factors.view(3, -1)) - torch.eye(3)
            assert between.abs().max() < 0.25
            assert factors.view(3, -1).std(1).min() > 0.2
