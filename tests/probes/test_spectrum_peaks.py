"""Peak search on curves whose answer is known, and correlations by hand."""

import math

import numpy as np
import pytest
import torch

from spectral_lib.probes.spectrum_peaks import (
    Search,
    Turns,
    falling_rate,
    fastest_fall,
    find_turns,
    first_minimum,
    landmarks,
    learned_for_good,
    noise_level,
    short_time_correlation,
    smooth,
    spectrum_agreement,
)

T = torch.arange(300, dtype=torch.float64)


def hump(at, width, height=1.0):
    return height * torch.exp(-(((T - at) / width) ** 2) / 2)


def noise(size, seed):
    generator = torch.Generator().manual_seed(seed)
    return size * torch.randn(len(T), generator=generator, dtype=torch.float64)


FALL = torch.exp(-T / 10)  # the error of the first epochs

CURVES = {
    "one peak": (FALL + hump(120, 20), (40, 75), (120, 1)),
    "two peaks": (FALL + hump(100, 12) + hump(200, 12, 2.0), (30, 65), (100, 1)),
    "peak in noise": (FALL + hump(120, 20) + noise(0.1, 0), (25, 80), (120, 12)),
    "plateau": (FALL + torch.sigmoid((T - 100) / 8), (40, 60), None),
    "noisy plateau": (
        FALL + torch.sigmoid((T - 100) / 8) + noise(0.1, 1),
        (20, 75),
        None,
    ),
    "still rising": (FALL + T / 100, (20, 40), None),
    "peak too late": (FALL + hump(280, 40), (30, 120), None),
    "falling": (-T, None, None),
    "flat": (torch.full_like(T, -3.7), (0, 0), None),
    "too short": ((FALL + hump(120, 20))[:25], None, None),
    "step down": (noise(0.1, 2) - 3 * torch.sigmoid((T - 150) / 5), (0, 140), None),
    "short bump": (
        (T - 150).clamp(max=0).abs() / 50
        + (T - 150).clamp(min=0) / 20
        + 0.5 * torch.exp(-(((T - 50) / 3) ** 2) / 2),
        (147, 152),
        None,
    ),
    "exact plateau": ((T - 40).abs().clamp(max=29.99) / 10, (39, 41), None),
    "peak, then not finite": (
        torch.where(T < 200, FALL + hump(100, 12), torch.nan),
        (30, 65),
        (100, 1),
    ),
    "not finite at first": (
        torch.cat([torch.full((7,), torch.nan), FALL + hump(100, 12)]),
        (37, 72),
        (107, 1),
    ),
    "never finite": (torch.full((90,), torch.nan), None, None),
    "empty": (T[:0], None, None),
    "diverged": (torch.where(T < 90, (T - 20).abs(), torch.nan), (19, 21), None),
}


@pytest.mark.parametrize("name", CURVES)
def test_turns(name):
    curve, minimum, peak = CURVES[name]
    found = find_turns(curve)
    if minimum is None:
        assert found == Turns(None, None)
        return
    assert minimum[0] <= found.minimum <= minimum[1]
    if peak is None:
        assert found.peak is None
    else:
        assert found.peak == pytest.approx(peak[0], abs=peak[1])


def test_noise_alone_has_no_peak():
    found = [find_turns(noise(1.0, seed)).peak for seed in range(100)]
    assert sum(peak is not None for peak in found) == 0
    bare = Search(certainty=0.0)
    invented = [find_turns(noise(1.0, seed), bare).peak for seed in range(100)]
    assert sum(peak is not None for peak in invented) > 90


def test_peaks_in_noise_are_found():
    curves = [FALL + hump(120, 20) + noise(0.15, seed) for seed in range(50)]
    found = [find_turns(curve).peak for curve in curves]
    near = [peak for peak in found if peak is not None and abs(peak - 120) < 15]
    assert len(near) >= 49


def test_turns_do_not_depend_on_units():
    curve = FALL + hump(120, 20) + noise(0.1, 0)
    expected = find_turns(curve)
    assert find_turns(1e-3 * curve - 400) == expected
    assert find_turns(1e4 * curve + 7) == expected


