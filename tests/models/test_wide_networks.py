"""Wide residual networks, Shake-Shake and PyramidNet with ShakeDrop."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from spectral_lib.models.classifiers import classifier
from spectral_lib.models.wide_networks import (
    Bottleneck,
    PreactivationBlock,
    ShakeBlock,
    Shortcut,
    pyramid_net,
    shake_shake,
    wide_resnet,
)


def on_paper(name):
    """A published network without memory, for its shapes and counts."""
    with torch.device("meta"):
        return classifier(name, 3, 32, 10)


def count(network):
    return sum(p.numel() for p in network.parameters())


def conv(inside, out, side):
    return inside * out * side**2


def norm(width):
    return 2 * width


def wide_count(w, classes=10):
    """Parameters of a WRN-28 for RGB: 4 blocks in each of 3 stages."""
    stem, last = min(w, 16), 4 * w
    total = conv(3, stem, 3) + norm(last) + last * classes + classes
    for inside, out in ((stem, w), (w, 2 * w), (2 * w, 4 * w)):
        total += norm(inside) + conv(inside, out, 3) + norm(out) + conv(out, out, 3)
        total += conv(inside, out, 3)  # 1 x 1 in the original
        total += 3 * 2 * (norm(out) + conv(out, out, 3))
    return total


def shake_count(w, classes=10):
    """Parameters of a Shake-Shake 26 2xwd for RGB: 4 blocks in each of 3 stages."""
    total = conv(3, 16, 3) + norm(16) + 4 * w * classes + classes
    for inside, out in ((16, w), (w, 2 * w), (2 * w, 4 * w)):
        total += 2 * (conv(inside, out, 3) + 7 * conv(out, out, 3) + 8 * norm(out))
        total += conv(inside, out, 1) + norm(out)
    return total


def pyramid_count(blocks, alpha, classes=10):
    """Parameters of a bottleneck PyramidNet for RGB: (weights, batch norm)."""
    weights, norms, inside = conv(3, 16, 3), norm(16), 16
    for block in range(1, blocks + 1):
        n = int(16 + alpha * block / blocks + 0.5)
        weights += conv(inside, n, 1) + conv(n, n, 3) + conv(n, 4 * n, 1)
        norms += norm(inside) + 2 * norm(n) + norm(4 * n)
        inside = 4 * n
    return weights + inside * classes + classes, norms + norm(inside)


# Gastaldi 2017 gives 2.9 and 26.2 millions, Yamada et al. 2019 26.0.
@pytest.mark.parametrize(
    ("name", "parameters", "layers", "millions"),
    [
        ("wrn_32", wide_count(32), 26 + 3, 1.6),
        ("wrn_160", wide_count(160), 26 + 3, 38.5),
        ("shake_shake_32", shake_count(32), 50 + 6, 2.9),
        ("shake_shake_96", shake_count(96), 50 + 6, 26.2),
        ("shake_shake_112", shake_count(112), 50 + 6, 35.6),
        ("pyramid_net", sum(pyramid_count(90, 200)), 272, 26.2),
    ],
)
def test_published_networks(name, parameters, layers, millions):
    network, sides = on_paper(name), []
    assert count(network) == parameters
    assert round(parameters / 1e6, 1) == millions
    kinds = nn.Conv2d | nn.Linear
    assert sum(isinstance(m, kinds) for m in network.modules()) == layers
    network.stages.register_forward_hook(lambda m, i, o: sides.append(o.shape[-1]))
    assert network(torch.randn(2, 3, 32, 32, device="meta")).shape == (2, 10)
    assert sides == [8]


@pytest.mark.parametrize(
    "network",
    [
        lambda: wide_resnet(64, 1, 3, 10),
        lambda: shake_shake(64, 1, 3, 10),
        lambda: pyramid_net(60, 1, 3, 10, 32),
    ],
)
def test_start(network):
    torch.manual_seed(0)
    network = network()
    assert torch.equal(network(torch.randn(4, 3, 8, 8)), torch.zeros(4, 10))
    checked = 0
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            assert module.bias is None
            fan_in = module.weight[0].numel()
            if module.weight.numel() > 20_000:
                std = module.weight.std().item()
                assert std == pytest.approx((2 / fan_in) ** 0.5, rel=0.03)
                checked += module.in_channels != module.out_channels
        if isinstance(module, nn.BatchNorm2d):
            assert (module.eps, module.momentum) == (1e-5, 0.1)
            assert module.affine
    assert checked > 0


def test_preactivation_block_by_hand():
    torch.manual_seed(0)
    block = PreactivationBlock(3, 5, 2).double().eval()
    for module in block.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight)
            nn.init.normal_(module.bias)
    x = torch.randn(2, 3, 6, 6, dtype=torch.float64)

    def normalised(y, norm):
        scale = norm.weight / (1 + norm.eps) ** 0.5
        return (y * scale[:, None, None] + norm.bias[:, None, None]).clamp(min=0)

    y = normalised(x, block.norm1)
    carried = F.conv2d(y, block.carry.weight, None, 2, 1)
    z = normalised(F.conv2d(y, block.conv1.weight, None, 2, 1), block.norm2)
    expected = carried + F.conv2d(z, block.conv2.weight, None, 1, 1)
    torch.testing.assert_close(block(x), expected)

    same = PreactivationBlock(4, 4, 1).eval()
    nn.init.zeros_(same.conv2.weight)
    x = torch.randn(1, 4, 5, 5)
    assert torch.equal(same(x), x)


@pytest.mark.parametrize("stride", [1, 2])
def test_shake_shortcut_takes_pixels_and_their_neighbours(stride):
    torch.manual_seed(0)
    shortcut = Shortcut(3, 6, stride).eval()
    x = torch.randn(2, 3, 8, 8)
    beyond = torch.zeros(2, 3, 9, 9)
    beyond[..., :8, :8] = x
    expected = torch.cat(
        [
            torch.einsum("oi,biyx->boyx", half.weight[..., 0, 0], pixels)
            for half, pixels in (
                (shortcut.here, x[..., ::stride, ::stride]),
                (shortcut.next, beyond[..., 1::stride, 1::stride]),
            )
        ],
        dim=1,
    )
    expected = expected / (1 + shortcut.norm.eps) ** 0.5
    torch.testing.assert_close(shortcut(x), expected)


def test_shake_block_adds_the_mean_in_evaluation():
    torch.manual_seed(0)
    block = ShakeBlock(4, 4, 1).eval()
    x = torch.randn(2, 4, 5, 5)
    first, second = (branch(x) for branch in block.branches)
    torch.testing.assert_close(block(x), x + 0.5 * first + 0.5 * second)
    assert not torch.allclose(first, second)


@pytest.mark.parametrize("side", [5, 6])
def test_bottleneck_pads_with_zeros_and_averages(side):
    block = Bottleneck(8, 12, 2, 0.5).eval()
    nn.init.zeros_(block.branch[-1].weight)
    x = torch.randn(2, 8, side, side)
    y = block(x)
    assert y.shape == (2, 12, 3, 3)
    assert (y[:, 8:] == 0).all()
    for row in range(3):
        for column in range(3):
            patch = x[..., 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            torch.testing.assert_close(y[:, :8, row, column], patch.mean((-2, -1)))


def test_bottleneck_scales_its_branch_in_evaluation():
    block = Bottleneck(8, 12, 1, 0.7).eval()
    x = torch.randn(2, 8, 4, 4)
    expected = 0.7 * block.branch(x)
    expected[:, :8] += x
    torch.testing.assert_close(block(x), expected)


def test_pyramid_grows_and_shakes_linearly():
    network = on_paper("pyramid_net")
    widths = [block.branch[4].out_channels for block in network.stages]
    assert widths[:4] == [18, 20, 23, 25]
    assert widths[-1] == 216
    assert {b - a for a, b in zip(widths, widths[1:], strict=False)} == {2, 3}
    found = torch.tensor([block.undisturbed for block in network.stages])
    torch.testing.assert_close(found, 1 - 0.5 * torch.arange(1, 91) / 90)
    strides = [block.stride for block in network.stages]
    assert [i for i, stride in enumerate(strides) if stride == 2] == [30, 60]


def test_an_odd_width_cannot_be_halved():
    with pytest.raises(ValueError, match="width is 7; give an even number"):
        shake_shake(7, 1, 3, 10)
