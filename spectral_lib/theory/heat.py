"""Explicit scheme of the heat equation and its von Neumann stability analysis.

Source of everything here: Sun et al. 2022, section 3, equations (1)-(3), figure 1.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.fft import dst, idst

Array = NDArray[np.float64]


def amplifier(frequency: ArrayLike, ratio: float) -> Array:
    """Give the factor by which one step multiplies a spatial frequency.

    Parameters
    ----------
    frequency : array_like
        Angular frequency per grid point, in radians; any shape.
    ratio : float
        Time step over squared grid spacing (dimensionless), positive.

    Returns
    -------
    ndarray
        ``1 - 2 ratio (1 - cos frequency)``, shaped like `frequency`.

    Raises
    ------
    ValueError
        If `ratio` is not positive.

    Notes
    -----
    Sun et al. 2022, equation (3). The paper prints the formula without the 2, which
    contradicts its own limit of 1/2; see `amplifier_as_printed`.
    """
    _check_ratio(ratio)
    return 1.0 - 2.0 * ratio * (1.0 - np.cos(np.asarray(frequency, dtype=float)))


def amplifier_as_printed(frequency: ArrayLike, ratio: float) -> Array:
    """Give the amplifier as the paper prints it, without the factor 2.

    Parameters and errors are those of `amplifier`. Kept to show the misprint in
    Sun et al. 2022, below equation (3): it would be stable up to a ratio of 1.
    """
    _check_ratio(ratio)
    return 1.0 - ratio * (1.0 - np.cos(np.asarray(frequency, dtype=float)))


def largest_stable_step(spacing: float = 1.0) -> float:
    """Give the largest time step for which no frequency grows.

    Parameters
    ----------
    spacing : float
        Grid spacing, positive.

    Returns
    -------
    float
        ``spacing ** 2 / 2``: the CFL condition of Sun et al. 2022, section 3.

    Raises
    ------
    ValueError
        If `spacing` is not positive.
    """
    if not spacing > 0:
        raise ValueError(f"spacing is {spacing}; give a positive grid spacing.")
    return spacing**2 / 2.0


def triangle(points: int = 31, height: float = 1.5) -> Array:
    """Build the triangular initial state with zero ends.

    Parameters
    ----------
    points : int
        Number of grid points with both ends, odd and at least 3.
    height : float
        Value at the middle.

    Returns
    -------
    ndarray
        Shape ``(points,)``; Sun et al. 2022, figure 1, with the defaults.

    Raises
    ------
    ValueError
        If `points` is even or below 3.
    """
    if points < 3 or points % 2 == 0:
        raise ValueError(f"points is {points}; give an odd number of at least 3.")
    middle = points // 2
    return height * (1.0 - np.abs(np.arange(points) - middle) / middle)


def simulate(initial: ArrayLike, ratio: float, steps: Sequence[int]) -> Array:
    """Run the explicit scheme and return the states at the chosen steps.

    Parameters
    ----------
    initial : array_like
        State at step 0, shape ``(points,)``; its two ends stay as they are.
    ratio : float
        Time step over squared grid spacing, positive.
    steps : sequence of int
        Steps to return, from 0 up, in any order.

    Returns
    -------
    ndarray
        Shape ``(len(steps), points)``.

    Raises
    ------
    ValueError
        If the state is not one-dimensional with 3 points, a step is negative or
        `ratio` is not positive.

    Notes
    -----
    Sun et al. 2022, equation (2), without the error term.
    """
    state = _check_state(initial, ratio, steps)
    kept = {0: state.copy()}
    wanted = set(steps)
    for step in range(1, max(steps, default=0) + 1):
        curvature = state[2:] - 2.0 * state[1:-1] + state[:-2]
        state[1:-1] += ratio * curvature
        if step in wanted:
            kept[step] = state.copy()
    return np.array([kept[step] for step in steps]).reshape(len(steps), state.size)


def simulate_by_modes(initial: ArrayLike, ratio: float, steps: Sequence[int]) -> Array:
    """Give the same states in closed form, one sine mode at a time.

    Every discrete sine mode that vanishes at both ends is an eigenvector of the
    scheme with eigenvalue `amplifier`, so a step is a power of that number.

    Parameters and errors are those of `simulate`; the ends of `initial` must be 0,
    as in Sun et al. 2022, figure 1.
    """
    state = _check_state(initial, ratio, steps)
    if state[0] != 0 or state[-1] != 0:
        raise ValueError("the two ends of the initial state must be 0; subtract them.")
    inner = state.size - 2
    modes = dst(state[1:-1], type=1)
    growth = amplifier(np.pi * np.arange(1, inner + 1) / (inner + 1), ratio)
    states = np.zeros((len(steps), state.size))
    for row, step in enumerate(steps):
        states[row, 1:-1] = idst(growth**step * modes, type=1)
    return states


def _check_ratio(ratio: float) -> None:
    if not ratio > 0:
        raise ValueError(f"ratio is {ratio}; give a positive time step ratio.")


def _check_state(initial: ArrayLike, ratio: float, steps: Sequence[int]) -> Array:
    _check_ratio(ratio)
    state = np.array(initial, dtype=float)
    if state.ndim != 1 or state.size < 3:
        raise ValueError(
            f"the state has shape {state.shape}; give one row of at least 3 points."
        )
    if any(step < 0 for step in steps):
        raise ValueError(f"steps are {list(steps)}; give steps from 0 up.")
    return state
