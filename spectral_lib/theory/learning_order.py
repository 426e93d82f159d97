"""Which frequency is learned how fast, and which initialization gives a wanted order.

Rates are those of the error's amplitude per unit of time of a loss with the factor 1/2;
squared errors decay twice as fast. That the distribution of initial frequencies sets
the order of learning, and that choosing it can remove the bias, is Molina et al. 2024
(abstract); the formulas and the design are derived here from the frequency equation.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spectral_lib.data.frequencies import Tabulated
from spectral_lib.theory.infinite_width import WideNetwork

Array = NDArray[np.float64]


def local_rate(
    network: WideNetwork, xi: ArrayLike, x: ArrayLike = 0.0, length: float = 2.0
) -> Array:
    """Rate at which an error of frequency xi around the point x decays.

    (2 pi / L) (R1(xi) + R2(xi) x^2), the symbol of the equation: good for errors spread
    over many wavelengths (WKB). xi in radians and x are broadcast together. Warns where
    the network keeps too few powers of its kernel (`WideNetwork.truncation`).
    """
    if float(np.max(network.truncation(xi), initial=0.0)) > 0.05:
        warnings.warn(
            f"{network.terms} powers of the kernel are too few for a rate at "
            f"{float(np.max(xi)):.4g} rad; give the network more terms.",
            stacklevel=2,
        )
    place = np.asarray(x, dtype=float) ** 2
    local = network.damping(xi) + network.diffusion(xi) * place
    return 2 * np.pi / length * local


def packet_rate(
    network: WideNetwork,
    xi: ArrayLike,
    width: float,
    centre: float = 0.0,
    length: float = 2.0,
) -> Array:
    """Initial rate, at its own frequency xi, of a packet exp(-(x - c)^2 / 2 width^2).

    (2 pi / L) (R1 + R2 (c^2 + width^2)). At the frequency of the packet the slope of R2
    turns the phase alone, at the rate (2 pi / L) R2' c, and its curvature does not
    enter. Away from it, and for a packet whose line at -xi overlaps, the rate differs.

    Raises
    ------
    ValueError
        If the width is not positive.
    """
    if not width > 0:
        raise ValueError(f"width is {width}; give a positive one.")
    return local_rate(network, xi, np.hypot(centre, width), length)


def aliased_density(
    density: Callable[[Array], Array],
    xi: ArrayLike,
    points: int,
    length: float = 2.0,
    copies: int = 50,
) -> Array:
    """Density as equally spaced points see it: sum_j density(xi + 2 pi j points / L).

    ``copies`` are taken on each side. Where the sum is flat although the density is
    not, it is the grid that removes the bias, on the points of training alone.

    Raises
    ------
    ValueError
        If points or copies are too few.
    """
    if points < 1 or copies < 0:
        raise ValueError(
            f"points is {points} and copies is {copies}; give points >= 1, copies >= 0."
        )
    at = np.asarray(xi, dtype=float)
    shifts = 2 * np.pi * points / length * np.arange(-copies, copies + 1)
    return np.asarray(density(at[..., None] + shifts)).sum(-1)


def unbiased_std(low: float, high: float, ratio: float) -> float:
    """Smallest std of normal frequencies at which two rates are as equal as asked.

    The rate at ``high`` is ``ratio`` times that at ``low`` (radians) at
    std = sqrt((high^2 - low^2) / (2 ln(1 / ratio))).

    Raises
    ------
    ValueError
        If not 0 <= low < high and 0 < ratio < 1.
    """
    if not (0 <= low < high and 0 < ratio < 1):
        raise ValueError(
            f"low {low}, high {high}, ratio {ratio}: need 0 <= low < high and a ratio "
            "between 0 and 1."
        )
    return float(np.sqrt((high**2 - low**2) / (2 * np.log(1 / ratio))))


@dataclass(frozen=True)
class Design:
    """An initialization with a wanted order of learning.

    Attributes
    ----------
    frequencies
        The distribution to draw from.
    scale
        Rates of the network over the wanted ones, the same at all frequencies of the
        band: below 1 the network is slower than wished.
    """

    frequencies: Tabulated
    scale: float


def design_frequencies(
    xi: ArrayLike,
    rates: ArrayLike,
    *,
    width: float = 0.0,
    sigma_a: float = 0.0,
    taper: float = 0.0,
    length: float = 2.0,
) -> Design:
    """Find the distribution whose two-layer network learns a band at wanted rates.

    Rates are (2 pi / L) rho_s (1 + sigma_a^2 width^2), and a density integrates to 1,
    so that the rates over all frequencies have a fixed sum: only their ratios can be
    chosen. What one frequency gains others lose, and whatever lies outside the band and
    its taper is not learned at all.

    Parameters
    ----------
    xi
        Frequencies of the band [k], not negative and increasing, in radians.
    rates
        Wanted rates there [k], linear in between; not negative.
    width
        Standard deviation of the error's window around 0 (see `packet_rate`).
    sigma_a
        Of the network, with trained frequencies; 0 if they are frozen.
    taper
        Radians over which the density falls to 0 beyond the ends of the band. A jump
        makes the kernel long-ranged, and the ends of the interval then matter.
    length
        Of the interval.

    Returns
    -------
    Design
        A symmetric tabulated density, and how its rates compare with the wanted ones.

    Raises
    ------
    ValueError
        If band, rates or taper are not as said.
    """
    band, wanted = np.asarray(xi, dtype=float), np.asarray(rates, dtype=float)
    if band.ndim != 1 or band.size < 2 or band.shape != wanted.shape:
        raise ValueError(
            f"xi has shape {band.shape} and rates {wanted.shape}; give two rows of the "
            "same length, at least 2."
        )
    if band[0] < 0 or not np.all(np.diff(band) > 0):
        raise ValueError("xi must increase and start at 0 or above.")
    if not (np.all(wanted >= 0) and np.isfinite(wanted).all() and wanted.any()):
        raise ValueError("rates must be finite, not negative and not all 0.")
    if not taper >= 0:
        raise ValueError(f"taper is {taper}; it must be >= 0.")
    ramp = taper if taper > 0 else 1e-9 * band[-1]
    right, heights = np.append(band, band[-1] + ramp), np.append(wanted, 0.0)
    if band[0] > 0:
        # A ramp wider than the gap ends at 0, not below.
        foot = max(band[0] - ramp, 0.0)
        level = wanted[0] * (1.0 - (band[0] - foot) / ramp)
        right, heights = np.insert(right, 0, foot), np.insert(heights, 0, level)
        if foot > 0:
            right, heights = np.insert(right, 0, 0.0), np.insert(heights, 0, 0.0)
    total = 2 * np.trapezoid(heights, right)
    knots = np.concatenate([-right[:0:-1], right])
    table = Tabulated(knots, np.concatenate([heights[:0:-1], heights]))
    per_density = 2 * np.pi / length * (1.0 + (sigma_a * width) ** 2)
    return Design(table, float(per_density / total))
