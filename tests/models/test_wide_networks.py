"""Wide residual networks, Shake-Shake and PyramidNet with ShakeDrop."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from spectral_lib.data.dataset import Dataset
from spectral_lib.models.pyramid_net import (
    Bottleneck,
    PyramidNet,
    PyramidNetSettings,
    pyramid_net,
)
from spectral_lib.models.shake_shake import (
    ShakeBlock,
    ShakeShake,
    ShakeShakeSettings,
    Shortcut,
    shake_shake_32,
    shake_shake_96,
    shake_shake_112,
)
from spectral_lib.models.wide_resnet import (
    PreactivationBlock,
    WideResNet,
    WideResNetSettings,
    wrn_32,
    wrn_160,
)
from spectral_lib.training.ensemble import initialise
from spectral_lib.training.loop import TrainSettings, train
from spectral_lib.training.losses import cross_entropy
from spectral_lib.training.optimizers import OptimizerSettings

SMALL = {
    "wide": lambda: WideResNet(WideResNetSettings(4, 1, channels=1)),
    "shake": lambda: ShakeShake(ShakeShakeSettings(4, 1, channels=1)),
    "pyramid": lambda: PyramidNet(PyramidNetSettings(11, 6, 4, channels=1)),
}
FULL = {
    "wide": (WideResNet, wrn_32),
    "shake": (ShakeShake, shake_shake_32),
    "pyramid": (PyramidNet, pyramid_net),
}
family = pytest.mark.parametrize("family", list(SMALL))


def count(network):
    return sum(p.numel() for p in network.parameters())


def on_paper(kind, settings):
    """A network without memory, for its shapes and counts."""
    with torch.device("meta"):
        return kind(settings)


def conv(inside, out, side):
    return inside * out * side**2


def norm(width):
    return 2 * width


def wide_count(w, shortcut, classes=10):
    """Parameters of a WRN-28 for RGB: 4 blocks in each of 3 stages."""
    stem, last = min(w, 16), 4 * w
    total = conv(3, stem, 3) + norm(last) + last * classes + classes
    for inside, out in ((stem, w), (w, 2 * w), (2 * w, 4 * w)):
        total += norm(inside) + conv(inside, out, 3) + norm(out) + conv(out, out, 3)
        total += conv(inside, out, shortcut) * (inside != out)
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


def test_wide_counts():
    for settings, millions in ((wrn_32(), 1.5), (wrn_160(), 36.5)):
        assert settings.depth == 28
        w = settings.width
        plain = on_paper(WideResNet, WideResNetSettings(w, shortcut=1))
        assert count(plain) == wide_count(w, 1)
        assert round(count(plain) / 1e6, 1) == millions
        assert count(on_paper(WideResNet, settings)) == wide_count(w, 3)


def test_shake_counts():
    named = ((shake_shake_32, 2.9), (shake_shake_96, 26.2), (shake_shake_112, 35.6))
    for constructor, millions in named:
        settings = constructor()
        assert settings.depth == 26
        found = count(on_paper(ShakeShake, settings))
        assert found == shake_count(settings.width)
        assert round(found / 1e6, 1) == millions


def test_pyramid_counts():
    weights, norms = pyramid_count(90, 200)
    network = on_paper(PyramidNet, pyramid_net())
    assert count(network) == weights + norms
    # the literature's count leaves batch norm out
    assert round(weights / 1e6, 1) == 26.0
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(layers) == 272
    assert network.head.in_features == 4 * (16 + 200)


@family
def test_named_networks_map_images_to_logits(family):
    kind, named = FULL[family]
    network = on_paper(kind, named(classes=100, channels=1))
    x = torch.randn(2, 1, 32, 32, device="meta")
    assert network(x).shape == (2, 100)
    sides = []
    network.stages.register_forward_hook(lambda m, i, o: sides.append(o.shape[-1]))
    network(x)
    assert sides == [8]


@family
@pytest.mark.parametrize("side", [5, 8, 16])
def test_small_networks_map_images_to_logits(family, side):
    assert SMALL[family]()(torch.randn(3, 1, side, side)).shape == (3, 10)


@family
def test_start(family):
    torch.manual_seed(0)
    network = FULL[family][0](
        {
            "wide": WideResNetSettings(64, 1),
            "shake": ShakeShakeSettings(64, 1),
            "pyramid": PyramidNetSettings(11, 60, 32),
        }[family]
    )
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


@family
def test_evaluation_repeats_itself_and_training_does_not(family):
    torch.manual_seed(0)
    network = SMALL[family]()
    nn.init.normal_(network.head.weight)
    x = torch.randn(4, 1, 8, 8)
    if family != "wide":
        assert not torch.equal(network(x), network(x))
    network.eval()
    assert torch.equal(network(x), network(x))
    # an image's logits do not depend on the images beside it
    torch.testing.assert_close(network(x)[:2], network(x[:2]))


@family
def test_gradients_are_finite_through_functional_call(family):
    torch.manual_seed(0)
    network = SMALL[family]()
    state = dict(network.state_dict())
    weights = {k: v.clone().requires_grad_() for k, v in network.named_parameters()}
    weights["head.weight"] = torch.randn(10, network.head.in_features).requires_grad_()
    y = functional_call(network, {**state, **weights}, (torch.randn(8, 1, 8, 8),))
    gradients = torch.autograd.grad(y.square().sum(), list(weights.values()))
    for gradient in gradients:
        assert gradient.isfinite().all()
        assert gradient.abs().max() > 0


@family
@pytest.mark.parametrize("stacked", [False, True])
def test_trains_as_replicas(family, stacked):
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(64, 1, 8, 8, generator=generator)
    data = Dataset(inputs, (inputs.mean((1, 2, 3)) > 0).long())
    start = initialise(SMALL[family], (1, 2), stacked=stacked)
    how = OptimizerSettings("sgd", 0.05, 0.9)
    run = train(start, data, TrainSettings(6, 16, how, cross_entropy))
    assert (run.loss[-1] < run.loss[0]).all()
    assert not torch.equal(run.ensemble.flatten()[0], run.ensemble.flatten()[1])


def test_stacking_changes_no_number():
    inputs = torch.randn(32, 1, 8, 8, dtype=torch.float64)
    data = Dataset(inputs, (inputs.mean((1, 2, 3)) > 0).long())
    runs = []
    for stacked in (False, True):
        start = initialise(SMALL["wide"], (1, 2), dtype=torch.float64, stacked=stacked)
        how = OptimizerSettings("sgd", 0.05, 0.9)
        run = train(start, data, TrainSettings(3, 16, how, cross_entropy))
        runs.append({**run.ensemble.parameters, **run.ensemble.buffers})
    for name, value in runs[0].items():
        torch.testing.assert_close(runs[1][name], value, rtol=1e-9, atol=1e-10)


def test_preactivation_block_by_hand():
    torch.manual_seed(0)
    block = PreactivationBlock(3, 5, 2, 3).double().eval()
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

    same = PreactivationBlock(4, 4, 1, 3).eval()
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
    block = ShakeBlock(4, 4, 1, "uniform").eval()
    x = torch.randn(2, 4, 5, 5)
    first, second = (branch(x) for branch in block.branches)
    torch.testing.assert_close(block(x), x + 0.5 * first + 0.5 * second)
    assert not torch.allclose(first, second)


@pytest.mark.parametrize("side", [5, 6])
def test_bottleneck_pads_with_zeros_and_averages(side):
    block = Bottleneck(8, 3, 2, kept=0.5).eval()
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
    block = Bottleneck(8, 3, 1, kept=0.7).eval()
    x = torch.randn(2, 8, 4, 4)
    expected = 0.7 * block.branch(x)
    expected[:, :8] += x
    torch.testing.assert_close(block(x), expected)


def test_pyramid_grows_and_shakes_linearly():
    s = pyramid_net()
    widths = [s.width(block) for block in range(1, 91)]
    assert widths[:4] == [18, 20, 23, 25]
    assert widths[-1] == 216
    assert {b - a for a, b in zip(widths, widths[1:], strict=False)} == {2, 3}
    network = on_paper(PyramidNet, s)
    kept = torch.tensor([block.kept for block in network.stages])
    torch.testing.assert_close(kept, 1 - 0.5 * torch.arange(1, 91) / 90)
    strides = [block.stride for block in network.stages]
    assert [i for i, stride in enumerate(strides) if stride == 2] == [30, 60]


def test_impossible_settings():
    for settings in (WideResNetSettings, ShakeShakeSettings, PyramidNetSettings):
        with pytest.raises(ValueError, match="below 1"):
            settings(classes=0)
    with pytest.raises(ValueError, match="use 1 or 3"):
        WideResNetSettings(shortcut=2)
    with pytest.raises(ValueError, match="even"):
        ShakeShakeSettings(width=7)
    with pytest.raises(ValueError, match="'uniform' or 'ratio'"):
        ShakeShakeSettings(law="normal")
    for depth in (2, 28):
        with pytest.raises(ValueError, match=r"9 n \+ 2"):
            PyramidNetSettings(depth=depth)
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        PyramidNetSettings(dropped=1.5)
