"""Gradient flow of the error of a network whose tangent kernel stays as it is.

The loss is (1 / 2n) sum_i (f - g)^2 at n points, so the error u = f - g obeys
du/dt = -K u / n. A loss without the 1/2 runs twice as fast. It is solved exactly by
eigendecomposition, and so checks the frequency PDE by another numerical method.
Standard theory of tangent kernels; the identity for F[K v] is derived here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline

from spectral_lib.theory.infinite_width import WideNetwork

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]


@dataclass(frozen=True)
class KernelFlow:
    """Rates [..., n] (ascending, per unit of time) and modes [..., n, n] of K / n."""

    rates: Array
    modes: Array

    @property
    def largest_rate(self) -> float:
        """The largest rate of all kernels."""
        return float(self.rates[..., -1].max())

    def error(self, initial: ArrayLike, times: Sequence[float]) -> Array:
        """Error at times under gradient flow.

        ``initial`` [..., n] is broadcast against the kernels; returns [times, ..., n].
        """
        decay = np.exp(-np.multiply.outer(np.asarray(times, dtype=float), self.rates))
        return self._mix(initial, decay)

    def descent(self, initial: ArrayLike, step: float, steps: Sequence[int]) -> Array:
        """Error after steps of gradient descent with a step size (of time).

        The rates of gradient flow become log(1 - step rate) / step, which is what is
        left of a difference between flow and an infinitely wide network.

        Raises
        ------
        ValueError
            If the step is not stable.
        """
        check_step(step, self.largest_rate)
        powers = np.asarray(steps).reshape((-1,) + (1,) * self.rates.ndim)
        return self._mix(initial, (1.0 - step * self.rates) ** powers)

    def _mix(self, initial: ArrayLike, factors: Array) -> Array:
        u = np.asarray(initial, dtype=float)
        amplitudes = np.einsum("...xk,...x->...k", self.modes, u)
        # More initial errors than kernels: their axes come after the times.
        more = (1,) * (amplitudes.ndim - factors.ndim + 1)
        factors = factors.reshape(factors.shape[:1] + more + factors.shape[1:])
        return np.einsum("...xk,t...k->t...x", self.modes, factors * amplitudes)


def kernel_flow(kernel: ArrayLike) -> KernelFlow:
    """Diagonalise symmetric kernel matrices [..., n, n].

    Raises
    ------
    ValueError
        If they are not square and symmetric.
    """
    k = np.asarray(kernel, dtype=float)
    if k.ndim < 2 or k.shape[-1] != k.shape[-2]:
        raise ValueError(f"the kernel has shape {k.shape}; give square matrices.")
    gap = np.abs(k - np.swapaxes(k, -1, -2)).max(initial=0.0)
    if gap > 1e-4 * np.abs(k).max(initial=0.0):
        raise ValueError(
            f"the kernel differs from its transpose by {gap:.2g}; give K(x, x) of one "
            "set of points."
        )
    rates, modes = np.linalg.eigh((k + np.swapaxes(k, -1, -2)) / (2 * k.shape[-1]))
    return KernelFlow(rates, modes)


def frequency_rates(
    kernel: ArrayLike, u: ArrayLike, x: ArrayLike, xi: ArrayLike
) -> Complex:
    """Initial rate of the transform of u at frequencies xi under the flow of a kernel.

    Minus the time derivative of u^(xi) over u^(xi): its real part is the rate of the
    modulus, its imaginary part turns the phase. Shapes: kernel [..., n, n], u and x
    [n], xi [frequencies] in radians; returns [..., frequencies].
    """
    points = np.asarray(x, dtype=float).ravel()
    values = np.asarray(u, dtype=float).ravel()
    waves = np.exp(-1j * np.multiply.outer(np.asarray(xi, dtype=float), points))
    change = np.asarray(kernel, dtype=float) @ values / values.size
    return (change @ waves.T) / (waves @ values)


def stable_step(largest_rate: float) -> float:
    """Largest step of gradient descent at which no mode grows: 2 / rate.

    The step is in units of time, for a loss with the factor 1/2; halve it for a plain
    mean squared error.

    Raises
    ------
    ValueError
        If the rate is not positive.
    """
    if not largest_rate > 0:
        raise ValueError(f"largest_rate is {largest_rate}; give a positive rate.")
    return 2.0 / largest_rate


def accurate_step(largest_rate: float, share: float = 0.1) -> float:
    """Step at which descent follows the flow: share / rate.

    After t units of time a mode of that rate is off by about share rate t / 2 of
    itself. Raises ValueError like `stable_step`, and if the share is not in (0, 2).
    """
    if not 0 < share < 2:
        raise ValueError(f"share is {share}; give a number between 0 and 2.")
    return share * stable_step(largest_rate) / 2.0


def check_step(step: float, largest_rate: float) -> None:
    """Refuse a step of gradient descent that is not positive or not stable.

    Raises
    ------
    ValueError
        With the bound 2 / largest_rate in its message.
    """
    bound = stable_step(largest_rate)
    if not 0 < step < bound:
        raise ValueError(
            f"the step {step:g} is not stable: with a largest rate of "
            f"{largest_rate:.4g} it must be positive and below {bound:.4g}."
        )


def largest_rate_bound(network: WideNetwork, length: float = 2.0) -> float:
    """Bound the largest rate without a matrix, on a centred interval.

    (2 pi / L) (max R1 + (L / 2)^2 max R2) plus the constant of the kernel. It holds for
    the error on the whole interval and for points dense enough for the frequencies.
    """
    xi = np.linspace(0.0, network.frequencies.bandwidth, 2001)
    damping, diffusion = network.damping(xi).max(), network.diffusion(xi).max()
    local = 2 * np.pi / length * (damping + diffusion * (length / 2.0) ** 2)
    return float(local + network.constant)


def transform_identity(
    network: WideNetwork, v: ArrayLike, x: ArrayLike, xi: ArrayLike
) -> tuple[Complex, Complex]:
    """Both sides of F[K v] = 2 pi (R1 v^ - (R2 v^')').

    Parameters
    ----------
    network
        The kernel and its two densities.
    v, x
        A function [n] at equally spaced points [n]; it should vanish well before
        the ends.
    xi
        Equally spaced frequencies [frequencies] in radians, dense enough to
        differentiate by a cubic spline.

    Returns
    -------
    tuple of ndarray
        Left side, by quadrature over the points, and right side. K v must be short as
        well: extend x by zeros of v until it is.
    """
    points, values = np.asarray(x, dtype=float), np.asarray(v, dtype=float)
    frequencies = np.asarray(xi, dtype=float)
    spacing = points[1] - points[0]
    waves = spacing * np.exp(-1j * np.multiply.outer(frequencies, points))
    left = waves @ (network.kernel(points) @ values) * spacing
    flux = network.diffusion(frequencies) * (waves @ (-1j * points * values))
    slope = CubicSpline(frequencies, flux)(frequencies, 1)
    right = 2 * np.pi * (network.damping(frequencies) * (waves @ values) - slope)
    return left, right
