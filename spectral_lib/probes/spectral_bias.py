"""One number for spectral bias: how the residual divides between low and high.

The residual's energy below a cut-off frequency is e_low, that above e_high, and

    SB = (e_high - e_low) / (e_high + e_low)

lies in [-1, 1]: positive where low frequencies were learned first. Source: Kiessling &
Thor 2022 (AAAI 36), of which we could read the abstract. That the cut-off halves the
energy of the target about its mean is our reading, and so is the use of a discrete
Fourier transform on sorted points. An output that is the target's mean everywhere has
SB close to 0; one that is another constant has a negative SB, as the mean of a residual
is a low frequency.
"""

import torch
from torch import Tensor

SMALLEST = 1e-20
"""Energy over that of the target below which a residual is rounding alone."""

LEAKAGE = 1e-4
"""Energy over the largest below which a frequency is not one of the target's.

A wave sampled where it does not fit the grid exactly leaks into its neighbours.
"""


def grid_energies(values: Tensor) -> Tensor:
    """Energy of values [..., n] at k = 0 ... n // 2 cycles over an equidistant grid.

    The energies add up to the mean square. In float64.
    """
    n = values.shape[-1]
    energy = torch.fft.rfft(values.double(), dim=-1).abs().square() / n**2
    inner = slice(1, (n + 1) // 2)  # these have a conjugate partner; Nyquist has none
    energy[..., inner] *= 2
    return energy


def halving_cutoff(target: Tensor) -> float:
    """Cycles over the grid between which and its ends lie halves of a target's energy.

    ``target`` [n], on an equidistant grid; its mean does not count. The number lies
    half-way between two neighbouring k that have energy, those at which the share
    below comes closest to a half.

    Raises
    ------
    ValueError
        If fewer than two k have energy: nothing can be divided.
    """
    energy = grid_energies(target)[1:]
    present = (energy > LEAKAGE * energy.max()).nonzero().squeeze(1)
    if len(present) < 2:
        raise ValueError(
            f"the target has energy at {len(present)} frequencies; give one with at "
            "least two."
        )
    share = (energy.cumsum(0) / energy.sum())[present[:-1]]
    nearest = int((share - 0.5).abs().argmin())
    return 1.0 + float(present[nearest] + present[nearest + 1]) / 2


def band_energies(
    residual: Tensor, cutoff: float, top: float = float("inf")
) -> tuple[Tensor, Tensor]:
    """Energy of residuals [..., n] below and above a cut-off, [...] each.

    On an equidistant grid, frequencies in cycles over it; the mean counts as low, and
    what lies above ``top`` not at all.

    Raises
    ------
    ValueError
        If the cut-off is not between 0 and both ``top`` and n / 2.
    """
    n = residual.shape[-1]
    if not 0 < cutoff < min(top, n / 2):
        raise ValueError(
            f"cutoff is {cutoff:g} and top {top:g} on {n} points; give a cutoff above "
            f"0 and below both top and {n / 2:g}."
        )
    k = torch.arange(n // 2 + 1, device=residual.device)
    energy = grid_energies(residual)
    low = energy[..., k < cutoff].sum(-1)
    return low, energy[..., (k >= cutoff) & (k <= top)].sum(-1)


def spectral_bias(low: Tensor, high: Tensor, scale: float = 1.0) -> Tensor:
    """SB [...] of energies; NaN where both are at rounding level beside ``scale``.

    ``scale`` is the energy of the target.
    """
    whole = low + high
    return torch.where(whole > SMALLEST * scale, (high - low) / whole, torch.nan)
