"""The partial differential equation of the frequency bias, by finite elements.

With u^ the transform of the error cut to an interval of length L,

    du^/dt = -(2 pi / L) [ R1 u^ - d/dxi ( R2 du^/dxi ) ],     R2 du^/dxi -> 0 far out.

For two layers R1 = rho_s and R2 = sigma_a^2 rho_s; a dense layer on top gives mixtures
of self-convolutions (`WideNetwork`). That the error obeys a damped heat equation whose
coefficients are set by the distribution of frequencies and by sigma_a, and that finite
elements solve it, is Molina et al. 2024 (abstract); this form, its constants, and the
step of leaving out the projection onto the interval are derived here. The solver is P1
elements (scikit-fem) and Crank-Nicolson after two steps of backward Euler.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solveh_banded
from skfem import Basis, BilinearForm, ElementLineP1, MeshLine
from skfem.helpers import dot, grad

from spectral_lib.theory.infinite_width import WideNetwork

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]
Density = Callable[[Array], Array]


@dataclass(frozen=True)
class FrequencyEquation:
    """Coefficients of the equation: two densities and the length of the interval.

    ``damping`` and ``diffusion`` map frequencies (radians, any shape) to R1 and R2,
    which must not be negative. ``constant`` is the mass of R1 at frequency 0, the
    constant in the kernel: it damps the mean of the error, and is kept exactly as the
    projection onto the transform of the interval.
    """

    damping: Density
    diffusion: Density
    length: float = 2.0
    constant: float = 0.0

    def __post_init__(self) -> None:
        if not self.length > 0:
            raise ValueError(f"length is {self.length}; give a positive one.")
        if not self.constant >= 0:
            raise ValueError(f"constant is {self.constant}; it must be >= 0.")

    def without_diffusion(self) -> "FrequencyEquation":
        """The same damping alone: what a network with frozen frequencies obeys."""
        return replace(self, diffusion=np.zeros_like)


@dataclass(frozen=True)
class FrequencySolution:
    """What the solver found.

    Attributes
    ----------
    xi
        Nodes [nodes] in radians.
    times
        Output times [times], ascending.
    states
        u^ at the nodes, complex [times, ..., nodes].
    energy_times, energy
        Every time step, from 0 on, [steps + 1]; and 1/2 int |u^|^2 d xi at them,
        [steps + 1, ...].
    """

    xi: Array
    times: Array
    states: Complex
    energy_times: Array
    energy: Array

    def at(self, xi: ArrayLike) -> Complex:
        """States interpolated linearly to other frequencies, [times, ..., given]."""
        wanted = np.asarray(xi, dtype=float).ravel()
        rows = self.states.reshape(-1, self.xi.size)
        found = np.array([np.interp(wanted, self.xi, row) for row in rows])
        return found.reshape(*self.states.shape[:-1], wanted.size)


def equation_of(network: WideNetwork, length: float = 2.0) -> FrequencyEquation:
    """The equation of an infinitely wide network on an interval."""
    return FrequencyEquation(
        network.damping, network.diffusion, length, network.constant
    )


def frequency_nodes(reach: float = 150.0, elements: int = 3000) -> Array:
    """Equally spaced nodes from -reach to reach, [elements + 1], in radians.

    Put a node on every jump of a density: the elements then see each side alone.

    Raises
    ------
    ValueError
        If the reach is not positive or there are no elements.
    """
    if not reach > 0 or elements < 1:
        raise ValueError(
            f"reach is {reach} and elements is {elements}; both must be positive."
        )
    return np.linspace(-reach, reach, elements + 1)


def solve(
    equation: FrequencyEquation,
    xi: ArrayLike,
    initial: ArrayLike,
    times: Sequence[float],
    steps: int = 400,
) -> FrequencySolution:
    """Solve the equation from the transform of the initial error.

    Parameters
    ----------
    equation
        The coefficients.
    xi
        Nodes [nodes], increasing.
    initial
        u^ at the nodes, real or complex [..., nodes]; leading axes are solved together.
    times
        Output times, ascending and positive, in units of a loss with the factor 1/2.
    steps
        Time steps up to the last time, at least 3; every output time is met exactly.

    Raises
    ------
    ValueError
        If shapes, times, steps or densities are not as said.
    """
    nodes, states = _check(xi, initial, times, steps)
    mass, decay = _assemble(equation, nodes)
    shape = states.shape[:-1]
    rows = states.reshape(-1, nodes.size)
    columns: Array = np.concatenate([rows.real, rows.imag]).T

    # The constant c K(x, x') = c of the kernel is c / (2 pi L) g g^T, g = mass f, with
    # the transform f of the interval.
    half = equation.length / 2.0
    interval = 2.0 * half * np.sinc(half * nodes / np.pi)[:, None]
    flat = _multiply(mass, interval)
    weight = equation.constant / (2 * np.pi * equation.length)

    now, taken = 0.0, 0
    clock, energy, kept = [], [], []
    product = _multiply(mass, columns)
    for end in times:
        count = max(1, round(steps * (end - now) / times[-1]))
        step = (end - now) / count
        for k in range(count):
            clock.append(now + k * step)
            energy.append((columns * product).sum(0) / 2.0)
            taken += 1
            share = step if taken <= 2 else step / 2.0
            found = _implicit(mass + share * decay, flat, share * weight, product)
            # Half a step of backward Euler and its mirror image are Crank-Nicolson.
            columns = found if taken <= 2 else 2.0 * found - columns
            product = _multiply(mass, columns)
        now = end
        kept.append(columns)
    clock.append(now)
    energy.append((columns * product).sum(0) / 2.0)
    real, imaginary = np.split(np.array(kept), 2, axis=2)
    final = np.swapaxes(real + 1j * imaginary, 1, 2).reshape(-1, *shape, nodes.size)
    parts = np.array(energy).reshape(len(energy), 2, -1).sum(1)
    return FrequencySolution(
        nodes,
        np.asarray(times, dtype=float),
        final,
        np.array(clock),
        parts.reshape(-1, *shape),
    )


def relative_distance(u: ArrayLike, v: ArrayLike, initial: ArrayLike) -> Array:
    """Norm of u - v over that of the initial transform, over the last axis.

    All on one grid of equally spaced frequencies, so that sums stand for integrals.
    """
    gap = np.linalg.norm(np.asarray(u) - np.asarray(v), axis=-1)
    return gap / np.linalg.norm(np.asarray(initial), axis=-1)


def _assemble(equation: FrequencyEquation, nodes: Array) -> tuple[Array, Array]:
    """Mass matrix and (2 pi / L) (damping + diffusion), as [diagonal, one below]."""
    basis = Basis(MeshLine(nodes), ElementLineP1(), intorder=5)
    at = np.asarray(basis.global_coordinates())[0]
    damping = np.asarray(equation.damping(at), dtype=float)
    diffusion = np.asarray(equation.diffusion(at), dtype=float)
    if not (damping.min() >= 0 and diffusion.min() >= 0):
        raise ValueError(
            "damping or diffusion is negative or not a number somewhere on the mesh; "
            "give densities."
        )

    @BilinearForm
    def mass(u: Any, v: Any, _: Any) -> Any:
        return u * v

    @BilinearForm
    def decay(u: Any, v: Any, w: Any) -> Any:
        return w.damping * u * v + w.diffusion * dot(grad(u), grad(v))

    matrices = (
        mass.assemble(basis),
        decay.assemble(basis, damping=damping, diffusion=diffusion),
    )
    banded = [
        np.stack([m.diagonal(), np.append(m.diagonal(-1), 0.0)]) for m in matrices
    ]
    return banded[0], 2 * np.pi / equation.length * banded[1]


def _multiply(banded: Array, columns: Array) -> Array:
    """A symmetric tridiagonal matrix times columns [nodes, columns]."""
    product = banded[0][:, None] * columns
    below = banded[1][:-1, None]
    product[1:] += below * columns[:-1]
    product[:-1] += below * columns[1:]
    return product


def _implicit(banded: Array, flat: Array, weight: float, columns: Array) -> Array:
    """Solve (banded + weight flat flat^T) found = columns by Sherman and Morrison."""
    if not weight:
        return solveh_banded(banded, columns, lower=True, check_finite=False)
    together = np.concatenate([columns, flat], axis=1)
    solved = solveh_banded(banded, together, lower=True, check_finite=False)
    found, direction = solved[:, :-1], solved[:, -1:]
    along = flat.T @ found / (1.0 / weight + flat.T @ direction)
    return found - direction * along


def _check(
    xi: ArrayLike, initial: ArrayLike, times: Sequence[float], steps: int
) -> tuple[Array, Complex]:
    nodes = np.asarray(xi, dtype=float)
    states = np.asarray(initial, dtype=complex)
    if nodes.ndim != 1 or nodes.size < 3 or not np.all(np.diff(nodes) > 0):
        raise ValueError("xi must be a row of at least 3 increasing nodes.")
    if states.shape[-1:] != nodes.shape:
        raise ValueError(
            f"the initial state has shape {states.shape} for {nodes.size} nodes; its "
            "last axis must run over the nodes."
        )
    ends = [0.0, *times]
    if len(ends) < 2 or not all(a < b for a, b in zip(ends, ends[1:], strict=False)):
        raise ValueError(f"times are {list(times)}; give positive ones, ascending.")
    if steps < 3:
        raise ValueError(f"steps is {steps}; give at least 3 (two start the scheme).")
    return nodes, states
