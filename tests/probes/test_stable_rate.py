import numpy as np
import pytest
import torch

from spectral_lib.data.dataset import Dataset
from spectral_lib.models.mlp import MLP
from spectral_lib.probes.stable_rate import largest_stable_rates
from spectral_lib.training.ensemble import initialise


@pytest.fixture(scope="module")
def batch():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(8, 16, generator=generator)
    return Dataset(inputs, torch.randint(10, (8,), generator=generator))


def build():
    return MLP([16, 4, 10])


def is_stable(batch, seed, rate, decay, steps=60):
    """Plain gradient descent of one network, with its objective at every step."""
    weights = initialise(build, [seed]).replica(0)
    flat = weights.flatten().requires_grad_()
    values = []
    for _ in range(steps + 1):
        logits = weights.unflatten(flat)(batch.inputs[None])[0]
        loss = torch.nn.functional.cross_entropy(logits, batch.targets)
        loss = loss + decay / 2 * flat.square().sum()
        values.append(loss.item())
        (gradient,) = torch.autograd.grad(loss, flat)
        flat = (flat - rate * gradient).detach().requires_grad_()
    return max(values[steps - steps // 10 :]) < values[0]


def bisected(batch, seed, decay):
    """The same search for one network, in plain steps."""
    low, high = 0.0, 2.5 / decay
    for _ in range(10):
        middle = (low + high) / 2
        if is_stable(batch, seed, middle, decay):
            low = middle
        else:
            high = middle
    return low


def test_rates_are_those_of_a_plain_search(batch):
    decays, seeds = [0.05, 0.5, 1000.0], (1, 2)
    rates = largest_stable_rates(build, batch, decays, seeds, iterations=60)
    plain = np.array([[bisected(batch, s, decay) for decay in decays] for s in seeds])
    np.testing.assert_allclose(rates, plain, rtol=1e-3)
    np.testing.assert_allclose(rates[:, -1], 2 / 1000, rtol=0.01)


def test_a_weight_decay_must_be_positive(batch):
    with pytest.raises(ValueError, match="positive"):
        largest_stable_rates(build, batch, [0.0], (1,))
