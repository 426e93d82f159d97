import numpy as np
import pytest
import torch
from torch import nn

from spectral_lib.models.mlp import MLP
from spectral_lib.probes.spectral_norms import matrices, spectral_norms
from spectral_lib.training.ensemble import initialise


def test_norms_are_those_of_numpy_layer_by_layer():
    ensemble = initialise(lambda: MLP([3, 20, 20, 2]), (1, 2, 3))
    found = spectral_norms(ensemble)["norm"].detach()
    assert found.shape == (3, 3)
    for r in range(3):
        for layer in range(3):
            weights = ensemble.parameters[f"layers.{layer}.weight"][r].detach().numpy()
            wanted = np.linalg.svd(weights.astype(np.float64))[1][0]
            assert found[r, layer] == pytest.approx(wanted, rel=1e-5)


def test_biases_and_other_vectors_are_left_out():
    ensemble = initialise(lambda: nn.Sequential(MLP([1, 4, 1]), nn.LayerNorm(1)), (1,))
    assert list(matrices(ensemble)) == ["0.layers.0.weight", "0.layers.1.weight"]
    alone = initialise(lambda: nn.LayerNorm(3), (1,))
    with pytest.raises(ValueError, match="none of weight, bias is a matrix"):
        spectral_norms(alone)


@pytest.mark.parametrize("entry", [torch.nan, torch.inf])
def test_a_replica_that_diverged_has_no_norm_and_leaves_the_others_theirs(entry):
    ensemble = initialise(lambda: MLP([3, 8, 8, 2]), (1, 2, 3))
    wanted = spectral_norms(ensemble)["norm"].detach().clone()
    with torch.no_grad():
        ensemble.parameters["layers.1.weight"][1, 0, 2] = entry
    found = spectral_norms(ensemble)["norm"].detach()
    assert found[1, 1].isnan()
    wanted[1, 1] = torch.nan
    torch.testing.assert_close(found, wanted, rtol=0, atol=0, equal_nan=True)
