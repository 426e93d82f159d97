"""The error's course in frequency: by its equation, and by the kernel's flow.

On [-1, 1] the transform of the error, cut to the interval, nearly obeys

    d/dt u(xi) = -pi [R1 u - (R2 u')'],

with the densities R1 and R2 of `spectral_lib.theory.infinite_width`. Derived here;
Molina et al. 2024 (abstract) solve such an equation by finite elements.
"""

from functools import cache

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import make_interp_spline
from scipy.linalg import solveh_banded
from scipy.sparse import diags

from spectral_lib.data.frequencies import Frequencies
from spectral_lib.data.packets import midpoints, transform_matrix
from spectral_lib.theory.infinite_width import WideNetwork

Array = NDArray[np.float64]
Spectra = NDArray[np.complex128]
Modes = tuple[Array, Array]


def transform(u: ArrayLike, xi: ArrayLike) -> Spectra:
    """Transform [..., xi] of values [..., points] at midpoints of the interval."""
    values = np.asarray(u)
    matrix = transform_matrix(midpoints(values.shape[-1]), torch.as_tensor(xi))
    return np.asarray(values @ matrix.numpy().T)


def equation_flow(
    network: WideNetwork,
    start: ArrayLike,
    xi: ArrayLike,
    times: ArrayLike,
    elements: int,
    steps: int,
) -> Spectra:
    """Spectra [times, ..., xi] of errors that start as [..., points], by the equation.

    The start stands at `midpoints` of the interval; xi, in radians, and times rise.
    Linear ``elements`` on the range of xi, with no flux through its ends, and about so
    many ``steps`` up to the last time: two of backward Euler, then Crank-Nicolson.
    Errors fall like the squares of both steps.
    """
    at, ends = np.asarray(xi, float), np.asarray(times, float)
    nodes = np.linspace(at[0], at[-1], elements + 1)
    mass, decay = _matrices(network, nodes)
    sparse = diags([mass[1, :-1], mass[0], mass[1, :-1]], [-1, 0, 1])
    spectra = transform(start, nodes)
    u, now, taken, found = spectra.reshape(-1, len(nodes)).T, 0.0, 0, []
    for end in ends:
        count = max(1, round(steps * (end - now) / ends[-1]))
        for _ in range(count):
            taken += 1
            tau = (end - now) / count / (1 if taken <= 2 else 2)
            ahead = solveh_banded(mass + tau * decay, sparse @ u, lower=True)
            u = ahead if taken <= 2 else 2 * ahead - u
        found.append(u.T.reshape(spectra.shape))
        now = end
    return np.asarray(make_interp_spline(nodes, np.stack(found), k=1, axis=-1)(at))


def _matrices(network: WideNetwork, nodes: Array) -> tuple[Array, Array]:
    """Mass and decay, diagonal and subdiagonal [2, nodes]; densities mean in cells."""
    length = np.diff(nodes)
    middle, half = (nodes[1:] + nodes[:-1]) / 2, length / 2
    points, weights = np.polynomial.legendre.leggauss(3)
    inside = middle[:, None] + half[:, None] * points
    damping = network.damping(inside) @ weights / 2
    diffusion = network.diffusion(inside) @ weights / 2

    def banded(own: Array, between: Array) -> Array:
        diagonal = np.append(own, 0.0) + np.append(0.0, own)
        return np.stack([diagonal, np.append(between, 0.0)])

    mass = banded(length / 3, length / 6)
    decay = banded(
        damping * length / 3 + diffusion / length,
        damping * length / 6 - diffusion / length,
    )
    return mass, np.pi * decay


@cache
def kernel_modes(network: WideNetwork, points: int) -> Modes:
    """Rates [n] and modes [n, n] of the network's kernel on midpoints."""
    rates, modes = np.linalg.eigh(network.kernel(midpoints(points)) / points)
    return rates, modes


def flow(
    modes: Modes, start: ArrayLike, times: ArrayLike, step: float = 0.0
) -> NDArray[np.float64]:
    """Errors [times, ..., n] that a kernel leaves of those at the start, [..., n].

    In time, a mode is left by exp(-rate t); in steps h of gradient descent, by
    (1 - h rate)^(t / h), with t / h rounded.
    """
    (rates, vectors), t = modes, np.asarray(times, float)[:, None]
    decay = (1 - step * rates) ** np.round(t / step) if step else np.exp(-t * rates)
    parts = np.asarray(start) @ vectors
    return np.asarray(np.einsum("tk,...k,xk->t...x", decay, parts, vectors))


def one_unit(
    frequencies: Frequencies, sigma_a: float, x: Array, u: Array, waves: Spectra
) -> tuple[Array, Array]:
    """Mean and standard deviation of the initial rate that one unit of a network adds.

    The rate of an error is Re sum_x wave (K u) / (n sum_x wave u), K a mean over units
    of two layers with independent frequencies and output weights. The mean is the exact
    rate at infinite width; with m units the rate scatters by the deviation over sqrt m.
    Moments of the normal output weights, of deviation sigma_a, are closed; the
    frequency is integrated over. Shapes: points x [n], errors u and their waves
    e^(-i xi x) [n, errors]; both results are [errors].
    """
    w = np.linspace(-1.4, 1.4, 2001) * frequencies.bandwidth
    weight = frequencies.density(w) * (w[1] - w[0])
    angle = np.outer(w, x)
    c, s = np.cos(angle), np.sin(angle)

    def form(p: Array, q: Array) -> Array:
        """What derivatives p and q [units, n] add to each rate, [units, errors]."""
        product = (p @ waves) * (q @ u) / ((waves * u).sum(0) * len(x))
        return np.asarray(product.real)

    aa, bb = form(x * s, x * s), form(x * c, x * c)
    ab = form(x * c, x * s) + form(x * s, x * c)
    mean = form(c, c) + form(s, s) + sigma_a**2 * (aa + bb)
    square = mean**2 + sigma_a**4 * (2 * aa**2 + 2 * bb**2 + ab**2)
    rate = weight @ mean
    return rate, np.sqrt(weight @ square - rate**2)
