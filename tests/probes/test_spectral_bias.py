"""Spectral bias of residuals with known spectra."""

import pytest
import torch

from spectral_lib.probes.spectral_bias import (
    band_energies,
    grid_energies,
    halving_cutoff,
    spectral_bias,
)

N = 101


def wave(k: int, amplitude: float = 1.0, n: int = N) -> torch.Tensor:
    u = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    return amplitude * torch.sin(2 * torch.pi * k * u + 0.3 * k)


@pytest.mark.parametrize("n", [64, 65])
def test_energies_add_up_to_the_mean_square(n: int) -> None:
    values = torch.randn(3, n, generator=torch.Generator().manual_seed(0)).double()
    expected = values.square().mean(-1)
    torch.testing.assert_close(grid_energies(values).sum(-1), expected)
    energy = grid_energies(wave(7, amplitude=3.0, n=n))
    assert float(energy[7]) == pytest.approx(4.5)


def test_cutoff_halves_the_energy_and_ignores_the_mean() -> None:
    target = wave(1) + wave(2) + wave(3) + wave(5)
    assert halving_cutoff(target) == 2.5
    assert halving_cutoff(target + 10) == 2.5
    assert halving_cutoff(wave(2, 0.1) + wave(4, 3.0) + wave(9, 2.9)) == 6.5
    with pytest.raises(ValueError, match="at 1 frequencies"):
        halving_cutoff(wave(3))


def test_cutoff_does_not_take_leakage_for_a_frequency() -> None:
    """Every fourth of 1797 points: the grid does not close, so that waves leak."""
    u = (torch.arange(1797, dtype=torch.float64)[2::4] + 0.5) / 1797
    waves = (torch.sin(2 * torch.pi * k * u + 0.1 * k) for k in (1, 2, 4, 8))
    assert halving_cutoff(sum(waves)) == 3.0  # type: ignore[arg-type]


def test_a_constant_has_no_bias_at_the_targets_mean_and_a_negative_one_elsewhere():
    target = wave(2) + wave(6) + 0.5
    for constant, expected in ((0.5, 0.0), (1.5, -0.5)):
        low, high = band_energies(constant - target, cutoff=4.0)
        assert float(spectral_bias(low, high)) == pytest.approx(expected, abs=1e-9)


def test_bias_of_what_is_left_in_closed_form() -> None:
    """Residual 1 - s_k of each of two equal waves: SB from the shares alone."""
    for left_low, left_high in ((1.0, 1.0), (0.5, 1.0), (1.0, 0.5), (0.0, 0.3)):
        residual = wave(2, left_low) + wave(6, left_high)
        low, high = band_energies(residual, cutoff=4.0)
        assert float(low) == pytest.approx(left_low**2 / 2, abs=1e-12)
        assert float(high) == pytest.approx(left_high**2 / 2, abs=1e-12)
        expected = (left_high**2 - left_low**2) / (left_high**2 + left_low**2)
        assert float(spectral_bias(low, high)) == pytest.approx(expected)


def test_mean_is_low_and_above_top_is_left_out() -> None:
    residual = wave(2) + wave(6) + wave(20) + 2.0
    low, high = band_energies(residual, cutoff=4.0, top=10.0)
    assert float(low) == pytest.approx(0.5 + 4.0)
    assert float(high) == pytest.approx(0.5)
    assert float(band_energies(residual, cutoff=4.0)[1]) == pytest.approx(1.0)


def test_rounding_level_is_not_a_bias() -> None:
    low, high = band_energies(1e-12 * wave(6), cutoff=4.0)
    assert torch.isnan(spectral_bias(low, high))
    assert not torch.isnan(spectral_bias(low, high, scale=1e-10))


@pytest.mark.parametrize(("cutoff", "top"), [(0.0, 9.0), (9.0, 9.0), (51.0, 99.0)])
def test_impossible_bands_are_refused(cutoff: float, top: float) -> None:
    with pytest.raises(ValueError, match="cutoff"):
        band_energies(wave(2), cutoff, top)
