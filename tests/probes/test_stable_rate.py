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
    return max(values[-steps // 10 :]) < values[0]


def test_rates_are_where_descent_stops_being_stable(batch):
    rates = largest_stable_rates(build, batch, [0.5, 1000.0], (1, 2), iterations=60)
    assert rates.shape == (2, 2)
    assert rates[:, 1].numpy() == pytest.approx(2 / 1000, rel=0.01)
    assert (rates[:, 0] * 0.5 / 2 < 0.95).all()
    for row, seed in enumerate((1, 2)):
        for rate, decay in zip(rates[row].tolist(), (0.5, 1000.0), strict=True):
            assert is_stable(batch, seed, 0.98 * rate, decay)
            assert not is_stable(batch, seed, 1.02 * rate, decay)


def test_a_weight_decay_must_be_positive(batch):
    with pytest.raises(ValueError, match="positive"):
        largest_stable_rates(build, batch, [0.0], (1,))
