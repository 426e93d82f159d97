"""Replicas as an axis: built alike alone and together, in turn and in one pass."""

from functools import partial

import pytest
import torch
from small_runs import LINES, X, conv, mlp
from torch import nn

from spectral_lib.data.augmentations import crop_and_flip
from spectral_lib.data.dataset import Dataset
from spectral_lib.models.mlp import MLP
from spectral_lib.models.resnet import ResNet, ResNetSettings
from spectral_lib.training.ensemble import LARGE, Ensemble, initialise
from spectral_lib.training.loop import Probe, TrainSettings, train
from spectral_lib.training.losses import cross_entropy, mse
from spectral_lib.training.optimizers import OptimizerSettings

SEEDS, RATE = (1, 2, 7), 1e-2
OPTIMIZERS = {
    "momentum": OptimizerSettings("sgd", RATE, momentum=0.9, weight_decay=0.01),
    "adam": OptimizerSettings("adam", RATE, weight_decay=0.02),
}
Y = torch.randn(48, 1, 8, 8, generator=torch.Generator().manual_seed(0))
IMAGES = Dataset(Y, (Y.mean((1, 2, 3)) > 0).long())


def resnet():
    return ResNet(ResNetSettings(1, (3, 4), 1, classes=2))


# --- in turn and in one pass ----------------------------------------------------------

KINDS = {
    "direct": (conv, LINES, mse, None),
    "rows": (lambda: conv("rows"), LINES, mse, None),
    "resnet, augmented": (resnet, IMAGES, cross_entropy, crop_and_flip(1)),
}


def trained(kind, optimizer, dtype, **how):
    build, data, loss, augment = KINDS[kind]
    targets = data.targets
    if targets.is_floating_point():
        targets = targets.to(dtype)
    data = Dataset(data.inputs.to(dtype), targets)
    settings = TrainSettings(3, 16, OPTIMIZERS[optimizer], loss, augment)
    outputs = Probe(lambda e: {"values": e.predict(data.inputs, 32)}, (0, 3))
    start = initialise(build, SEEDS, dtype=dtype, **how)
    return train(start, data, settings, {"outputs": outputs})


def numbers(run):
    yield "loss", run.loss
    yield "outputs", run.records["outputs"]["values"]
    yield from run.ensemble.parameters.items()
    yield from run.ensemble.buffers.items()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("kind", KINDS)
def test_on_a_cpu_stacked_replicas_round_as_each_does_alone(kind, optimizer):
    stacked, apart = (
        trained(kind, optimizer, torch.float32, stacked=how) for how in (True, False)
    )
    assert not torch.equal(stacked.loss[:, 0], stacked.loss[:, 1])
    for (name, ours), (_, other) in zip(numbers(stacked), numbers(apart), strict=True):
        assert torch.equal(ours, other), name


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "rows"])
def test_in_one_pass_they_end_the_same_but_for_rounding(kind, optimizer, request):
    in_turn = trained(kind, optimizer, torch.float64)
    request.getfixturevalue("in_one_pass")
    at_once = trained(kind, optimizer, torch.float64)
    for (name, ours), (_, other) in zip(
        numbers(at_once), numbers(in_turn), strict=True
    ):
        torch.testing.assert_close(ours, other, rtol=1e-8, atol=1e-9, msg=name)


def test_convolutions_on_a_cpu_go_in_turn_unless_they_take_all_replicas_at_once():
    def many(build, **how):
        return initialise(build, SEEDS, **how)

    assert not many(mlp).in_turn
    assert many(mlp).replica(0).in_turn
    assert many(mlp, stacked=False).in_turn
    assert many(conv).in_turn
    assert not many(partial(conv, "rows")).in_turn
    assert many(resnet).in_turn
    assert not many(conv, device="meta").in_turn
    assert many(mlp).passes == [slice(0, 3)]
    assert many(conv).passes == [slice(0, 1), slice(1, 2), slice(2, 3)]


def test_large_networks_train_apart_on_a_cpu_unless_it_is_said():
    def stacked(width, **how):
        return initialise(lambda: MLP([width, 256, 9]), SEEDS, **how).stacked

    fits = (LARGE - 9) // 256 - 10  # inputs, so that weights and biases are LARGE
    assert (fits + 1 + 9) * 256 + 9 <= LARGE < (fits + 2 + 9) * 256 + 9
    assert stacked(fits)
    assert not stacked(fits + 1)
    assert stacked(fits + 1, stacked=True)
    assert not stacked(fits, stacked=False)
    assert stacked(fits + 1, device="meta")