def test_smooth_is_a_plain_mean():
    curve = noise(1.0, 3).view(100, 3)
    for window in (1, 4, 7, 10):
        found = smooth(curve, window)
        for t in range(100):
            rows = [
                u
                for u in range(t - window // 2, t + (window - 1) // 2 + 1)
                if 0 <= u < 100
            ]
            assert torch.allclose(found[t], curve[rows].mean(0))
    assert smooth(curve.float(), 10).dtype == torch.float32


def test_noise_level():
    assert noise_level(3 * T + 7) == pytest.approx(0, abs=1e-9)
    measured = [noise_level(T / 50 + noise(0.4, seed)) for seed in range(50)]
    assert np.mean(measured) == pytest.approx(0.4, rel=0.03)
    assert noise_level(T[:2]) == 0


def test_falling_rate_is_the_centred_mean():
    errors = noise(1.0, 0)[:40]
    found = falling_rate(errors, 5)
    for t in range(40):
        epochs = range(t - 5, t + 6)
        if t - 5 >= 1 and t + 5 < 40:
            expected = np.mean([-(errors[u] - errors[u - 1]).item() for u in epochs])
            assert found[t].item() == pytest.approx(expected)
        else:
            assert math.isnan(found[t])


def test_fastest_fall():
    assert fastest_fall(1 - torch.sigmoid((T - 140) / 20)) == pytest.approx(140, abs=1)
    assert fastest_fall(T) is None
    assert fastest_fall(torch.ones(50)) is None
    assert fastest_fall(-T[:11]) is None
    assert fastest_fall(-T[:12]) == 6
    assert fastest_fall(T[:0]) is None


def test_short_time_correlation_is_numpys():
    x, y = noise(1.0, 0).view(100, 3), noise(1.0, 1).view(100, 3) + T.view(100, 3) / 50
    found = short_time_correlation(x, y, 12)
    assert found.shape == (89, 3)
    for t in range(89):
        for k in range(3):
            expected = np.corrcoef(x[t : t + 12, k], y[t : t + 12, k])[0, 1]
            assert found[t, k].item() == pytest.approx(expected, abs=1e-12)


def test_constant_windows_have_no_correlation():
    x, y = noise(1.0, 0)[:30].clone(), noise(1.0, 1)[:30]
    for value in (0.1, 0.7, 1 / 3, -412.8):  # their means are not exact
        x[10:20] = value
        found = short_time_correlation(x, y, 7)
        # windows that lie within the constant part start at 10 to 13
        assert found.isnan().nonzero().flatten().tolist() == list(range(10, 14))
    assert short_time_correlation(y, 3 * y - 2, 5) == pytest.approx(torch.ones(26))
    for window in (1, 31):
        with pytest.raises(ValueError, match="window"):
            short_time_correlation(x, y, window)
    with pytest.raises(ValueError, match="equal shapes"):
        short_time_correlation(x, y[1:], 5)


def test_spectrum_agreement_leaves_out_the_constant_and_what_is_constant():
    x = noise(1.0, 0).view(60, 5).clone()
    y = torch.cat([-x[:, :1], x[:, 1:3], -x[:, 3:4], x[:, 4:]], dim=1)
    y[:, 4] = 2.0
    # k = 0 is left out, k = 1, 2 agree, k = 3 is opposite, k = 4 has none
    assert spectrum_agreement(x, y, 10) == pytest.approx(torch.full((51,), 1 / 3))


def test_learned_for_good():
    right = torch.tensor(
        [[0, 1, 0, 1], [1, 1, 0, 1], [0, 1, 0, 1], [1, 1, 0, 1], [1, 1, 1, 0]]
    )
    assert learned_for_good(right).tolist() == [3, 0, 4, -1]


def test_bad_search():
    for bad in ({"window": 0}, {"patience": 0}, {"certainty": -1.0}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            Search(**bad)
    with pytest.raises(ValueError, match="one axis"):
        find_turns(torch.zeros(3, 2))


def test_landmarks_of_a_run_with_known_turns():
    u = torch.arange(400.0)
    error = (-u / 20).exp() + 0.3 * (-(((u - 200) / 50) ** 2)).exp()
    spectrum = (-(((u - 220) / 40) ** 2)).exp()
    spectrum[:20] = -1.0  # an early rise, steeper than all that follows
    perturbed = 1 - torch.sigmoid((u - 190) / 10)
    found = landmarks(error, spectrum, perturbed)
    assert found.error.minimum == pytest.approx(int(error[:200].argmin()), abs=3)
    assert found.error.peak == pytest.approx(200, abs=3)
    assert found.spectrum.peak == pytest.approx(220, abs=3)
    assert found.fastest_fall == pytest.approx(190, abs=1)
    # a Gaussian rises fastest one standard deviation, 40 / sqrt 2, before its middle
    assert found.fastest_growth == pytest.approx(220 - 40 / 2**0.5, abs=2)
    still = landmarks(error, torch.zeros(400), torch.ones(400))
    assert still.spectrum.peak is None
    assert still.fastest_fall is None
    assert still.fastest_growth is None


def test_first_minimum_is_the_least_value_where_a_curve_has_none():
    u = torch.arange(300.0)
    twice = (-u / 20).exp() + 0.3 * (-(((u - 150) / 40) ** 2)).exp() - u / 1000
    assert first_minimum(twice) < 100 < int(twice.argmin())
    assert first_minimum(-u) == 299
