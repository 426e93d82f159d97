import pytest
import torch
from torch import nn
from torch.func import functional_call, vmap

from spectral_lib.models.mlp import MLP
from spectral_lib.training.ensemble import initialise


def test_mlp_equals_the_same_layers_in_sequence():
    torch.manual_seed(0)
    net = MLP([2, 5, 5, 1], torch.tanh)
    peer = nn.Sequential(
        net.layers[0], nn.Tanh(), net.layers[1], nn.Tanh(), net.layers[2]
    )
    x = torch.randn(7, 2)
    assert torch.equal(net(x), peer(x))
    with pytest.raises(ValueError, match="widths"):
        MLP([3])


def values_and_gradients(forward, ensemble, x):
    weights = ensemble.flatten().requires_grad_()
    y = forward(ensemble.unflatten(weights).parameters, x)
    return y, *torch.autograd.grad(y.square().sum(), weights)


@pytest.mark.parametrize("precision", ["float32", "float64", "bf16"])
@pytest.mark.parametrize(
    ("widths", "replicas", "shape"),
    [
        ([1, 64, 64, 1], 12, (48, 1)),  # a sum of sines
        ([1, 200, 200, 1], 3, (64, 1)),  # an ordinary network beside an operator
        ([3, 100, 100, 2], 4, (102, 3)),  # points in space
        ([64, 256, 10], 5, (64, 1, 8, 8)),  # images
        ([6, 3], 2, (1, 2, 3, 1)),  # one layer, one row
    ],
)
def test_replicas_at_once_equal_vmap_bit_by_bit(widths, replicas, shape, precision):
    dtype = torch.float64 if precision == "float64" else torch.float32
    ensemble = initialise(lambda: MLP(widths), range(replicas), dtype=dtype)
    x = torch.randn(replicas, *shape, dtype=dtype)
    net = ensemble.module
    ways = (
        net.replicas,
        vmap(lambda state, x: functional_call(net, state, (x,))),
    )
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        found, wanted = (values_and_gradients(way, ensemble, x) for way in ways)
    for one, other in zip(found, wanted, strict=True):
        assert torch.equal(one, other)
