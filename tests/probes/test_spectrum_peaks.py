"""Peak search on curves whose answer is known."""

import numpy as np
import pytest
import torch

from spectral_lib.probes.spectrum_peaks import (
    Noise,
    Search,
    Turns,
    find_turns,
    first_minimum,
    noise_of,
    smooth,
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


def test_patience_counts_to_the_epoch_and_the_first_of_equals_counts():
    curve = torch.tensor([3.0, 2, 1, 1, 2, 5, 5, 4, 3])
    search = Search(window=1, patience=3, certainty=0.0)
    for epochs, found in (
        (5, Turns(None, None)),
        (6, Turns(2, None)),
        (8, Turns(2, None)),
        (9, Turns(2, 5)),
    ):
        assert find_turns(curve[:epochs], search) == found


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


def autoregressive(correlation, seed, epochs=300):
    """Noise of deviation 1 whose neighbours correlate, one value after another."""
    rng = np.random.default_rng(seed)
    values = [rng.normal()]
    for _ in range(epochs - 1):
        fresh = (1 - correlation**2) ** 0.5 * rng.normal()
        values.append(correlation * values[-1] + fresh)
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("correlation", [0.0, 0.2, 0.4, 0.6])
def test_noise_whose_neighbours_correlate_has_no_peak_either(correlation):
    """Under the rule for white noise it had one in 0, 6, 57 and 99 % of curves."""
    for epochs in (120, 200, 400):
        curves = [autoregressive(correlation, seed, epochs) for seed in range(100)]
        peaks = [find_turns(curve).peak for curve in curves]
        assert sum(peak is not None for peak in peaks) <= 2


@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.6])
def test_noise_of_finds_deviation_and_correlation_beside_a_trend(correlation):
    trend = 5 + T / 50 + (T / 100) ** 2 + hump(150, 40, 2.0)
    found = [
        noise_of(trend + 0.4 * autoregressive(correlation, seed)) for seed in range(40)
    ]
    assert np.mean([n.deviation for n in found]) == pytest.approx(0.4, rel=0.06)
    assert np.mean([n.correlation for n in found]) == pytest.approx(
        correlation, abs=0.05
    )


def test_noise_of_a_mean_is_that_of_many_means():
    for correlation in (0.0, 0.5):
        curves = [autoregressive(correlation, seed)[100:110] for seed in range(4000)]
        measured = torch.stack(curves).mean(1).std()
        assert Noise(1.0, correlation).of_mean(10) == pytest.approx(
            float(measured), rel=0.04
        )


def test_a_curve_that_is_too_short_or_has_no_noise_has_none():
    assert noise_of(noise(1.0, 0)[:60]) == Noise(0.0, 0.0)
    assert noise_of(3 * T + 7 + T**2) == Noise(0.0, 0.0)
    for window in (3, 30):
        with pytest.raises(ValueError, match="odd number"):
            noise_of(T, window)


def test_bad_search():
    for bad in ({"window": 0}, {"patience": 0}, {"certainty": -1.0}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            Search(**bad)
    with pytest.raises(ValueError, match="one axis"):
        find_turns(torch.zeros(3, 2))


def test_first_minimum_is_the_least_value_where_a_curve_has_none():
    u = torch.arange(300.0)
    twice = (-u / 20).exp() + 0.3 * (-(((u - 150) / 40) ** 2)).exp() - u / 1000
    assert first_minimum(twice) < 100 < int(twice.argmin())
    assert first_minimum(-u) == 299
