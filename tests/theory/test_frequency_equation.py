"""The equation in frequency and the flow of the kernel, against slower ways."""

import numpy as np
import pytest
import torch
from scipy.linalg import expm
from skfem import Basis, BilinearForm, ElementLineP1, MeshLine
from skfem.helpers import dot, grad

from spectral_lib.data.frequencies import Normal, Uniform
from spectral_lib.data.packets import Packets, midpoints
from spectral_lib.models.fourier_features import FourierFeatures, FourierSettings
from spectral_lib.probes.ntk import jacobian_ntk
from spectral_lib.theory.frequency_equation import (
    equation_flow,
    flow,
    kernel_modes,
    one_unit,
    transform,
)
from spectral_lib.theory.infinite_width import WideNetwork
from spectral_lib.training.ensemble import initialise

XI = np.arange(-120.0, 121.0)
PACKET = Packets((10.0, 30.0, 50.0), 0.15)
NARROW = WideNetwork(Normal(20.0))


def away(found, wanted, start):
    return np.linalg.norm(found - wanted, axis=-1) / np.linalg.norm(start, axis=-1)


def test_finite_elements_equal_another_package_and_the_exponential_of_its_matrix():
    network = WideNetwork(Uniform(60.0), 1.5)  # with a jump, on a node
    start, times = PACKET(midpoints(200)).numpy(), np.array([10.0, 40.0])
    nodes = np.linspace(-120, 120, 481)
    basis = Basis(MeshLine(nodes), ElementLineP1(), intorder=5)
    at = np.asarray(basis.global_coordinates())[0]
    mass = BilinearForm(lambda u, v, _: u * v).assemble(basis).toarray()
    decay = BilinearForm(
        lambda u, v, w: w.r1 * u * v + w.r2 * dot(grad(u), grad(v))
    ).assemble(basis, r1=network.damping(at), r2=network.diffusion(at))
    rate = np.pi * np.linalg.solve(mass, decay.toarray())
    first = transform(start, nodes)
    wanted = np.array([expm(-rate * t) @ first for t in times])[:, ::2]
    found = equation_flow(network, start, XI, times, elements=480, steps=800)
    assert away(found, wanted, first[::2]).max() < 1e-4
    several = equation_flow(network, np.stack([start, 2 * start]), XI, times, 480, 800)
    np.testing.assert_allclose(several[:, 1], 2 * found, atol=1e-12)


@pytest.mark.parametrize("frequencies", [Normal(20.0), Normal(60.0)])
def test_before_it_is_closed_the_equation_is_exact(frequencies):
    """F[K u / L] = pi (R1 u - (R2 u')'), also for a dense layer of sines."""
    x = midpoints(1200) * 3  # wide enough for what the kernel carries away
    u = Packets((10.0, 30.0, 50.0), 0.15, 0.2)(x).numpy()
    xi, h = np.linspace(-150, 150, 3001), 6 / 1200
    waves = h * np.exp(-1j * np.outer(xi, x))
    for network in (WideNetwork(frequencies), WideNetwork(Normal(20.0), 1.0, "sin")):
        left = waves @ (network.kernel(x) @ u) * h
        flux = network.diffusion(xi) * (waves @ (-1j * x.numpy() * u))
        right = network.damping(xi) * (waves @ u) - np.gradient(flux, xi)
        gap = np.abs(left - 2 * np.pi * right)[5:-5].max() / np.abs(left).max()
        assert gap < 1e-3
        without = 2 * np.pi * network.damping(xi) * (waves @ u)
        assert np.abs(left - without).max() / np.abs(left).max() > 0.01


def test_off_the_centre_the_equation_needs_its_diffusion():
    network = WideNetwork(Normal(30.0), 3.0)
    start = Packets((15.0,), 0.12, 0.5)(midpoints(240)).numpy()
    times = np.array([2.0, 8.0])
    modes = kernel_modes(network, 240)
    exact = transform(flow(modes, start, times), XI)
    frozen = WideNetwork(Normal(30.0), 3.0, train_frequencies=False)
    first = transform(start, XI)
    gaps = [
        away(equation_flow(n, start, XI, times, 2400, 400), exact, first).max()
        for n in (network, frozen)
    ]
    assert gaps[0] < 1e-3
    assert gaps[1] > 100 * gaps[0]


def test_a_flow_in_steps_is_gradient_descent_and_tends_to_the_flow_in_time():
    modes = kernel_modes(NARROW, 60)
    kernel = NARROW.kernel(midpoints(60)) / 60
    u = start = PACKET(midpoints(60)).numpy()
    for _ in range(7):
        u = u - 2.0 * kernel @ u
    np.testing.assert_allclose(flow(modes, start, [14.0], step=2.0)[0], u, atol=1e-10)
    in_time = flow(modes, start, [14.0])[0]
    assert np.abs(u - in_time).max() > 1e-2
    in_short_steps = flow(modes, start, [14.0], step=1e-4)[0]
    np.testing.assert_allclose(in_short_steps, in_time, atol=1e-4)


def errors(xi, x0, points=120):
    x = midpoints(points).numpy()[:, None]
    waves = np.exp(-1j * x * xi)
    return x[:, 0], np.exp(-((x - x0) ** 2) / (2 * 0.15**2)) * waves.real, waves


def test_rates_of_units_have_the_mean_and_scatter_of_many_networks():
    x, u, waves = errors(np.array([10.0, 20.0, 30.0, 10.0]), np.array([0, 0, 0.3, 0.8]))
    mean, deviation = one_unit(Normal(20.0), 1.5, x, u, waves)
    kernel = WideNetwork(Normal(20.0), 1.5).kernel(x) / len(x)
    norm = (waves * u).sum(0)
    exact = ((waves * (kernel @ u)).sum(0) / norm).real
    np.testing.assert_allclose(mean, exact, rtol=1e-3)
    settings = FourierSettings(100, Normal(20.0), 1.5, antisymmetric=False)
    ensemble = initialise(lambda: FourierFeatures(settings), range(600))
    kernels = jacobian_ntk(ensemble, torch.from_numpy(x).float()[:, None]).numpy()
    rates = ((waves * (kernels @ u / len(x))).sum(1) / norm).real  # [networks, errors]
    np.testing.assert_allclose(rates.std(0), deviation / 10, rtol=0.12)
    assert (np.abs(rates.mean(0) - mean) < 4 * deviation / 10 / 600**0.5).all()


def test_the_local_formula_is_the_exact_rate_inside_the_interval():
    """For one layer, and the two rates' ratio over stds: what widens the band."""
    xi = np.arange(10.0, 61.0, 10.0)
    x, u, waves = errors(xi, np.zeros(6), 320)
    for std in (20.0, 60.0, 100.0):
        mean, _ = one_unit(Normal(std), 1.0, x, u, waves)
        formula = np.pi * Normal(std).density(xi) * (1 + 0.15**2)
        np.testing.assert_allclose(mean, formula, rtol=0.02)


@pytest.mark.parametrize("std", [20.0, 80.0, 160.0])
def test_few_points_fold_the_density_at_their_nyquist_frequency(std):
    pair, points = np.array([10.0, 50.0]), 50
    x, u, waves = errors(pair, np.zeros(2), points)
    kernel = WideNetwork(Normal(std)).kernel(x) / points
    rates = ((waves * (kernel @ u)).sum(0) / (waves * u).sum(0)).real
    copies = np.pi * points * np.arange(-50, 51)
    folded = Normal(std).density(pair[:, None] + copies).sum(1)
    assert rates[1] / rates[0] == pytest.approx(folded[1] / folded[0], rel=0.05)
