import numpy as np
import pytest
import torch
from scipy.linalg import expm

from spectral_lib.data.frequencies import Normal, Uniform
from spectral_lib.data.packets import Packets, midpoints
from spectral_lib.theory.infinite_width import WideNetwork
from spectral_lib.theory.kernel_flow import (
    accurate_step,
    check_step,
    frequency_rates,
    kernel_flow,
    largest_rate_bound,
    stable_step,
    transform_identity,
)

POINTS = midpoints(60)
KERNEL = WideNetwork(Normal(20.0)).kernel(POINTS)
ERROR = Packets()(POINTS).numpy()


def test_flow_equals_the_matrix_exponential():
    times = [0.0, 3.0, 40.0]
    wanted = [expm(-t * KERNEL / 60) @ ERROR for t in times]
    np.testing.assert_allclose(
        kernel_flow(KERNEL).error(ERROR, times), wanted, atol=1e-12
    )


def test_flow_of_many_kernels_is_that_of_each():
    kernels = np.stack([KERNEL, WideNetwork(Uniform(30.0)).kernel(POINTS)])
    together = kernel_flow(kernels).error(ERROR, [2.0, 9.0])
    assert together.shape == (2, 2, 60)
    for r in range(2):
        alone = kernel_flow(kernels[r]).error(ERROR, [2.0, 9.0])
        np.testing.assert_allclose(together[:, r], alone, atol=1e-12)


def test_flow_of_many_errors_is_that_of_each():
    x = midpoints(12)
    kernels = [WideNetwork(Normal(s)).kernel(x) for s in (3.0, 6.0)]
    starts = np.random.default_rng(0).normal(size=(5, 12))
    one = kernel_flow(kernels[0]).error(starts, [0.5, 1.0, 2.0])
    assert one.shape == (3, 5, 12)
    crossed = kernel_flow(np.array(kernels)).error(starts[:, None], [0.5, 2.0])
    assert crossed.shape == (2, 5, 2, 12)
    for i, start in enumerate(starts):
        np.testing.assert_allclose(
            one[:, i], kernel_flow(kernels[0]).error(start, [0.5, 1.0, 2.0])
        )
        for j, kernel in enumerate(kernels):
            alone = kernel_flow(kernel).error(start, [0.5, 2.0])
            np.testing.assert_allclose(crossed[:, i, j], alone)


def test_descent_equals_a_loop_and_tends_to_the_flow():
    flow = kernel_flow(KERNEL)
    step, state = 1.5 / flow.largest_rate, ERROR.copy()
    for _ in range(7):
        state = state - step * KERNEL @ state / 60
    np.testing.assert_allclose(flow.descent(ERROR, step, [7])[0], state, atol=1e-12)
    exact, gaps = flow.error(ERROR, [8.0])[0], []
    for steps in (8, 16, 32):
        found = flow.descent(ERROR, 8.0 / steps, [steps])[0]
        gaps.append(np.linalg.norm(found - exact))
    orders = np.log2(np.array(gaps[:-1]) / gaps[1:])
    np.testing.assert_allclose(orders, 1.0, atol=0.1)  # Euler's method is first order


def test_the_bound_separates_decay_from_growth():
    flow = kernel_flow(KERNEL)
    bound = stable_step(flow.largest_rate)
    assert bound == 2 / flow.largest_rate
    assert accurate_step(flow.largest_rate) == pytest.approx(bound / 20)
    check_step(0.99 * bound, flow.largest_rate)
    for step in (1.01 * bound, bound, 0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match=f"below {bound:.4g}"):
            check_step(step, flow.largest_rate)
    with pytest.raises(ValueError, match="not stable"):
        flow.descent(ERROR, 1.01 * bound, [3])
    top = flow.modes[:, -1]
    state = top.copy()
    for _ in range(50):
        state = state - 1.01 * bound * KERNEL @ state / 60
    assert np.linalg.norm(state) > 2.0  # beyond the bound its mode does grow


@pytest.mark.parametrize("activation", [None, "sin", "relu"])
@pytest.mark.parametrize("std", [5.0, 20.0, 60.0])
def test_rate_bound_holds_without_being_idle(activation, std):
    network = WideNetwork(Normal(std), 1.0, activation)
    largest = kernel_flow(network.kernel(midpoints(400))).largest_rate
    assert largest <= largest_rate_bound(network) < 2 * largest


@pytest.mark.parametrize("features", ["cos_sin", "phase"])
@pytest.mark.parametrize("activation", [None, "sin", "tanh"])
def test_transform_identity(activation, features):
    x = np.linspace(-3.0, 3.0, 1201)
    xi = np.linspace(-120.0, 120.0, 2401)
    network = WideNetwork(Normal(20.0), 1.7, activation, features)
    v = Packets(centre=0.2)(torch.from_numpy(x)).numpy()
    left, right = transform_identity(network, v, x, xi)
    np.testing.assert_allclose(left, right, atol=1e-6 * np.abs(left).max())
    frozen = WideNetwork(
        Normal(20.0), 1.7, activation, features, train_frequencies=False
    )
    _, without = transform_identity(frozen, v, x, xi)
    assert np.abs(left - without).max() > 0.01 * np.abs(left).max()


def test_frequency_rate_of_a_translation_invariant_kernel():
    """With frozen frequencies a packet's rate is (2 pi / L) rho_s at every place."""
    x, network = midpoints(400), WideNetwork(Normal(20.0), train_frequencies=False)
    for centre in (0.0, 0.3):
        u = Packets((15.0,), 0.12, centre)(x)
        rate = frequency_rates(network.kernel(x), u, x, [15.0])
        assert rate[0] == pytest.approx(np.pi * Normal(20.0).density(15.0), rel=1e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kernel_flow(np.ones((2, 3))), "square"),
        (lambda: kernel_flow(np.array([[1.0, 2.0], [0.0, 1.0]])), "transpose"),
        (lambda: stable_step(0.0), "largest_rate is 0.0"),
        (lambda: accurate_step(1.0, 2.0), "share is 2.0"),
    ],
)
def test_bad_inputs(call, message):
    with pytest.raises(ValueError, match=message):
        call()
