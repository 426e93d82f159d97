import math

import numpy as np
import pytest
import torch

from spectral_lib.data.frequencies import Empirical, Normal, Student, Tabulated, Uniform
from spectral_lib.data.packets import Packets, midpoints, transform_matrix
from spectral_lib.theory.frequency_pde import (
    FrequencyEquation,
    equation_of,
    frequency_nodes,
    relative_distance,
    solve,
)
from spectral_lib.theory.infinite_width import WideNetwork
from spectral_lib.theory.kernel_flow import kernel_flow

X = midpoints(400)
WINDOWED, SINES = Packets(), Packets(width=math.inf, phase=-math.pi / 2)


def transform(xi):
    return transform_matrix(X, torch.as_tensor(xi)).numpy()


def end_time(network):
    """Three times the time scale of the frequency 10."""
    return 3 / (np.pi * float(network.damping(10.0)))


def against_kernel_flow(network, target, equation=None):
    """Relative distances at four times, equation against kernel flow."""
    times = [end_time(network) * share for share in (1 / 8, 1 / 4, 1 / 2, 1)]
    xi = frequency_nodes()
    matrix, start = transform(xi), -target(X).numpy()
    flow = kernel_flow(network.kernel(X)).error(start, times) @ matrix.T
    found = solve(equation or equation_of(network), xi, matrix @ start, times)
    assert np.all(np.diff(found.energy) < 0)
    return relative_distance(found.states, flow, matrix @ start)


@pytest.mark.parametrize("std", [20.0, 60.0])
def test_windowed_normal_case_is_exact_to_a_tenth_of_a_percent(std):
    assert against_kernel_flow(WideNetwork(Normal(std)), WINDOWED).max() < 1e-4


def test_uniform_frequencies_leak_at_the_ends():
    """The kernel of a jump in the density is long-ranged; a ramp cures it."""
    gaps = against_kernel_flow(WideNetwork(Uniform(60.0)), WINDOWED)
    np.testing.assert_allclose(gaps, [0.0072, 0.0131, 0.0220, 0.0322], rtol=0.02)
    knots = [-80.0, -60.0, 60.0, 80.0]
    ramp = WideNetwork(Tabulated(knots, [0.0, 1.0, 1.0, 0.0]))
    assert against_kernel_flow(ramp, WINDOWED).max() < 2e-3


def test_without_a_window_the_projection_matters():
    for frequencies, low, high in (
        (Normal(20.0), 0.04, 0.13),
        (Normal(60.0), 0.025, 0.04),
        (Uniform(60.0), 0.05, 0.11),
    ):
        gaps = against_kernel_flow(WideNetwork(frequencies), SINES)
        assert low < gaps.min()
        assert gaps.max() < high


@pytest.mark.parametrize("features", ["cos_sin", "phase"])
@pytest.mark.parametrize(
    "frequencies",
    [
        Student(20.0),
        Student(20.0, 3.0),
        Empirical(Normal(20.0).sample(torch.Generator().manual_seed(0), (60,)), 6.0),
        Tabulated([-80.0, -40.0, 0.0, 40.0, 80.0], [0.0, 1.0, 2.0, 1.0, 0.0]),
    ],
)
def test_any_distribution_and_the_phase_variant(frequencies, features):
    network = WideNetwork(frequencies, 1.0, features=features)
    assert against_kernel_flow(network, WINDOWED).max() < 2e-3


@pytest.mark.parametrize(
    ("activation", "limit"), [("sin", 1e-4), ("tanh", 1e-4), ("relu", 6e-3)]
)
def test_two_densities_of_a_dense_layer(activation, limit):
    terms = 150 if activation == "relu" else 40
    network = WideNetwork(Normal(20.0), activation=activation, terms=terms)
    assert against_kernel_flow(network, WINDOWED).max() < limit


def test_the_constant_of_a_relu_kernel_matters():
    network = WideNetwork(Normal(20.0), activation="relu", terms=150)
    equation = equation_of(network)
    without = FrequencyEquation(equation.damping, equation.diffusion)
    gaps = against_kernel_flow(network, WINDOWED)
    assert against_kernel_flow(network, WINDOWED, without).max() > 10 * gaps.max()


def test_decay_at_the_last_time_of_the_three_frequencies():
    network, xi = WideNetwork(Normal(20.0)), frequency_nodes()
    start = transform(xi) @ -WINDOWED(X).numpy()
    found = solve(equation_of(network), xi, start, [end_time(network)])
    lines = [10.0, 30.0, 50.0]
    initial = transform(lines) @ WINDOWED(X).numpy()
    decay = np.abs(found.at(lines)[0]) / np.abs(initial)
    np.testing.assert_allclose(decay, [0.0480, 0.3245, 0.8585], atol=1e-4)


def test_diffusion_matters_off_the_centre():
    network = WideNetwork(Normal(30.0), sigma_a=3.0)
    packet = Packets((15.0,), 0.12, 0.5)
    full = against_kernel_flow(network, packet)
    off = against_kernel_flow(network, packet, equation_of(network).without_diffusion())
    assert np.all(off > 100 * full)
    assert off.max() > 0.3
    frozen = WideNetwork(Normal(30.0), 3.0, train_frequencies=False)
    assert against_kernel_flow(frozen, packet).max() < 1e-4


