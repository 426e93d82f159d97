"""Residual networks and VGG."""

import pytest
import torch
from torch import nn

from spectral_lib.models.resnet import Block, ResNet, ResNetSettings, resnet18, resnet34
from spectral_lib.models.staged import mean_of_pixels
from spectral_lib.models.vgg import VGG, VGGSettings, vgg11, vgg13, vgg16


def count(network):
    return sum(p.numel() for p in network.parameters())


def weight_layers(network):
    kinds = (nn.Conv2d, nn.Linear)
    return [m for m in network.modules() if isinstance(m, kinds)]


def test_resnet56_is_the_cifar_form():
    network = ResNet(ResNetSettings())
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


def on_paper(kind, settings):
    """A network without memory, for its shapes and counts."""
    with torch.device("meta"):
        return kind(settings)


def resnet_count(blocks, stem, widths, classes):
    """Parameters of a ResNet with basic blocks and projections for RGB."""
    total, inside = 27 * stem + 2 * stem, stem
    for stage, (number, width) in enumerate(zip(blocks, widths, strict=True)):
        total += 9 * inside * width + (2 * number - 1) * 9 * width**2
        total += 2 * number * 2 * width
        if stage or inside != width:
            total += inside * width + 2 * width
        inside = width
    return total + inside * classes + classes


def test_resnet18_and_34():
    for named, blocks, millions in (
        (resnet18, (2, 2, 2, 2), 11.17),
        (resnet34, (3, 4, 6, 3), 21.28),
    ):
        assert round(count(on_paper(ResNet, named())) / 1e6, 2) == millions
        for factor, k in ((0.5, 32), (1, 64), (2, 128)):
            network = on_paper(ResNet, named(factor, classes=100))
            widths = (k, 2 * k, 4 * k, 8 * k)
            assert count(network) == resnet_count(blocks, 64, widths, 100)
            assert network.conv.out_channels == 64
            x = torch.randn(2, 64, 32, 32, device="meta")
            assert network.stages(x).shape == (2, 8 * k, 4, 4)


def test_vggs_with_their_heads():
    lengths = {vgg11: (1, 1, 2, 2, 2), vgg13: (2,) * 5, vgg16: (2, 2, 3, 3, 3)}
    for named, stages in lengths.items():
        for factor in (0.5, 1):
            flat = [3]
            for width, length in zip((64, 128, 256, 512, 512), stages, strict=True):
                flat += [round(width * factor)] * length
            expected = sum(
                9 * a * b + b + 2 * b for a, b in zip(flat, flat[1:], strict=False)
            )
            head = (flat[-1], 4096, 4096, 100)
            expected += sum(a * b + b for a, b in zip(head, head[1:], strict=False))
            network = on_paper(VGG, named(factor, classes=100))
            assert count(network) == expected
            assert len(weight_layers(network)) == int(named.__name__[3:])
            x = torch.randn(2, 3, 32, 32, device="meta")
            assert network(x).shape == (2, 100)


def test_dropout_leaves_half_in_training_only():
    torch.manual_seed(0)
    settings = VGGSettings(((4,), (8,)), 1, head="dropout", hidden=2000)
    network = VGG(settings)
    x = torch.randn(4, 1, 8, 8)
    kept = []
    for layer in network.head:
        if isinstance(layer, nn.Dropout):
            layer.register_forward_hook(
                lambda m, i, o: kept.append((o != 0).sum() / (i[0] != 0).sum())
            )
    assert not torch.equal(network(x), network(x))
    assert len(kept) == 4
    assert all(abs(share - 0.5) < 0.05 for share in kept)
    network.eval()
    assert torch.equal(network(x), network(x))


def test_images_too_small_for_the_stages():
    network = VGG(VGGSettings(((2,), (2,), (2,)), 1))
    assert network(torch.randn(2, 1, 8, 8)).shape == (2, 10)
    with pytest.raises(ValueError, match="at least 8 pixels"):
        network(torch.randn(2, 1, 7, 8))


@pytest.mark.parametrize(("start", "scale"), [("he", 2), ("torch", 1 / 3)])
def test_start_can_be_pytorchs(start, scale):
    torch.manual_seed(0)
    for layer in (
        ResNet(ResNetSettings(1, (64,), start=start)).stages[0].conv2,
        VGG(VGGSettings(((64, 64),), start=start)).convolutions[1],
    ):
        expected = scale / (64 * 9)
        assert layer.weight.var().item() == pytest.approx(expected, rel=0.03)


def test_blocks_stem_and_skips():
    given = ResNetSettings(2, (4, 8), 1), ResNetSettings((2, 2), (4, 8), 1, stem=4)
    networks = []
    for settings in given:
        torch.manual_seed(0)
        networks.append(ResNet(settings))
    for one, other in zip(*(n.parameters() for n in networks), strict=True):
        assert torch.equal(one, other)

    plain = ResNet(ResNetSettings(2, (4, 8), 1, skip=False))
    expected = [m.weight.shape for m in weight_layers(networks[0])]
    expected.remove((8, 4, 1, 1))  # the only projection
    assert [m.weight.shape for m in weight_layers(plain)] == expected
    assert plain(torch.randn(3, 1, 8, 8)).shape == (3, 10)
    x = torch.randn(1, 4, 5, 5)
    for skip, wanted in ((True, x.relu()), (False, torch.zeros_like(x))):
        block = Block(4, 4, 1, "relu", skip=skip).eval()
        nn.init.zeros_(block.conv2.weight)
        assert torch.equal(block(x), wanted)


@pytest.mark.parametrize(
    "build",
    [
        lambda kind: ResNet(ResNetSettings(1, (3, 4), 1, activation=kind)),
        lambda kind: VGG(VGGSettings(((3,), (4, 4)), 1, activation=kind)),
    ],
)
def test_activation_is_used(build):
    x = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    outputs = []
    for activation in ("relu", "silu"):
        torch.manual_seed(0)
        outputs.append(build(activation)(x))
    assert not torch.allclose(*outputs)


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("side", [1, 3])
def test_the_gradient_of_the_mean_lies_as_the_pixels_do(order, side):
    x = torch.randn(2, 5, side, side).contiguous(memory_format=order).requires_grad_()
    mean = mean_of_pixels(x)
    torch.testing.assert_close(mean, x.mean((-2, -1)))
    (gradient,) = torch.autograd.grad(mean.square().sum(), x)
    assert gradient.is_contiguous(memory_format=order)
    torch.testing.assert_close(
        gradient, (2 / side**2 * mean)[..., None, None].expand_as(x)
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ResNetSettings((1, 2)), "one for each width"),
        (lambda: VGGSettings(head="conv"), "use linear or dropout"),
        (lambda: resnet18(-1), "width_factor is -1"),
        (lambda: ResNetSettings(activation="swish"), "use relu or silu"),
        (lambda: VGGSettings(start="glorot"), "use he or torch"),
    ],
)
def test_impossible_settings(call, message):
    with pytest.raises(ValueError, match=message):
        call()
