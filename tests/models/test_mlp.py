import pytest
import torch
from torch import nn

from spectral_lib.models.mlp import MLP


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
