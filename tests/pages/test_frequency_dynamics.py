"""The chapter's own functions: how a network's derivatives change a spectrum."""

import ast

import numpy as np
import pytest
import torch
from chapter_code import functions_of

from spectral_lib.data.frequencies import Normal
from spectral_lib.models.fourier_features import FourierFeatures, FourierSettings
from spectral_lib.probes.ntk import jacobian_ntk
from spectral_lib.theory.infinite_width import WideNetwork
from spectral_lib.training.ensemble import initialise


@pytest.fixture(scope="module")
def chapter():
    """The functions under test, without what the notebook computes around them."""
    grids = dict.fromkeys(("XI", "initial"))  # later functions name them
    return functions_of("frequency_dynamics", "def falls(", ast.ImportFrom, **grids)


@pytest.mark.parametrize("inputs", [1, 2])
def test_an_error_falls_by_the_jacobian_of_the_network(chapter, inputs):
    torch.manual_seed(1)
    x, u = torch.rand(9, inputs) - 0.5, torch.randn(9, 3)
    w, a, b = torch.randn(7, inputs), torch.randn(7), torch.randn(7)

    def network(w, a, b):
        return (torch.cos(x @ w.T) @ a + torch.sin(x @ w.T) @ b) / 7**0.5

    parts = torch.autograd.functional.jacobian(network, (w, a, b))
    jacobian = torch.cat([part.reshape(9, -1) for part in parts], 1)
    wanted = jacobian @ (jacobian.T @ u) / 9
    torch.testing.assert_close(chapter["falls"](w, a, b, x, u), wanted)


def test_an_error_falls_by_the_kernel_of_the_librarys_network(chapter):
    x = torch.linspace(-1, 1, 20, dtype=torch.float64)[:, None]
    settings = FourierSettings(50, Normal(20.0), 1.3, antisymmetric=False)
    one = initialise(lambda: FourierFeatures(settings), [1], dtype=torch.float64)
    w, both = (one.parameters[k][0, 0].detach() for k in ("frequency", "amplitude"))
    found = 20 * chapter["falls"](w[:, None], *both.chunk(2), x, torch.eye(20).to(x))
    torch.testing.assert_close(found, jacobian_ntk(one, x)[0])


def test_packets_in_the_plane_start_at_the_formulas_rate(chapter):
    """The mean over many networks, with a density that differs by the direction."""
    stds, side = torch.tensor([8.0, 4.0]), 2 * (torch.arange(16) + 0.5) / 16 - 1
    x = torch.cartesian_prod(side, side).double()
    xi = torch.tensor([[6.0, 0.0], [0.0, 6.0], [5.0, 4.0]], dtype=torch.float64)
    u, waves = chapter["packets_of"](x, xi, torch.zeros(2), 0.25)
    g = torch.Generator().manual_seed(3)
    w = (stds * torch.randn(40_000, 2, generator=g)).double()
    a, b = torch.randn(2, 40_000, generator=g).double()
    found = chapter["initial_rates"](chapter["falls"](w, a, b, x, u), u, waves)
    one, other = (Normal(float(s)).density(xi[:, i]) for i, s in enumerate(stds))
    wanted = np.pi**2 * one * other * (1 + 2 * 0.25**2)
    np.testing.assert_allclose(found, wanted, rtol=0.08)
    assert wanted[0] > 2 * wanted[1]


def test_the_pace_of_a_packet_is_the_formulas_rate(chapter):
    network, xi = WideNetwork(Normal(20.0), 1.3), np.linspace(-80, 80, 3201)
    tau, x0, tone = 0.15, 0.4, 20.0
    spectrum = np.exp(-((xi - tone) ** 2) * tau**2 / 2 - 1j * (xi - tone) * x0)
    at = int(np.argmin(np.abs(xi - tone)))
    rate = -(chapter["pace"](network, spectrum, xi)[at] / spectrum[at]).real
    density = Normal(20.0).density
    # The formula leaves out the bend of the density within the packet's line.
    formula = chapter["formula"](network, tone, tau, x0)
    assert rate == pytest.approx(float(formula), rel=0.01)
    assert formula == pytest.approx(
        np.pi * density(tone) * (1 + 1.3**2 * (x0**2 + tau**2))
    )
