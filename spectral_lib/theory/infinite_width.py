"""Tangent kernels of infinitely wide Fourier-features networks on an interval.

Every kernel here is K(x, x') = A(k) + x x' B(k) with k = kappa(x - x'), where A and B
are power series in k with coefficients that are not negative. A power k^j is the
characteristic function of the sum of j frequencies, so A and B are the transforms of
two densities, `damping` and `diffusion`: those of the frequency PDE. Derived here;
Molina et al. 2024 (abstract) say that such an equation exists for two layers, and study
deeper networks by experiment.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from numpy.typing import ArrayLike, NDArray
from scipy.special import gamma, gammainc, gammaln

from spectral_lib.data.frequencies import Frequencies, Normal

Array = NDArray[np.float64]
Activation = Literal["sin", "tanh", "relu"]
Features = Literal["cos_sin", "phase"]


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
    features
        ``"cos_sin"`` or ``"phase"``.
    train_frequencies
        Whether w is trained: without it there is no diffusion.
    train_phases
        Whether the phases of ``"phase"`` are trained: they add to the damping.
    terms
        How many powers of kappa the densities of a network with a dense layer keep.
        `truncation` tells where they are too few. With ReLU and normal frequencies the
        rest is added in closed form.

    Raises
    ------
    ValueError
        If a number is out of range or the activation is unknown.
    """

    frequencies: Frequencies
    sigma_a: float = 1.0
    activation: Activation | None = None
    features: Features = "cos_sin"
    train_frequencies: bool = True
    train_phases: bool = True
    terms: int = 40

    def __post_init__(self) -> None:
        if not 0 <= self.sigma_a < float("inf"):
            raise ValueError(f"sigma_a is {self.sigma_a}; it must be >= 0 and finite.")
        if self.activation not in (None, "sin", "tanh", "relu"):
            raise ValueError(
                f"activation is {self.activation!r}; use 'sin', 'tanh', 'relu' or None."
            )
        if self.features not in ("cos_sin", "phase"):
            raise ValueError(
                f"features is {self.features!r}; use 'cos_sin' or 'phase'."
            )
        if self.terms < 1:
            raise ValueError(f"terms is {self.terms}; give at least 1.")

    def kernel(self, x: ArrayLike, y: ArrayLike | None = None) -> Array:
        """Tangent kernel K(x, y), [points of x, points of y]; y = x if not given."""
        left = np.asarray(x, dtype=float).ravel()
        right = left if y is None else np.asarray(y, dtype=float).ravel()
        # Few distances differ on a regular grid, and some kappa are slow to evaluate.
        distance = np.abs(left[:, None] - right).round(12)
        different, place = np.unique(distance, return_inverse=True)
        values = self.frequencies.characteristic(different)
        plain, product = (
            part[place].reshape(distance.shape) for part in self.parts(values)
        )
        return plain + np.outer(left, right) * product

    def parts(self, kappa: ArrayLike) -> tuple[Array, Array]:
        """The functions A and B of k = kappa, shaped like it."""
        k = np.asarray(kappa, dtype=float)
        if self.activation is None:
            below, above, inner = k, np.ones_like(k), np.zeros_like(k)
        else:
            below, above = dual(self.activation, k)
            inner = k * above  # the dense layer's own weights
        variance = self.sigma_a**2
        trained = variance * k * above
        plain = below + variance * inner + self._phases * trained
        return plain, self.train_frequencies * trained

    def coefficients(self) -> tuple[Array, Array]:
        """Coefficients of k^0, k^1, ... in A and in B."""
        if self.activation is None:
            energy = np.array([0.0, 1.0])
            dense = np.zeros(2)
        else:
            energy = hermite_energies(self.activation, self.terms)
            dense = energy
        variance, power = self.sigma_a**2, np.arange(energy.size)
        trained = variance * power * energy
        plain = energy + variance * power * dense + self._phases * trained
        return plain, self.train_frequencies * trained

    def damping(self, xi: ArrayLike) -> Array:
        """Density R1 of A at frequencies xi in radians; its part at 0 is left out.

        A constant in A (`constant`; none for odd activations) is a point mass at
        frequency 0, which a density cannot show.
        """
        return self._mixture(xi, self._coefficients[0])

    def diffusion(self, xi: ArrayLike) -> Array:
        """Density R2 of B at frequencies xi in radians, with sigma_a^2 in it."""
        return self._mixture(xi, self._coefficients[1])

    @property
    def constant(self) -> float:
        """The constant in A: the mass at frequency 0."""
        return float(self._coefficients[0][0])

    @property
    def _phases(self) -> bool:
        return self.features == "phase" and self.train_phases

    @cached_property
    def _coefficients(self) -> tuple[Array, Array]:
        return self.coefficients()

    def truncation(self, xi: ArrayLike) -> Array:
        """Share of the damping at xi that the upper half of the powers make up.

        Where coefficients fall like a power (ReLU), about as much again is left out.
        0 where nothing is: without a dense layer, and with ReLU on normal frequencies.
        """
        at = np.asarray(xi, dtype=float)
        plain = self._coefficients[0]
        if self.activation is None or self._adds_tail:
            return np.zeros_like(at)
        upper = np.where(np.arange(plain.size) > plain.size // 2, plain, 0.0)
        whole = self.damping(at)
        share = np.zeros_like(at)
        return np.divide(self._mixture(at, upper), whole, out=share, where=whole > 0)

    @property
    def _adds_tail(self) -> bool:
        normal = isinstance(self.frequencies, Normal)
        return normal and self.activation == "relu" and self.terms >= 10

    def _mixture(self, xi: ArrayLike, coefficients: Array) -> Array:
        at = np.asarray(xi, dtype=float)
        total = np.zeros_like(at)
        for power in range(1, coefficients.size):
            if coefficients[power] > 0:
                convolved = self.frequencies.convolved_density(at, power)
                total += coefficients[power] * convolved
        if self._adds_tail and coefficients[2] > 0:
            total += self._tail(at, coefficients)
        return total

    def _tail(self, xi: Array, coefficients: Array) -> Array:
        """Powers beyond the last even one, J, of ReLU on normal frequencies.

        Coefficients c j^-p of even j times the density of variance j s^2 sum up to
        int j^-q e^(-a / j) dj / 2 from J + 1 on, with q = p + 1/2 and
        a = xi^2 / 2 s^2: an incomplete gamma function. p is that of the last two.
        """
        assert isinstance(self.frequencies, Normal)
        std, last = self.frequencies.std, 2 * (self.terms // 2)
        before, now = coefficients[last - 2], coefficients[last]
        p = np.log(before / now) / np.log(last / (last - 2))
        q, start = p + 0.5, last + 1.0
        a = np.maximum(xi**2 / (2 * std**2), 1e-6)
        integral = a ** (1 - q) * gamma(q - 1) * gammainc(q - 1, a / start)
        return now * last**p / (np.sqrt(2 * np.pi) * std) * integral / 2.0


def dual(activation: Activation, kappa: ArrayLike) -> tuple[Array, Array]:
    """E s(U) s(V) and E s'(U) s'(V) of standard normal U, V with correlation kappa.

    Closed for sine and ReLU (the arc-cosine kernel of Cho and Saul 2009); by Gauss-
    Hermite quadrature, good to about 1e-8, for tanh.

    Raises
    ------
    ValueError
        If the activation is unknown.
    """
    k = np.clip(np.asarray(kappa, dtype=float), -1.0, 1.0)
    if activation == "sin":
        return np.sinh(k) / np.e, np.cosh(k) / np.e
    if activation == "relu":
        angle = np.arccos(-k)
        return (np.sqrt(1 - k**2) + k * angle) / (2 * np.pi), angle / (2 * np.pi)
    if activation != "tanh":
        raise ValueError(f"activation is {activation!r}; use 'sin', 'tanh' or 'relu'.")
    energy = hermite_energies("tanh", 160)
    value, slope = np.zeros_like(k), np.zeros_like(k)
    for power in range(energy.size - 1, 0, -1):
        slope = slope * k + power * energy[power]
        value = value * k + energy[power]
    return value * k + energy[0], slope


def hermite_energies(activation: Activation, terms: int) -> Array:
    """Squared coefficients of k^0 ... k^terms in E s(U) s(V), [terms + 1].

    They are the squared coefficients of s in normalised Hermite polynomials; E s' s'
    is the derivative of the series.

    Raises
    ------
    ValueError
        If the activation is unknown.
    """
    power = np.arange(terms + 1)
    if activation == "sin":
        return np.where(power % 2 == 1, np.exp(-1.0 - gammaln(power + 1.0)), 0.0)
    if activation == "relu":
        return _relu_energies(terms)
    if activation != "tanh":
        raise ValueError(f"activation is {activation!r}; use 'sin', 'tanh' or 'relu'.")
    nodes, weights = hermegauss(340)
    weights = weights / weights.sum()
    energies = np.zeros(terms + 1)
    before, now = np.zeros_like(nodes), np.ones_like(nodes)
    for n in power:
        energies[n] = (weights @ (np.tanh(nodes) * now)) ** 2 if n % 2 else 0.0
        following = (nodes * now - np.sqrt(n) * before) / np.sqrt(n + 1.0)
        before, now = now, following
    return energies


def _relu_energies(terms: int) -> Array:
    """1/(2 pi), 1/4, then ((n-3)!!)^2 / (2 pi n!) for even n."""
    energies = np.zeros(terms + 1)
    energies[: min(2, terms + 1)] = [1 / (2 * np.pi), 0.25][: terms + 1]
    value = 1 / (4 * np.pi)
    for n in range(2, terms + 1, 2):
        energies[n] = value
        value *= (n - 1.0) ** 2 / ((n + 1.0) * (n + 2.0))
    return energies
