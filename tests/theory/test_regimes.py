import numpy as np
import pytest
import torch

from spectral_lib.theory.kernel_gradient import swish_slope
from spectral_lib.theory.patches import checkerboard
from spectral_lib.theory.regimes import (
    activation_regime,
    regime_bounds,
    regime_slopes,
)
from spectral_lib.theory.stability import Interval


@pytest.mark.parametrize("beta", [0.5, 1.0, 4.0])
def test_each_approximation_meets_swish_in_its_regime(beta):
    slopes = regime_slopes([-80.0, 0.0, 80.0], beta)
    exact = swish_slope(torch.tensor([-80.0, 0.0, 80.0]).double(), beta).numpy()
    assert slopes["not activated"][0] == pytest.approx(exact[0], abs=1e-12)
    assert slopes["transitioning"][1] == exact[1] == 0.5
    assert slopes["activated"][2] == pytest.approx(exact[2], abs=1e-12)
    step = 1e-4
    ends = swish_slope(torch.tensor([-step, step]).double(), beta).numpy()
    line = regime_slopes([-step, step], beta)["transitioning"]
    np.testing.assert_allclose(line, ends, rtol=0, atol=1e-10)
    # The second derivative at 0 is beta / 2, equation (32).
    assert (ends[1] - ends[0]) / (2 * step) == pytest.approx(beta / 2, rel=1e-6)


def test_regime_is_the_nearest_approximation():
    responses = np.linspace(-3, 3, 601)
    exact = swish_slope(torch.from_numpy(responses)).numpy()
    slopes = regime_slopes(responses)
    names = list(slopes)
    errors = np.abs(np.array([slopes[name] for name in names]) - exact)
    for i, response in enumerate(responses):
        chosen = names.index(activation_regime(response))
        assert errors[chosen, i] <= errors[:, i].min() + 1e-9


def test_regime_scales_with_beta():
    assert activation_regime(0.5, 1.0) == "transitioning"
    assert activation_regime(0.5, 4.0) == "activated"
    assert activation_regime(-0.5, 4.0) == "not activated"


def test_table_3_on_small_image():
    image = torch.tensor([[1.0, 2.0], [3.0, -2.0]], dtype=torch.float64)
    assert regime_bounds("activated", image, 0.1) == Interval(-2.0, 18.0)
    assert regime_bounds("not activated", image, 0.1) == Interval(0.0, 20.0)
    # By hand: the DFT of the image is (4, 4, 2, -6), so |I^|^2 runs from 4 to 36.
    middle = regime_bounds("transitioning", image, 0.1, residual=-0.5)
    assert middle.lower == pytest.approx(9.0)
    assert middle.upper == pytest.approx(21.0)


def test_table_3_on_the_checkerboard():
    """Its pixels sum to 0: decay alone rules all but the transition."""
    board = checkerboard()
    assert regime_bounds("activated", board, 0.1) == Interval(0.0, 20.0)
    assert regime_bounds("transitioning", board, 0.1).empty


def test_bad_inputs():
    with pytest.raises(ValueError, match="regime is 'other'"):
        regime_bounds("other", checkerboard(4), 0.1)
    with pytest.raises(ValueError, match=r"learning_rate is 0\.0"):
        regime_bounds("activated", checkerboard(4), 0.0)
