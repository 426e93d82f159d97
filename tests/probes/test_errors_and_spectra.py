"""Probes against closed forms and slow sums."""

import cmath
import math

import pytest
import torch
from torch import nn

from spectral_lib.data.dataset import Dataset
from spectral_lib.probes.errors import alignment_with, error_of_sets
from spectral_lib.probes.spectra import (
    amplitudes,
    coefficients,
    dominant_order,
    leakage,
    relative_error,
    spectra_of_set,
)
from spectral_lib.training.ensemble import initialise

POINTS = 64
X = torch.arange(POINTS, dtype=torch.float64) * 2 * torch.pi / POINTS


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


@pytest.fixture
def data():
    u = torch.stack([torch.sin(3 * X), torch.cos(5 * X) + 2])
    return Dataset(u, u)


def test_coefficients_equal_the_sum_of_equation_2():
    f = torch.sin(3 * X) + 0.5 * torch.cos(7 * X) - 0.2
    for k in range(9):
        slow = sum(
            complex(v) * cmath.exp(-1j * k * x)
            for v, x in zip(f.tolist(), X.tolist(), strict=True)
        )
        assert abs(complex(coefficients(f, 8)[k]) - slow / POINTS) < 1e-12
    assert amplitudes(f, 8)[[0, 3, 7]].tolist() == pytest.approx([0.2, 0.5, 0.25])


def test_errors_of_a_scaled_target_are_known(scales, data):
    factor = scales.parameters["factor"]
    seen = error_of_sets({"set": data}, margin=4)(scales)
    assert torch.allclose(seen["set"], (1 - factor) ** 2)
    assert torch.allclose(seen["set interior"], (1 - factor) ** 2)


def test_interior_leaves_out_the_margin_on_both_sides(scales):
    target = torch.zeros(1, POINTS, dtype=torch.float64)
    target[0, 20:40] = 1.0
    wrong_at_the_ends = target.clone()
    wrong_at_the_ends[0, [0, 3, -1, -4]] = 5.0
    data = Dataset(wrong_at_the_ends, target)
    one = {"factor": torch.ones(3, dtype=torch.float64)}
    exact = type(scales)(scales.module, one, {}, scales.seeds)
    seen = error_of_sets({"set": data}, margin=4)(exact)
    assert (seen["set"] > 1).all()
    assert (seen["set interior"] == 0).all()


def test_a_margin_without_interior_is_refused(data):
    with pytest.raises(ValueError, match="no interior"):
        error_of_sets({"set": data}, margin=POINTS // 2)


def test_alignment_separates_shape_from_size(scales, data):
    seen = alignment_with(data)(scales)
    assert torch.allclose(seen["cosine"], torch.ones(3, dtype=torch.float64))
    assert torch.allclose(seen["size"], scales.parameters["factor"])
    negative = Dataset(data.inputs, -data.targets)
    assert (alignment_with(negative)(scales)["cosine"] < -0.999).all()


def test_relative_error_is_that_of_each_frequency():
    target = torch.stack([torch.sin(k * X) for k in (1, 2, 3)])
    prediction = torch.stack([torch.sin(X), 0.4 * torch.sin(2 * X), 0 * X])
    found = relative_error(prediction[None], target, 3)
    assert found[0].tolist() == pytest.approx([0, 0.6, 1.0])


def test_spectra_have_a_replica_axis(scales, data):
    seen = spectra_of_set(data, 6)(scales)
    assert seen["output"].shape == (3, 2, POINTS)
    assert seen["amplitude"].shape == (3, 2, 7)
    expected = scales.parameters["factor"] / 2
    assert torch.allclose(seen["amplitude"][:, 0, 3], expected)


def test_leakage_is_the_energy_elsewhere():
    u = (2 * torch.sin(3 * X) + torch.sin(5 * X))[None]
    assert leakage(u, torch.tensor([[3, 0]])).item() == pytest.approx(0.2)
    assert leakage(u, torch.tensor([[3, 5]])).item() == pytest.approx(0, abs=1e-20)


def test_dominant_order_sorts_by_the_strongest_frequency():
    u = torch.stack([torch.sin(k * X) + 0.3 * torch.sin(X) for k in (6, 2, 4)])
    assert dominant_order(u, 10).tolist() == [1, 2, 0]
    assert math.isclose(float(amplitudes(u, 10)[0, 6]), 0.5)
