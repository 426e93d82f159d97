import torch

from spectral_lib.data.dataset import Dataset
from spectral_lib.models.mlp import MLP
from spectral_lib.probes.accuracy import accuracy_on
from spectral_lib.training.ensemble import initialise


def test_accuracy_and_classes():
    ensemble = initialise(lambda: MLP([2, 2]), (1,))
    ensemble.parameters["layers.0.weight"].data[0] = torch.eye(2)
    ensemble.parameters["layers.0.bias"].data[0] = 0.0
    data = Dataset(torch.eye(2).repeat(2, 1), torch.tensor([0, 1, 1, 1]))
    reading = accuracy_on(data)(ensemble)
    assert reading["accuracy"].tolist() == [75.0]
    assert reading["class"].tolist() == [[0, 1, 0, 1]]
