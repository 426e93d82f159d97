"""Every form of the network against nn.Conv1d, and the network's shape."""

from functools import partial
from itertools import pairwise

import pytest
import torch
from torch import nn

from spectral_lib.models.conv1d import ConvNet1d, ConvSettings, fastest, renamed
from spectral_lib.training.ensemble import initialise

PADDINGS = {"direct": ["zeros", "replicate", "circular"], "rows": ["zeros"]}


def plain(settings):
    """The same network with torch's own layers."""
    s = settings
    how = {"padding": s.kernel_size // 2, "padding_mode": s.padding_mode}
    widths = [1, *[s.channels] * (s.layers - 1), 1]
    layers = [nn.Conv1d(a, b, s.kernel_size, **how) for a, b in pairwise(widths)]
    return nn.Sequential(*[m for layer in layers for m in (layer, nn.ReLU())][:-1])


@pytest.mark.parametrize(
    ("form", "mode"), [(form, mode) for form in PADDINGS for mode in PADDINGS[form]]
)
@pytest.mark.parametrize(
    ("kernel_size", "layers", "channels"), [(3, 2, 5), (3, 4, 3), (7, 3, 4), (31, 3, 2)]
)
@pytest.mark.parametrize("training", [True, False])
def test_forms_equal_torch_and_so_do_their_gradients(
    form, mode, kernel_size, layers, channels, training
):
    settings = ConvSettings(kernel_size, layers, channels, mode)
    torch.manual_seed(0)
    ours = ConvNet1d(settings, form).double().train(training)
    peer = plain(settings).double()
    peer.load_state_dict(renamed(ours.state_dict(), peer))
    u, g = torch.randn(2, 3, 40, dtype=torch.float64)
    outputs = ours(u), peer(u[:, None])[:, 0]
    gradients = [
        torch.autograd.grad(y, [*net.parameters()], g)
        for y, net in zip(outputs, (ours, peer), strict=True)
    ]
    made = str(outputs[0].grad_fn.next_functions[0])
    assert form == "direct" or ("Rows" in made) == training
    with torch.no_grad():
        pairs = [outputs, (ours(u), outputs[1]), *zip(*gradients, strict=True)]
    for a, b in pairs:
        assert a.shape == b.shape
        assert (a - b).abs().max() < 1e-12


def test_rows_leave_what_they_cannot_to_the_direct_form():
    settings = ConvSettings(3, 3, 4)
    rows, direct = ConvNet1d(settings, "rows"), ConvNet1d(settings)
    direct.load_state_dict(rows.state_dict())
    u = torch.randn(2, 30, requires_grad=True)
    found, wanted = (
        torch.autograd.grad(net(u).square().sum(), u)[0] for net in (rows, direct)
    )
    torch.testing.assert_close(found, wanted)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(rows(u.detach()), direct(u.detach()))
    (first, *_) = torch.autograd.grad(
        rows(u.detach()).square().sum(), [*rows.parameters()], create_graph=True
    )
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()
    with pytest.raises(ValueError, match="use 'direct' for replicate"):
        ConvNet1d(ConvSettings(padding_mode="replicate"), "rows")


@pytest.mark.parametrize("how", ["training", "no gradient", "by u", "bfloat16"])
def test_replicas_at_once_give_what_each_gives_by_itself(how):
    build = partial(ConvNet1d, ConvSettings(5, 4, 3), "rows")
    ensemble = initialise(build, [1, 2, 3])
    state = {k: v.requires_grad_() for k, v in ensemble.parameters.items()}
    u = torch.randn(3, 2, 30).requires_grad_(how == "by u")
    with (
        torch.autocast("cpu", torch.bfloat16, enabled=how == "bfloat16"),
        torch.set_grad_enabled(how != "no gradient"),
    ):
        ours = ensemble.module.replicas(state, u)
        apart = torch.cat([ensemble.replica(r)(u[r : r + 1]) for r in range(3)])
    assert torch.equal(ours, apart)
    assert not torch.equal(ensemble.module.replicas(state, u[[0, 0, 0]])[0], ours[1])
    if how != "no gradient":
        given = [*state.values()] + [u] * (how == "by u")
        for a, b in zip(
            torch.autograd.grad(ours.square().sum(), given),
            torch.autograd.grad(apart.square().sum(), given),
            strict=True,
        ):
            assert torch.equal(a, b)


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


def test_rows_are_taken_where_they_can_be():
    settings, ends = ConvSettings(), ConvSettings(padding_mode="replicate")
    assert fastest(settings, torch.device("cpu")) == "rows"
    assert fastest(ends, torch.device("cpu")) == "direct"
    assert fastest(settings, torch.device("cuda")) == "direct"


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