def test_what_a_replica_keeps_for_its_gradient_is_given_back_before_the_next():
    alive, most = 0, 0

    class Kept:
        def __init__(self, tensor):
            nonlocal alive, most
            self.tensor = tensor
            alive += 1
            most = max(most, alive)

        def __del__(self):
            nonlocal alive
            alive -= 1

    def peak(seeds):
        nonlocal alive, most
        alive = most = 0
        with torch.autograd.graph.saved_tensors_hooks(Kept, lambda kept: kept.tensor):
            train(initialise(conv, seeds), LINES, TrainSettings(1, 16))
        return most

    assert peak([1, 2, 3, 4]) == peak([1]) > 0


# --- building and predicting ----------------------------------------------------------


def test_building_leaves_the_random_state_and_needs_a_seed():
    state = torch.random.get_rng_state()
    initialise(mlp, SEEDS)
    assert torch.equal(torch.random.get_rng_state(), state)
    with pytest.raises(ValueError, match="seeds is empty"):
        initialise(mlp, ())


def test_a_network_of_yours_is_an_ensemble_of_one():
    net = nn.Sequential(nn.Linear(20, 8), nn.BatchNorm1d(8))
    net(X)
    state = {k: v.clone() for k, v in net.state_dict().items()}
    ensemble = Ensemble.of(net)
    output = ensemble.predict(X)
    assert net.training
    assert all(torch.equal(v, state[k]) for k, v in net.state_dict().items())
    with torch.no_grad():
        net[0].weight.zero_()
    assert torch.equal(output, ensemble.predict(X))
    net.load_state_dict(state)
    assert torch.allclose(output[0], net.eval()(X), atol=1e-6)


def test_stacked_replicas_draw_masks_of_their_own():
    ensemble = initialise(lambda: nn.Sequential(nn.Linear(20, 9), nn.Dropout()), (1, 1))
    first, second = ensemble(X.expand(2, -1, -1)) == 0
    assert 0.4 < first.double().mean() < 0.6
    assert not torch.equal(first, second)


def test_parts_of_a_network_keep_their_modes_also_after_an_error():
    def build():
        net = nn.Sequential(nn.BatchNorm1d(20), nn.Dropout())
        net[0].eval()
        return net

    ensemble = initialise(build, (1, 2))
    ensemble.predict(X)
    with pytest.raises(RuntimeError):
        ensemble.predict(X[:, :3])
    assert [part.training for part in ensemble.module] == [False, True]


@pytest.mark.parametrize(
    ("stacked", "rows"), [(True, [2] * 24), (False, [7] * 6 + [6])]
)
def test_passes_take_no_more_rows_than_was_said(stacked, rows):
    passes = []

    class Net(nn.Linear):
        def forward(self, x):
            passes.append(len(x))
            return super().forward(x)

    ensemble = initialise(lambda: Net(20, 3), SEEDS, stacked=stacked)
    whole = ensemble.predict(X)
    passes.clear()
    parts = ensemble.predict(X, 7)
    assert passes == (rows if stacked else [n for n in rows for _ in SEEDS])
    torch.testing.assert_close(parts, whole)
    assert ensemble.module.training
    assert ensemble.rows_in_pass(2) == (1 if stacked else 2)
    with pytest.raises(ValueError, match="chunk is 0"):
        ensemble.predict(X, 0)


class Named(nn.Linear):
    def forward(self, x):
        return {"logits": super().forward(x)}


@pytest.mark.parametrize("seeds", [SEEDS, SEEDS[:1]])
def test_what_is_no_tensor_or_module_is_refused(seeds):
    ensemble = initialise(lambda: Named(20, 3), seeds)
    with pytest.raises(ValueError, match="inputs are ndarray; give a tensor"):
        ensemble.predict(X.numpy())
    with pytest.raises(ValueError, match="outputs are dict; probes need a tensor"):
        ensemble.predict(X)
    with pytest.raises(ValueError, match="the model is function; give a torch module"):
        Ensemble.of(lambda x: x)


class Doubled(MLP):
    """Passes otherwise than its parent, whose `replicas` would not know of it."""

    def forward(self, x):
        return 2 * super().forward(x)


class Renamed(MLP):
    """Passes as its parent does."""


def test_a_subclass_that_passes_otherwise_does_so_with_all_replicas():
    x = torch.randn(5, 3)
    doubled, renamed, plain = (
        initialise(lambda kind=kind: kind([3, 4, 2]), SEEDS)
        for kind in (Doubled, Renamed, MLP)
    )
    assert torch.equal(doubled.predict(x), 2 * plain.predict(x))
    assert torch.equal(renamed.predict(x), plain.predict(x))
