"""Residual networks and VGG."""

import pytest
import torch
from torch import nn

from spectral_lib.data.dataset import Dataset
from spectral_lib.models.resnet import Block, ResNet, ResNetSettings
from spectral_lib.models.vgg import VGG, VGGSettings
from spectral_lib.training.ensemble import initialise
from spectral_lib.training.loop import TrainSettings, train
from spectral_lib.training.losses import cross_entropy
from spectral_lib.training.optimizers import OptimizerSettings


def count(network):
    return sum(p.numel() for p in network.parameters())


def weight_layers(network):
    kinds = (nn.Conv2d, nn.Linear)
    return [m for m in network.modules() if isinstance(m, kinds)]


def test_resnet56_is_the_cifar_form():
    network = ResNet(ResNetSettings())
    assert ResNetSettings().depth == 56
    # 55 convolutions, a linear layer, and two 1 x 1 shortcuts
    assert len(weight_layers(network)) == 56 + 2
    # 853,018 with shortcuts without weights; two of 1 x 1 with batch norm on top
    shortcuts = 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64
    assert count(network) == 853_018 + shortcuts
    assert network(torch.randn(2, 3, 32, 32)).shape == (2, 10)
    assert network.stages(torch.randn(2, 16, 32, 32)).shape == (2, 64, 8, 8)


def test_vgg16_has_sixteen_less_two_layers():
    network = VGG(VGGSettings())
    assert len(weight_layers(network)) == 13 + 1
    assert count(network) == 14_728_266
    assert network(torch.randn(2, 3, 32, 32)).shape == (2, 10)


def test_start_is_hes():
    torch.manual_seed(0)
    weight = ResNet(ResNetSettings(1, (16, 64))).stages[1].conv2.weight
    assert weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)


def test_block_adds_its_input():
    block = Block(4, 4, 1, "relu").eval()
    nn.init.zeros_(block.conv2.weight)
    x = torch.randn(1, 4, 5, 5)
    assert torch.equal(block(x), x.relu())


def build(family, activation):
    if family == "resnet":
        return ResNet(ResNetSettings(1, (3, 4), 1, activation=activation))
    return VGG(VGGSettings(((3,), (4, 4)), 1, activation=activation))


@pytest.mark.parametrize("family", ["resnet", "vgg"])
def test_activation_is_used(family):
    x = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    outputs = []
    for activation in ("relu", "silu"):
        torch.manual_seed(0)
        outputs.append(build(family, activation)(x))
    assert not torch.allclose(*outputs)


@pytest.mark.parametrize("family", ["resnet", "vgg"])
def test_trains_as_unstacked_replicas(family):
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(32, 1, 8, 8, generator=generator)
    data = Dataset(inputs, (inputs.mean((1, 2, 3)) > 0).long())
    start = initialise(lambda: build(family, "relu"), (1, 2), stacked=False)
    how = OptimizerSettings("sgd", 0.05, 0.9)
    run = train(start, data, TrainSettings(6, 16, how, cross_entropy))
    assert (run.loss[-1] < run.loss[0]).all()
    assert not torch.equal(run.ensemble.flatten()[0], run.ensemble.flatten()[1])
    # the running statistics have moved, those handed in have not
    moved = run.ensemble.buffers
    name = next(name for name in moved if name.endswith("running_mean"))
    assert (moved[name] != 0).any()
    assert (start.buffers[name] == 0).all()


def test_impossible_settings():
    with pytest.raises(ValueError, match="below 1"):
        ResNetSettings(blocks=0)
    for settings in (ResNetSettings, VGGSettings):
        with pytest.raises(ValueError, match="use relu or silu"):
            settings(activation="swish")
