"""SGD whose rounding is perturbed, against torch.optim and against itself."""

import pytest
import torch

from spectral_lib.data.dataset import Dataset
from spectral_lib.models.mlp import MLP
from spectral_lib.probes.divergence import grid, share_changed, weights_of
from spectral_lib.training.ensemble import initialise
from spectral_lib.training.loop import Probe, TrainSettings, every, train
from spectral_lib.training.losses import cross_entropy
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
    optimizer = Optimizer(weights, settings)
    for _ in range(steps):
        gradient = torch.randn(1, 500, generator=generator, dtype=torch.float64)
        optimizer.step(gradient.to(dtype).repeat(rows, 1))
    return weights


@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
@pytest.mark.parametrize(
    ("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)]
)
@pytest.mark.parametrize("factor", [1, 3])
def test_equals_torch(momentum, nesterov, weight_decay, factor):
    settings = OptimizerSettings(
        "sgd", 0.1, momentum, weight_decay, nesterov, factor=factor
    )
    ours = run(settings, torch.float64)
    generator = torch.Generator().manual_seed(5)
    theirs = torch.randn(1, 500, generator=generator, dtype=torch.float64)
    optimizer = torch.optim.SGD(
        [theirs],
        lr=0.1,
        momentum=momentum,
        weight_decay=weight_decay,
        nesterov=nesterov,
    )
    for _ in range(20):
        theirs.grad = torch.randn(1, 500, generator=generator, dtype=torch.float64)
        optimizer.step()
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-10)


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


def test_orders_are_as_written():
    g = torch.randn(1, 1000, generator=torch.Generator().manual_seed(1))
    eta = torch.tensor(0.1)
    paper, code = (perturbed_product(0.1, g, 3, order) for order in ("paper", "code"))
    assert torch.equal(paper, (eta / 3) * (3 * g))
    assert torch.equal(code, (eta * 3) * (g / 3))
    assert not torch.equal(paper, code)


def test_change_is_of_the_last_bits():
    g = torch.randn(1, 10000, generator=torch.Generator().manual_seed(1))
    plain = perturbed_product(0.1, g, 1).double()
    moved = perturbed_product(0.1, g, 3).double()
    assert ((moved - plain) / plain).abs().max() < 2**-22


def test_float64_keeps_the_learning_rate_exact():
    g = torch.ones(1, 1, dtype=torch.float64)
    assert perturbed_product(0.2, g, 3).item() == pytest.approx(0.2, rel=1e-15)


@pytest.mark.parametrize("factor", [0, -3, 6, 1.5, True, (1, 10)])
def test_impossible_factor(factor):
    with pytest.raises(ValueError, match="odd positive integer"):
        OptimizerSettings("sgd", factor=factor)


def test_factor_and_order_are_checked():
    with pytest.raises(ValueError, match="belongs to 'sgd'"):
        OptimizerSettings("adam", factor=3)
    with pytest.raises(ValueError, match="order is 'other'"):
        OptimizerSettings("sgd", order="other")
    with pytest.raises(ValueError, match="drop is 0"):
        OptimizerSettings("sgd", drop=0)
    with pytest.raises(ValueError, match="factor has 2 values for 3 replicas"):
        Optimizer(torch.zeros(3, 4), OptimizerSettings("sgd", factor=(1, 3)))


def test_replica_takes_its_own_factor_and_keeps_the_milestones():
    settings = OptimizerSettings("sgd", (0.1, 0.2), factor=(1, 3), milestones=(4, 6))
    second = settings.replica(1)
    assert (second.learning_rate, second.factor) == (0.2, 3)
    assert second.milestones == (4, 6)


@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_learning_rate_drops_after_milestones(kind):
    def after(epoch):
        weights = torch.zeros(1, 1, dtype=torch.float64)
        settings = OptimizerSettings(kind, 0.1, milestones=(2, 3), drop=0.5)
        optimizer = Optimizer(weights, settings)
        optimizer.start_epoch(epoch)
        optimizer.step(torch.ones_like(weights))
        return -weights.item()

    assert [after(e) for e in (1, 2, 3, 4)] == pytest.approx(
        [0.1, 0.1, 0.05, 0.025], rel=1e-6
    )


@pytest.fixture(scope="module")
def toy():
    generator = torch.Generator().manual_seed(2)
    inputs = torch.randn(96, 6, generator=generator)
    return Dataset(inputs, torch.randint(3, (96,), generator=generator))


@pytest.mark.parametrize("stacked", [True, False])
def test_trained_replicas_differ_by_rounding_alone(toy, stacked):
    factors = (1, 3, 1, 2, 4)
    seeds, ks = grid([1, 2], factors)
    start = initialise(lambda: MLP([6, 16, 3]), seeds, stacked=stacked)
    how = OptimizerSettings("sgd", 0.1, 0.9, 5e-4, True, factor=ks, milestones=(2,))
    settings = TrainSettings(4, 32, how, cross_entropy)
    record = train(start, toy, settings, {"w": Probe(weights_of(), every(4))}).records
    changed = share_changed(record["w"], len(factors))
    assert changed.shape == (5, 2, 4)
    assert (changed[1:, :, 0] > 0.05).all()
    assert (changed[:, :, 1:] == 0).all()
    assert (changed[0] == 0).all()


def test_augmentation_draws_from_each_replicas_own_generator(toy):
    seen = []

    def augment(x, labels, generators):
        noise = [torch.rand(x.shape[1:], generator=g) for g in generators]
        seen.append(torch.stack(noise))
        return x + 0.1 * seen[-1], labels

    start = initialise(lambda: MLP([6, 4, 3]), (1, 1, 2))
    how = OptimizerSettings("sgd", 0.1)
    train(start, toy, TrainSettings(1, 48, how, cross_entropy, augment))
    assert len(seen) == 2
    for noise in seen:
        assert torch.equal(noise[0], noise[1])
        assert not torch.equal(noise[0], noise[2])
