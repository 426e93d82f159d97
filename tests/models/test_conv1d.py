"""Every form of the convolution against nn.Conv1d, and the network's shape."""

import pytest
import torch
from torch import nn

from spectral_lib.models.conv1d import Conv1d, ConvNet1d, ConvSettings, fastest, renamed

FORMS = ("direct", "channels_last", "fft")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("padding_mode", ["zeros", "replicate", "circular"])
@pytest.mark.parametrize("kernel_size", [3, 7, 31])
def test_forms_equal_torch_and_so_do_their_gradients(form, padding_mode, kernel_size):
    torch.manual_seed(0)
    ours = Conv1d(3, 5, kernel_size, padding_mode, form).double()
    peer = nn.Conv1d(
        3, 5, kernel_size, padding=kernel_size // 2, padding_mode=padding_mode
    ).double()
    peer.load_state_dict(ours.state_dict())
    x = torch.randn(2, 3, 40, dtype=torch.float64, requires_grad=True)
    g = torch.randn(2, 5, 40, dtype=torch.float64)
    ones = [ours(x), *torch.autograd.grad(ours(x), [x, *ours.parameters()], g)]
    others = [peer(x), *torch.autograd.grad(peer(x), [x, *peer.parameters()], g)]
    for a, b in zip(ones, others, strict=True):
        assert torch.allclose(a, b, atol=1e-11)


def test_reach_is_the_radius_of_the_receptive_field():
    settings = ConvSettings(kernel_size=7, layers=4, channels=3)
    torch.manual_seed(1)
    net = ConvNet1d(settings).double()
    u = torch.randn(1, 101, dtype=torch.float64, requires_grad=True)
    (seen,) = torch.autograd.grad(net(u)[0, 50], u)
    inside = seen[0].nonzero().flatten()
    assert inside.min() >= 50 - settings.reach
    assert inside.max() <= 50 + settings.reach
    # Interior points of a longer signal do not notice what lies beyond the ends.
    v = torch.randn(1, 101, dtype=torch.float64)
    beyond = torch.cat([torch.ones(1, 9), v, torch.ones(1, 9)], 1).double()
    inner = slice(settings.reach, 101 - settings.reach)
    assert torch.allclose(net(v)[:, inner], net(beyond)[:, 9:-9][:, inner])


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        *(({"kernel_size": k}, "odd number, 3 or larger") for k in (0, 1, 2, 4)),
        ({"layers": 1}, "layers"),
        ({"padding_mode": "reflect"}, "padding_mode"),
    ],
)
def test_bad_settings(setting, message):
    with pytest.raises(ValueError, match=message):
        ConvSettings(**setting)


def test_the_fastest_form_is_a_fixed_rule():
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    for kernel, channels, form in (
        (9, 16, "direct"),
        (11, 16, "channels_last"),
        (23, 48, "direct"),
        (25, 48, "fft"),
    ):
        assert fastest(ConvSettings(kernel, 3, channels), cpu) == form
        assert fastest(ConvSettings(kernel, 3, channels), cuda) == "direct"


@pytest.mark.parametrize("mode", ["zeros", "replicate", "circular"])
def test_weights_of_other_names_load_in_their_order(mode):
    net = ConvNet1d(ConvSettings(5, layers=4, channels=4, padding_mode=mode))
    ends = (1, 4), (4, 4), (4, 4), (4, 1)
    parts = [(nn.Conv1d(*each, 5, 1, 2, padding_mode=mode), nn.ReLU()) for each in ends]
    peer = nn.Sequential(*(part for pair in parts for part in pair))[:-1]
    net.load_state_dict(renamed(peer.state_dict(), net))
    u = torch.randn(2, 30)
    assert torch.allclose(net(u), peer(u[:, None])[:, 0], atol=1e-6)
    with pytest.raises(ValueError, match=r"4 tensors \(0.weight.* has 8 \(convol"):
        renamed(peer[:3].state_dict(), net)
    peer[2] = nn.Conv1d(4, 4, 3)
    with pytest.raises(ValueError, match=r"'2.weight' has shape \[4, 4, 3\] and 'con"):
        renamed(peer.state_dict(), net)
