"""Probes of errors and spectra against closed forms and slow sums."""

import cmath

import pytest
import torch
from torch import nn

from spectral_lib.data.dataset import Dataset
from spectral_lib.probes.errors import alignment_with, error_of_sets
from spectral_lib.probes.spectra import (
    amplitudes,
    coefficients,
    relative_error,
    spectra_of_set,
)
from spectral_lib.training.ensemble import Ensemble, initialise

POINTS = 64
X = torch.arange(POINTS, dtype=torch.float64) * 2 * torch.pi / POINTS
WAVES = torch.stack([torch.sin(3 * X), torch.cos(5 * X) + 2])
DATA = Dataset(WAVES, WAVES)


class Scale(nn.Module):
    """Multiplies its input by a number drawn from the seed."""

    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.rand(()))

    def forward(self, x):
        return self.factor * x


@pytest.fixture
def scales():
    return initialise(Scale, (1, 2, 3), dtype=torch.float64)


def test_coefficients_equal_the_sum_of_equation_2():
    f = torch.sin(3 * X) + 0.5 * torch.cos(7 * X) - 0.2
    for k in range(9):
        slow = sum(
            complex(v) * cmath.exp(-1j * k * x)
            for v, x in zip(f.tolist(), X.tolist(), strict=True)
        )
        assert abs(complex(coefficients(f, 8)[k]) - slow / POINTS) < 1e-12
    assert amplitudes(f, 8)[[0, 3, 7]].tolist() == pytest.approx([0.2, 0.5, 0.25])


def test_errors_of_a_scaled_target_are_known(scales):
    factor = scales.parameters["factor"]
    found = error_of_sets({"set": DATA}, margin=4)(scales)
    assert torch.allclose(found["set"], (1 - factor) ** 2)
    assert torch.allclose(found["set interior"], (1 - factor) ** 2)


def test_interior_leaves_out_the_margin_on_both_sides():
    target = torch.zeros(1, POINTS, dtype=torch.float64)
    target[0, 20:40] = 1.0
    wrong_at_the_ends = target.clone()
    wrong_at_the_ends[0, [0, 3, -1, -4]] = 5.0
    one = Scale().double()
    one.factor.data.fill_(1.0)
    data = {"set": Dataset(wrong_at_the_ends, target)}
    found = error_of_sets(data, margin=4)(Ensemble.of(one))
    assert found["set"] > 1
    assert found["set interior"] == 0
    assert error_of_sets(data, margin=3)(Ensemble.of(one))["set interior"] > 1
    with pytest.raises(ValueError, match="no interior"):
        error_of_sets(data, margin=POINTS // 2)


def test_alignment_separates_shape_from_size(scales):
    found = alignment_with(DATA)(scales)
    assert torch.allclose(found["cosine"], torch.ones(3, dtype=torch.float64))
    assert torch.allclose(found["size"], scales.parameters["factor"])
    negative = Dataset(DATA.inputs, -DATA.targets)
    assert (alignment_with(negative)(scales)["cosine"] < -0.999).all()


def test_relative_error_is_that_of_each_frequency():
    target = torch.stack([torch.sin(k * X) for k in (1, 2, 3)])
    prediction = torch.stack([torch.sin(X), 0.4 * torch.sin(2 * X), 0 * X])
    found = relative_error(prediction[None], target, 3)
    assert found[0].tolist() == pytest.approx([0, 0.6, 1.0])


def test_spectra_have_a_replica_axis(scales):
    found = spectra_of_set(DATA, 6)(scales)
    factor = scales.parameters["factor"]
    assert found["output"].shape == (3, 2, POINTS)
    assert found["amplitude"].shape == (3, 2, 7)
    assert torch.allclose(found["amplitude"][:, 0, 3], factor / 2)
    assert torch.allclose(found["relative error"][:, [2, 4]], 1 - factor[:, None])
