"""Optimizers over replicas, and SGD whose rounding is perturbed, against torch."""

import pytest
import torch

from spectral_lib.data.dataset import Dataset
from spectral_lib.models.mlp import MLP
from spectral_lib.probes.divergence import grid, share_changed, weights_of
from spectral_lib.training.ensemble import initialise
from spectral_lib.training.loop import Probe, TrainSettings, every, train
from spectral_lib.training.optimizers import (
    Optimizer,
    OptimizerSettings,
    perturbed_product,
)


def run(settings, dtype=torch.float32, steps=20, rows=1):
    """Weights after some steps on a fixed sequence of gradients, [rows, 500]."""
    generator = torch.Generator().manual_seed(5)
    weights = torch.randn(1, 500, generator=generator, dtype=torch.float64)
    weights = weights.to(dtype).repeat(rows, 1)
    optimizer = Optimizer(weights, settings, steps)
    for _ in range(steps):
        gradient = torch.randn(1, 500, generator=generator, dtype=torch.float64)
        optimizer.step(gradient.to(dtype).repeat(rows, 1), 1)
    return weights


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("order", ["paper", "code"])
@pytest.mark.parametrize("nesterov", [False, True])
def test_powers_of_two_change_nothing_and_odd_factors_a_little(dtype, order, nesterov):
    settings = OptimizerSettings(
        "sgd", 0.1, 0.9, 5e-4, nesterov, factor=(1, 2, 4, 3, 7, 1), order=order
    )
    plain, two, four, three, seven, again = run(settings, dtype, rows=6)
    assert torch.equal(plain, two)
    assert torch.equal(plain, four)
    assert torch.equal(plain, again)
    tiny = 100 * torch.finfo(dtype).eps
    for odd in (three, seven):
        assert 0 < (odd - plain).abs().max() < tiny * plain.abs().max()
    assert not torch.equal(three, seven)


def test_column_and_single_number_round_alike():
    alone = run(OptimizerSettings("sgd", 0.1, factor=3))
    beside = run(OptimizerSettings("sgd", 0.1, factor=(1, 3)), rows=2)
    assert torch.equal(alone[0], beside[1])
    plain = run(OptimizerSettings("sgd", 0.1))
    assert torch.equal(plain[0], beside[0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rate", [0.1, [[0.1], [0.2], [0.3]]])
def test_orders_are_as_written_in_the_precision_of_the_gradient(dtype, rate):
    gradient = torch.randn(3, 500, dtype=dtype)
    eta, k = torch.tensor(rate, dtype=dtype), torch.tensor(3, dtype=dtype)
    given = rate if rate == 0.1 else eta
    paper, code = (perturbed_product(given, gradient, 3, o) for o in ("paper", "code"))
    assert torch.equal(paper, (eta / k) * (k * gradient))
    assert torch.equal(code, (eta * k) * (gradient / k))
    assert not torch.equal(paper, code)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"kind": "adagrad"}, "'sgd' or 'adam'"),
        ({"learning_rate": -1.0}, "learning_rate is -1.0"),
        ({"weight_decay": (0.0, float("nan"))}, "weight_decay is nan"),
        ({"momentum": 0.9}, "Adam has its own"),
        ({"kind": "sgd", "nesterov": True}, "nesterov"),
        ({"schedule": "linear"}, "'cosine'"),
        ({"clip": 0.0}, "clip"),
        ({"drop": 0}, "drop is 0"),
        ({"drop": 1.5}, "drop is 1.5"),
        ({"factor": 3}, "belongs to 'sgd'"),
        ({"kind": "sgd", "order": "other"}, "order is 'other'"),
        *(
            ({"kind": "sgd", "factor": k}, "odd positive integer")
            for k in (0, -3, 6, 1.5, True, (1, 10))
        ),
    ],
)
def test_impossible_settings(given, words):
    with pytest.raises(ValueError, match=words):
        OptimizerSettings(**given)


def test_a_portion_takes_its_own_values_and_keeps_the_rest():
    settings = OptimizerSettings(
        "sgd", (0.1, 0.2, 0.3), 0.9, factor=(1, 3, 5), milestones=(4, 6)
    )
    assert settings.per_replica() == {
        "learning_rate": (0.1, 0.2, 0.3),
        "factor": (1, 3, 5),
    }
    two, one = settings.portion(slice(1, 3)), settings.portion(slice(1, 2))
    assert (two.learning_rate, two.factor) == ((0.2, 0.3), (3, 5))
    assert (one.learning_rate, one.factor) == (0.2, 3)
    assert two.milestones == one.milestones == (4, 6)
    assert two.momentum == one.momentum == 0.9


@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_learning_rate_drops_after_milestones(kind):
    def after(epoch):
        weights = torch.zeros(1, 1, dtype=torch.float64)
        settings = OptimizerSettings(kind, 0.1, milestones=(2, 3), drop=0.5)
        Optimizer(weights, settings, 1).step(torch.ones_like(weights), epoch)
        return -weights.item()

    assert [after(e) for e in (1, 2, 3, 4)] == pytest.approx(
        [0.1, 0.1, 0.05, 0.025], rel=1e-6
    )


def test_clipping_counts_weight_decay_and_keeps_short_gradients():
    weights = torch.tensor([[3.0, 4.0], [0.3, 0.4]])
    how = OptimizerSettings("sgd", 1.0, weight_decay=1.0, clip=1.0)
    before = weights.clone()
    Optimizer(weights, how, 1).step(torch.zeros(2, 2), 1)
    steps = before - weights
    assert torch.allclose(steps, torch.tensor([[0.6, 0.8], [0.3, 0.4]]))


def test_moments_are_kept_only_where_they_are_needed():
    def moments(*settings, **more):
        how = OptimizerSettings(*settings, **more)
        return list(Optimizer(torch.zeros(2, 3), how, 1).moments)

    assert moments("sgd", 0.1) == moments("sgd", 0.1, (0.0, 0.0)) == []
    assert moments("sgd", 0.1, (0.0, 0.9)) == ["mean"]
    assert moments("adam") == ["mean", "square"]


@pytest.mark.parametrize("stacked", [True, False])
def test_trained_replicas_differ_by_rounding_alone(stacked):
    inputs = torch.randn(96, 6, generator=torch.Generator().manual_seed(2))
    factors = (1, 3, 1, 2, 4)
    seeds, ks = grid([1, 2], factors)
    start = initialise(lambda: MLP([6, 16, 3]), seeds, stacked=stacked)
    how = OptimizerSettings("sgd", 0.1, 0.9, 5e-4, True, factor=ks, milestones=(2,))
    probe = {"w": Probe(weights_of(), every(4))}
    toy = Dataset(inputs, inputs[:, :3].cumsum(1))
    record = train(start, toy, TrainSettings(4, 32, how), probe).records["w"]
    changed = share_changed(record, len(factors))
    assert changed.shape == (5, 2, 4)
    assert (changed[1:, :, 0] > 0.05).all()
    assert (changed[:, :, 1:] == 0).all()
    assert (changed[0] == 0).all()