def test_second_order_in_the_mesh():
    network, sizes = WideNetwork(Normal(20.0)), [375, 750, 1500]
    fine = frequency_nodes(150.0, 12_000)
    start = transform(fine) @ WINDOWED(X).numpy()

    def run(elements):
        every = 12_000 // elements
        states = solve(equation_of(network), fine[::every], start[::every], [20.0], 50)
        return states.states[0]

    exact = run(12_000)
    gaps = [np.abs(run(n) - exact[:: 12_000 // n]).max() for n in sizes]
    orders = np.log2(np.array(gaps[:-1]) / gaps[1:])
    np.testing.assert_allclose(orders, 2.0, atol=0.15)


def test_second_order_in_time_even_from_a_rough_start():
    network, xi = WideNetwork(Normal(20.0)), frequency_nodes(150.0, 1000)
    for start in (transform(xi) @ WINDOWED(X).numpy(), (np.abs(xi) < 30) * 1.0):
        runs = {
            steps: solve(equation_of(network), xi, start, [30.0], steps).states[0]
            for steps in (50, 100, 200, 6400)
        }
        gaps = [np.linalg.norm(runs[n] - runs[6400]) for n in (50, 100, 200)]
        orders = np.log2(np.array(gaps[:-1]) / gaps[1:])
        np.testing.assert_allclose(orders, 2.0, atol=0.15)


def test_constant_coefficients_have_a_known_solution():
    """Cosines of a box with zero flux decay at (2 pi / L) (damping + D k^2)."""
    xi, k = frequency_nodes(10.0, 800), np.pi / 5

    def constant(value):
        return lambda at: np.full_like(at, value)

    equation = FrequencyEquation(constant(0.3), constant(0.2), length=4.0)
    start = (1 + 2j) * np.cos(k * xi)
    found = solve(equation, xi, start, [1.0, 2.5], 400)
    for time, state in zip(found.times, found.states, strict=True):
        decay = np.exp(-np.pi / 2 * (0.3 + 0.2 * k**2) * time)
        np.testing.assert_allclose(state, decay * start, atol=2e-5)
    # The energy of the mean of cos^2 over the box, 5 / 2 times ten, at the start.
    assert found.energy[0] == pytest.approx(5 * 5.0, rel=1e-4)
    np.testing.assert_allclose(found.energy_times[[0, -1]], [0.0, 2.5])


def test_where_there_are_no_frequencies_the_error_is_frozen():
    network, xi = WideNetwork(Uniform(30.0)), frequency_nodes(100.0, 1000)
    start = np.exp(-((np.abs(xi) - 40) ** 2) / 200)
    found = solve(equation_of(network), xi, start, [200.0]).states[0]
    # The elements' mass matrix carries the jump a few nodes (of 0.2) further.
    outside = np.abs(xi) > 33.0
    np.testing.assert_allclose(found[outside], start[outside], atol=1e-8)
    assert np.abs(found[np.abs(xi) < 25]).max() < 0.05


def test_leading_axes_are_solved_together_and_symmetry_is_kept():
    network, xi = (
        WideNetwork(Normal(20.0), activation="relu"),
        frequency_nodes(100, 400),
    )
    starts = np.stack([transform(xi) @ p(X).numpy() for p in (WINDOWED, SINES)])
    together = solve(equation_of(network), xi, starts[:, None], [1.0, 5.0], 20)
    assert together.states.shape == (2, 2, 1, 401)
    assert together.energy.shape == (21, 2, 1)
    for i in range(2):
        alone = solve(equation_of(network), xi, starts[i], [1.0, 5.0], 20)
        np.testing.assert_allclose(together.states[:, i, 0], alone.states, atol=1e-12)
    mirrored = together.states[..., ::-1].conj()
    np.testing.assert_allclose(mirrored, together.states, atol=1e-12)


ZERO = FrequencyEquation(np.zeros_like, np.zeros_like)
NODES = np.linspace(-1.0, 1.0, 5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: FrequencyEquation(np.sin, np.sin, length=0.0), "length is 0.0"),
        (lambda: FrequencyEquation(np.sin, np.sin, constant=-1.0), "constant is -1.0"),
        (lambda: frequency_nodes(0.0), "reach is 0.0"),
        (lambda: solve(ZERO, NODES[::-1], NODES, [1.0]), "increasing nodes"),
        (lambda: solve(ZERO, NODES, NODES[:4], [1.0]), "last axis"),
        (lambda: solve(ZERO, NODES, NODES, []), "times are"),
        (lambda: solve(ZERO, NODES, NODES, [2.0, 1.0]), "ascending"),
        (lambda: solve(ZERO, NODES, NODES, [1.0], 2), "steps is 2"),
        (
            lambda: solve(FrequencyEquation(np.sin, np.sin), NODES, NODES, [1.0]),
            "negative",
        ),
    ],
)
def test_bad_inputs(call, message):
    with pytest.raises(ValueError, match=message):
        call()
