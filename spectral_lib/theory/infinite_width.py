"""Tangent kernels of infinitely wide Fourier-features networks on [-1, 1].

Every kernel here is K(x, x') = A(k) + x x' B(k) with k = kappa(x - x'), where A and B
are power series in k with coefficients that are not negative. A power k^j is the
characteristic function of the sum of j frequencies, so A and B are the transforms of
two densities, `damping` and `diffusion`: those of the frequency equation. Derived here;
Molina et al. 2024 (abstract) say that such an equation exists for two layers, and study
deeper networks by experiment.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from numpy.polynomial.polynomial import polyder, polyval
from numpy.typing import ArrayLike, NDArray
from scipy.special import gamma, gammainc, gammaln

from spectral_lib.data.frequencies import Frequencies, Normal

Array = NDArray[np.float64]
Activation = Literal["sin", "tanh", "relu"]


@dataclass(frozen=True)
class WideNetwork:
    """The limit of a Fourier-features network, with the field names of its settings.

    Attributes
    ----------
    frequencies
        Distribution of the initial frequencies.
    sigma_a
        Standard deviation of the last layer's weights.
    activation
        Of a dense layer with N(0, 1) weights on top of the features; None for none.
    train_frequencies
        Whether w is trained: without it there is no diffusion.
    terms
        How many powers of kappa the densities of a network with a dense layer keep.
        Those of ReLU fall like a power of theirs; with normal frequencies and at least
        10 terms, what is left out is added in closed form.

    Raises
    ------
    ValueError
        If sigma_a is negative or infinite, terms below 1 or the activation unknown.
    """

    frequencies: Frequencies
    sigma_a: float = 1.0
    activation: Activation | None = None
    train_frequencies: bool = True
    terms: int = 40

    def __post_init__(self) -> None:
        if not 0 <= self.sigma_a < float("inf"):
            raise ValueError(f"sigma_a is {self.sigma_a}; it must be >= 0 and finite.")
        if self.activation not in (None, "sin", "tanh", "relu"):
            raise ValueError(
                f"activation is {self.activation!r}; use 'sin', 'tanh', 'relu' or None."
            )
        if self.terms < 1:
            raise ValueError(f"terms is {self.terms}; give at least 1.")

    def kernel(self, x: ArrayLike) -> Array:
        """Tangent kernel K(x, x'), [points of x, points of x]."""
        points = np.asarray(x, dtype=float).ravel()
        # Few distances differ on a regular grid, and some kappa are slow to evaluate.
        distance = np.abs(points[:, None] - points).round(12)
        different, place = np.unique(distance, return_inverse=True)
        plain, product = (
            part[place].reshape(distance.shape)
            for part in self.parts(self.frequencies.characteristic(different))
        )
        return plain + np.outer(points, points) * product

    def parts(self, kappa: ArrayLike) -> tuple[Array, Array]:
        """The functions A and B of k = kappa, shaped like it."""
        k = np.asarray(kappa, dtype=float)
        if self.activation is None:
            return self._combine(k, k, np.zeros_like(k))
        value, slope = dual(self.activation, k)
        return self._combine(value, k * slope, k * slope)

    @cached_property
    def coefficients(self) -> tuple[Array, Array]:
        """Coefficients of k^0, k^1, ... in A and in B."""
        if self.activation is None:
            one = np.array([0.0, 1.0])
            return self._combine(one, one, np.zeros(2))
        energy = hermite_energies(self.activation, self.terms)
        slope = np.arange(energy.size) * energy
        return self._combine(energy, slope, slope)

    def _combine(self, last: Array, first: Array, dense: Array) -> tuple[Array, Array]:
        """A and B from what the last, the first and the dense layer's weights add."""
        first, dense = self.sigma_a**2 * first, self.sigma_a**2 * dense
        return last + dense, self.train_frequencies * first

    def damping(self, xi: ArrayLike) -> Array:
        """Density R1 of A at frequencies xi in radians; its part at 0 is left out.

        A constant in A (none for odd activations) is a point mass at frequency 0, which
        a density cannot show.
        """
        return self._mixture(xi, self.coefficients[0])

    def diffusion(self, xi: ArrayLike) -> Array:
        """Density R2 of B at frequencies xi in radians, with sigma_a^2 in it."""
        return self._mixture(xi, self.coefficients[1])

    @property
    def largest_rate(self) -> float:
        """Bound on the rates of the loss (1 / 2n) sum (f - g)^2, without a matrix.

        pi (max R1 + max R2) plus the constant of the kernel. It holds for the error on
        the whole interval and for points dense enough for the frequencies.
        """
        xi = np.linspace(0.0, self.frequencies.bandwidth, 2001)
        largest = self.damping(xi).max() + self.diffusion(xi).max()
        return float(np.pi * largest + self.coefficients[0][0])

    def _mixture(self, xi: ArrayLike, coefficients: Array) -> Array:
        at = np.asarray(xi, dtype=float)
        total = np.zeros_like(at)
        for power in range(1, coefficients.size):
            if coefficients[power] > 0:
                convolved = self.frequencies.convolved_density(at, power)
                total += coefficients[power] * convolved
        slow = self.activation == "relu" and self.terms >= 10 and coefficients[2] > 0
        if slow and isinstance(self.frequencies, Normal):
            total += self._tail(self.frequencies.std, at, coefficients)
        return total

    def _tail(self, std: float, xi: Array, coefficients: Array) -> Array:
        """Powers beyond the last even one, J, of ReLU on normal frequencies.

        Coefficients c j^-p of even j times the density of variance j s^2 sum up to
        int j^-q e^(-a / j) dj / 2 from J + 1 on, with q = p + 1/2 and
        a = xi^2 / 2 s^2: an incomplete gamma function. p is that of the last two.
        """
        last = 2 * (self.terms // 2)
        before, now = coefficients[last - 2], coefficients[last]
        p = np.log(before / now) / np.log(last / (last - 2))
        q, start = p + 0.5, last + 1.0
        a = np.maximum(xi**2 / (2 * std**2), 1e-6)
        integral = a ** (1 - q) * gamma(q - 1) * gammainc(q - 1, a / start)
        return now * last**p / (np.sqrt(2 * np.pi) * std) * integral / 2.0


def dual(activation: Activation, kappa: ArrayLike) -> tuple[Array, Array]:
    """E s(U) s(V) and E s'(U) s'(V) of standard normal U, V with correlation kappa.

    Closed for ReLU (the arc-cosine kernel of Cho and Saul 2009), else the power series,
    good to about 1e-8.
    """
    k = np.clip(np.asarray(kappa, dtype=float), -1.0, 1.0)
    if activation == "relu":
        angle = np.arccos(-k)
        return (np.sqrt(1 - k**2) + k * angle) / (2 * np.pi), angle / (2 * np.pi)
    energies = hermite_energies(activation, 160)
    return polyval(k, energies), polyval(k, polyder(energies))


def hermite_energies(activation: Activation, terms: int) -> Array:
    """Squared coefficients of k^0 ... k^terms in E s(U) s(V), [terms + 1].

    They are the squared coefficients of s in normalised Hermite polynomials; E s' s'
    is the derivative of the series. ReLU: 1/(2 pi), 1/4, then ((n-3)!!)^2 / (2 pi n!)
    for even n. Tanh: by Gauss-Hermite quadrature.
    """
    power = np.arange(terms + 1)
    energies = np.zeros(terms + 1)
    if activation == "sin":
        energies[1::2] = np.exp(-1.0 - gammaln(power[1::2] + 1.0))
        return energies
    if activation == "relu":
        energies[:2] = [1 / (2 * np.pi), 0.25]
        value = 1 / (4 * np.pi)
        for n in power[2::2]:
            energies[n] = value
            value *= (n - 1.0) ** 2 / ((n + 1.0) * (n + 2.0))
        return energies
    nodes, weights = hermegauss(340)
    weights = weights / weights.sum()
    before, now = np.zeros_like(nodes), np.ones_like(nodes)
    for n in power:
        energies[n] = (weights @ (np.tanh(nodes) * now)) ** 2 if n % 2 else 0.0
        following = (nodes * now - np.sqrt(n) * before) / np.sqrt(n + 1.0)
        before, now = now, following
    return energies
