"""Stacked convolutions: in turn on a CPU, in one pass elsewhere, the same numbers."""

import pytest
import torch

from spectral_lib.data.augmentations import crop_and_flip
from spectral_lib.data.dataset import Dataset
from spectral_lib.models.conv1d import ConvNet1d, ConvSettings
from spectral_lib.models.mlp import MLP
from spectral_lib.models.resnet import ResNet, ResNetSettings
from spectral_lib.training.ensemble import LARGE, initialise
from spectral_lib.training.loop import Probe, TrainSettings, train
from spectral_lib.training.losses import cross_entropy, mse
from spectral_lib.training.optimizers import OptimizerSettings

SEEDS, RATE = (1, 2, 7), 1e-2
OPTIMIZERS = {
    "momentum": OptimizerSettings("sgd", RATE, momentum=0.9, weight_decay=0.01),
    "adam": OptimizerSettings("adam", RATE, weight_decay=0.02),
}
X = torch.randn(40, 20, generator=torch.Generator().manual_seed(0))
LINES = Dataset(X, X.roll(1, 1))
Y = torch.randn(48, 1, 8, 8, generator=torch.Generator().manual_seed(0))
IMAGES = Dataset(Y, (Y.mean((1, 2, 3)) > 0).long())


def conv(form):
    return lambda: ConvNet1d(ConvSettings(kernel_size=5, layers=3, channels=4), form)


def resnet():
    return ResNet(ResNetSettings(1, (3, 4), 1, classes=2))


KINDS = {
    "direct": (conv("direct"), LINES, mse, None),
    "fft": (conv("fft"), LINES, mse, None),
    "channels last": (conv("channels_last"), LINES, mse, None),
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
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "channels last"])
def test_in_one_pass_they_end_the_same_but_for_rounding(kind, optimizer, request):
    in_turn = trained(kind, optimizer, torch.float64)
    request.getfixturevalue("in_one_pass")
    at_once = trained(kind, optimizer, torch.float64)
    for (name, ours), (_, other) in zip(
        numbers(at_once), numbers(in_turn), strict=True
    ):
        torch.testing.assert_close(ours, other, rtol=1e-8, atol=1e-9, msg=name)


def test_only_convolutions_on_a_cpu_and_single_replicas_go_in_turn():
    def many(build, **how):
        return initialise(build, SEEDS, **how)

    assert not many(lambda: MLP([20, 9, 20])).in_turn
    assert many(lambda: MLP([20, 9, 20])).replica(0).in_turn
    assert many(lambda: MLP([20, 9, 20]), stacked=False).in_turn
    assert many(conv("direct")).in_turn
    assert many(resnet).in_turn
    assert not many(conv("direct"), device="meta").in_turn


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
            train(initialise(conv("direct"), seeds), LINES, TrainSettings(1, 16))
        return most

    assert peak([1, 2, 3, 4]) == peak([1]) > 0
