"""The builder of staged networks, and what every network made with it does."""

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from spectral_lib.data.dataset import Dataset
from spectral_lib.models.resnet import ResNet, ResNetSettings
from spectral_lib.models.staged import Projection, Staged, stages
from spectral_lib.models.vgg import VGG, VGGSettings
from spectral_lib.models.wide_networks import pyramid_net, shake_shake, wide_resnet
from spectral_lib.training.ensemble import initialise
from spectral_lib.training.loop import TrainSettings, train
from spectral_lib.training.losses import cross_entropy
from spectral_lib.training.optimizers import OptimizerSettings

SMALL = {
    "resnet": lambda: ResNet(ResNetSettings(1, (3, 4), 1)),
    "vgg": lambda: VGG(VGGSettings(((3,), (4, 4)), 1)),
    "wide": lambda: wide_resnet(4, 1, 1, 10),
    "shake": lambda: shake_shake(4, 1, 1, 10),
    "pyramid": lambda: pyramid_net(6, 1, 1, 10, 4),
}
RANDOM = ("shake", "pyramid")
family = pytest.mark.parametrize("family", list(SMALL))


def test_stages_halve_the_side_after_the_first():
    assert stages((3, 5), (2, 3)) == [(3, 1), (3, 1), (5, 2), (5, 1), (5, 1)]
    for wrong in (((3, 0), (1, 1)), ((3, 5), (1, 0))):
        with pytest.raises(ValueError, match="has 0, below 1; give at least 1"):
            stages(*wrong)


def test_layers_in_the_order_given():
    made = []

    def block(*numbers):
        made.append(numbers)
        return nn.Conv2d(numbers[1], numbers[2], 1, numbers[3])

    plan = [(3, 1), (5, 2)]
    net = Staged(
        ("conv", "before", "stages", "activation"), 1, 4, 2, block, plan
    ).eval()
    assert made == [(1, 2, 3, 1), (2, 3, 5, 2)]
    assert [n for n, _ in net.named_children()] == ["conv", "before", "stages", "head"]
    x = torch.randn(6, 1, 8, 8)
    y = net.stages(net.before(net.conv(x))).clamp(min=0).mean((2, 3))
    torch.testing.assert_close(net(x), net.head(y))


@family
@pytest.mark.parametrize("side", [5, 8, 16])
def test_evaluation_repeats_itself_and_random_branches_do_not(family, side):
    torch.manual_seed(0)
    network = SMALL[family]()
    nn.init.normal_(network.head.weight)
    x = torch.randn(4, 1, side, side)
    assert network(x).shape == (4, 10)
    assert torch.equal(network(x), network(x)) != (family in RANDOM)
    network.eval()
    assert torch.equal(network(x), network(x))
    # an image's logits do not depend on the images beside it
    torch.testing.assert_close(network(x)[:2], network(x[:2]))


@family
def test_stacking_trains_every_weight_and_changes_no_number(family):
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(32, 1, 8, 8, generator=generator, dtype=torch.float64)
    data = Dataset(inputs, (inputs.mean((1, 2, 3)) > 0).long())
    how = TrainSettings(3, 16, OptimizerSettings("sgd", 0.05, 0.9), cross_entropy)
    ends = []
    for stacked in (False, True):
        start = initialise(SMALL[family], (1, 2), dtype=torch.float64, stacked=stacked)
        end = train(start, data, how).ensemble
        ends.append({**end.parameters, **end.buffers})
        for name, value in {**start.parameters, **start.buffers}.items():
            assert ends[-1][name].isfinite().all(), name
            moved = (ends[-1][name] != value).view(2, -1).any(1)
            # A batch norm takes away the bias before it.
            assert moved.all() or (name.startswith("conv") and "bias" in name), name
    if family not in RANDOM:  # stacked branches draw numbers of their own
        for name, value in ends[0].items():
            torch.testing.assert_close(ends[1][name], value, rtol=1e-9, atol=1e-10)


LARGE_IMAGES = """
import torch
from spectral_lib.models.classifiers import classifier

torch.manual_seed(0)
network = classifier("shake 4", 1, 64, 3)
x = torch.randn(10, 1, 64, 64).to(memory_format=torch.channels_last)
for _ in range(30):
    network(x).square().sum().backward()
"""


def test_large_images_do_not_end_the_process():
    """Pixels in the order of a file: a strided projection's gradient broke memory."""
    ran = subprocess.run([sys.executable, "-c", LARGE_IMAGES], capture_output=True)
    assert ran.returncode == 0, ran.stderr.decode()


@pytest.mark.parametrize(("stride", "side"), [(1, 4), (2, 4), (2, 5), (2, 50)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_projection_is_a_strided_convolution(stride, side, layout):
    project = Projection(3, 5, stride).double()
    x = torch.randn(2, 3, side, side, dtype=torch.float64)
    ways = {
        project: x.to(memory_format=layout),
        # With channels first, as its gradient breaks memory with channels last.
        lambda x: F.conv2d(x, project.weight, stride=stride): x.clone(),
    }
    results = []
    for forward, given in ways.items():
        y = forward(given.requires_grad_())
        gradients = torch.autograd.grad(y.square().sum(), (given, project.weight))
        results.append([y, *gradients])
    torch.testing.assert_close(*results, rtol=1e-12, atol=1e-12)
    if layout == torch.channels_last:  # as what comes before and after has it
        assert all(t.stride(1) == 1 for t in results[0][:2])
