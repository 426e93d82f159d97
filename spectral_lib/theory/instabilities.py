"""The exact figures of Sun et al. 2022, at the paper's settings.

Every function returns the data of one figure; its defaults are the paper's
numbers and its arguments the ones a reader may want to turn. Nothing is drawn here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from spectral_lib.theory import chaos, heat
from spectral_lib.theory.kernel_gradient import LinearEquation, NonlinearEquation
from spectral_lib.theory.kernel_pde import (
    Perturbation,
    Scheme,
    initial_kernel,
    loss_history,
    rounding_divergence,
)
from spectral_lib.theory.patch_operator import fast_operator
from spectral_lib.theory.patches import checkerboard

Array = NDArray[np.float64]


@dataclass(frozen=True)
class HeatRun:
    """States of the heat equation: `states` is ``(times, points)``."""

    ratio: float
    times: tuple[float, ...]
    states: Array


def figure_1(
    ratio: float = 0.4, times: Sequence[float] = (0.0, 0.8, 2.4, 4.0)
) -> HeatRun:
    """Run the heat equation from the triangle to the given times.

    Parameters
    ----------
    ratio : float
        Time step at grid spacing 1: 0.4 on the left of figure 1, 0.8 on the right.
    times : sequence of float
        Multiples of `ratio`, in units of the squared grid spacing.

    Raises
    ------
    ValueError
        If a time is not a multiple of the step or `ratio` is not positive.
    """
    steps = [round(time / ratio) for time in times] if ratio > 0 else []
    for time, step in zip(times, steps, strict=False):
        if abs(step * ratio - time) > 1e-9 * max(1.0, abs(time)):
            raise ValueError(
                f"time {time} is no multiple of the step {ratio}; choose one that is."
            )
    states = heat.simulate(heat.triangle(), ratio, steps)
    return HeatRun(ratio, tuple(times), states)


def figure_3(
    weight_decays: Sequence[float] = (1.1e7, 1.2e7, 1.3e7, 1.9e8, 2.0e8, 2.1e8, 2.2e8),
    steps: int = 500,
    kernel_size: int = 32,
    learning_rate: float = 1e-8,
    seed: int = 7,
    momentum: float | None = None,
) -> Tensor:
    """Record the loss of the linear equation for several weight decays.

    Parameters
    ----------
    weight_decays : sequence of float
        Positive, one run each.
    steps : int
        Number of iterations.
    kernel_size : int
        Side of the kernel, 1 to 256.
    learning_rate : float
        Positive.
    seed : int
        Seed of the initial kernel.
    momentum : float or None
        As in `Scheme`.

    Returns
    -------
    Tensor
        Shape ``(runs, steps + 1)``: Sun et al. 2022, figure 3.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    return loss_history(
        initial_kernel(kernel_size, seed),
        fast_operator(checkerboard(), kernel_size),
        LinearEquation(),
        Scheme((learning_rate,), tuple(weight_decays), momentum),
        steps,
    )


def figure_4_loss(
    learning_rates: Sequence[float] = (0.01, 0.03, 0.05, 0.07, 0.09, 0.1, 0.11, 0.13),
    steps: int = 1000,
    weight_decay: float = 20.0,
    kernel_size: int = 32,
    seed: int = 7,
    equation: NonlinearEquation | None = None,
) -> Tensor:
    """Record the loss of the non-linear equation for several learning rates.

    Parameters
    ----------
    learning_rates : sequence of float
        Positive, one run each.
    steps : int
        Number of iterations.
    weight_decay : float
        Positive.
    kernel_size : int
        Side of the kernel, 1 to 256.
    seed : int
        Seed of the initial kernel.
    equation : NonlinearEquation or None
        None for Swish with beta 1, mean pooling and label 1.

    Returns
    -------
    Tensor
        Shape ``(runs, steps + 1)``: Sun et al. 2022, figure 4, left.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    return loss_history(
        initial_kernel(kernel_size, seed),
        fast_operator(checkerboard(), kernel_size),
        equation or NonlinearEquation(),
        Scheme(tuple(learning_rates), (weight_decay,)),
        steps,
    )


def figure_4_divergence(
    learning_rates: Sequence[float] = (0.01, 0.03, 0.05, 0.07, 0.09),
    steps: int = 1000,
    perturbation: Perturbation | None = None,
    weight_decay: float = 20.0,
    kernel_size: int = 32,
    seed: int = 7,
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """Record how a change of rounding grows, for several learning rates.

    Parameters
    ----------
    learning_rates, steps, weight_decay, kernel_size, seed
        As in `figure_4_loss`.
    perturbation : Perturbation or None
        None for the factor 3, in the paper's order.
    dtype : torch.dtype
        float64 as in the paper, or float32.

    Returns
    -------
    Tensor
        Relative L1 distance between the perturbed and the plain run, shape
        ``(runs, steps + 1)``: Sun et al. 2022, figure 4, right, before smoothing with
        `moving_mean`.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.
    """
    rates = tuple(learning_rates)
    perturbed = Perturbation(3) if perturbation is None else perturbation
    schemes = (
        Scheme(rates, (weight_decay,)),
        Scheme(rates, (weight_decay,), perturbation=perturbed),
    )
    return rounding_divergence(
        initial_kernel(kernel_size, seed).to(dtype),
        fast_operator(checkerboard().to(dtype), kernel_size),
        NonlinearEquation(),
        schemes,
        steps,
    )


def initial_projection(kernel_size: int = 32, seed: int = 7) -> float:
    """Give ``s = <K, c>`` of the initial kernel, where the orbits of `chaos` start.

    Raises ValueError if `kernel_size` is below 1.
    """
    pattern = checkerboard(kernel_size)
    return float((initial_kernel(kernel_size, seed) * pattern).sum())


@dataclass(frozen=True)
class BifurcationDiagram:
    """Long-run behaviour of the map: `tails` is ``(rates, kept steps)``."""

    learning_rates: Array
    tails: Array
    exponents: Array
    threshold: float


def bifurcation_diagram(
    learning_rates: ArrayLike,
    force: chaos.CheckerboardForce | None = None,
    seed: int = 7,
    settle: int = 2000,
    keep: int = 200,
) -> BifurcationDiagram:
    """Compute the bifurcation diagram and Lyapunov exponents of figure 4's map.

    Parameters
    ----------
    learning_rates : array_like
        Positive, shape ``(rates,)``.
    force : CheckerboardForce or None
        None for the settings of figure 4.
    seed : int
        Seed of the initial kernel, which gives the starting point.
    settle, keep : int
        Steps thrown away and steps recorded.

    Returns
    -------
    BifurcationDiagram
        With the first learning rate at which no fixed point attracts.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    force = force or chaos.CheckerboardForce()
    start = initial_projection(force.kernel_size, seed)
    return BifurcationDiagram(
        learning_rates=np.asarray(learning_rates, dtype=float),
        tails=chaos.bifurcation(force, learning_rates, start, settle, keep),
        exponents=chaos.lyapunov_exponent(force, learning_rates, start, settle),
        threshold=max(point.critical_rate for point in chaos.fixed_points(force)),
    )


def moving_mean(values: ArrayLike, width: int = 100) -> Array:
    """Average the last axis over `width` neighbours; it gets ``width - 1`` shorter.

    Raises ValueError unless `width` is 1 to the length of that axis.
    """
    array = np.asarray(values, dtype=float)
    if not 1 <= width <= array.shape[-1]:
        raise ValueError(f"width is {width}; give 1 to {array.shape[-1]}.")
    windows = np.lib.stride_tricks.sliding_window_view(array, width, axis=-1)
    return windows.mean(axis=-1)
