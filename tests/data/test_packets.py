import math
import warnings

import numpy as np
import pytest
import torch

from spectral_lib.data.frequencies import Normal
from spectral_lib.data.packets import (
    Packets,
    check_points,
    midpoints,
    nyquist,
    transform_matrix,
)


def test_midpoints_are_centred_cells():
    np.testing.assert_allclose(midpoints(4), [-0.75, -0.25, 0.25, 0.75])


def test_values_of_a_packet_by_hand():
    packet = Packets((3.0, 5.0), width=0.5, centre=0.2)
    value = packet(torch.tensor([0.7], dtype=torch.float64))
    by_hand = math.exp(-0.5) * (math.cos(2.1) + math.cos(3.5))
    assert float(value) == pytest.approx(by_hand, rel=1e-14)
    sines = Packets((3.0,), width=math.inf, phase=-math.pi / 2)
    assert float(sines(torch.tensor(0.4, dtype=torch.float64))) == pytest.approx(
        math.sin(1.2), rel=1e-12
    )


def test_transform_of_a_packet_is_two_gaussian_lines():
    w, width, centre = 20.0, 0.1, 0.2
    x = midpoints(300)
    xi = torch.linspace(-60, 60, 41, dtype=torch.float64)
    found = transform_matrix(x, xi) @ Packets((w,), width, centre)(x).to(torch.cdouble)

    def line(frequency):
        shift = xi - frequency
        size = torch.exp(-((shift * width) ** 2) / 2)
        return size * torch.exp(-1j * shift * centre)

    exact = width * math.sqrt(math.pi / 2) * (line(w) + line(-w))
    assert (found - exact).abs().max() < 1e-12


def test_too_few_points_warn_with_the_nyquist_number():
    assert nyquist(50) == pytest.approx(78.54, abs=0.01)
    with pytest.warns(UserWarning, match=r"78\.54 rad \(Nyquist\).*at least 153 poi"):
        assert not check_points(50, Normal(80.0).bandwidth)
    with pytest.warns(UserWarning, match="at least 153 points"):
        check_points(152, Normal(80.0).bandwidth)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check_points(153, Normal(80.0).bandwidth)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Packets(()), "frequencies is empty"),
        (lambda: Packets((1.0,), width=0.0), "width is 0.0"),
        (lambda: midpoints(0), "points is 0"),
    ],
)
def test_bad_inputs(build, message):
    with pytest.raises(ValueError, match=message):
        build()
