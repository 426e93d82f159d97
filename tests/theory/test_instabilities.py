import numpy as np
import pytest
import torch

from spectral_lib.theory.instabilities import (
    figure_3,
    figure_4_divergence,
    figure_4_loss,
    moving_mean,
)
from spectral_lib.theory.kernel_gradient import NonlinearEquation
from spectral_lib.theory.kernel_pde import Perturbation


def test_figure_3_regimes():
    """Growth near the bound is slow, so the end is compared with the minimum."""
    decays = (1.1e7, 1.2e7, 1.29e7, 1.3e7, 1.9e8, 2.0e8, 2.1e8, 2.2e8)
    losses = figure_3(decays, steps=500)
    end, least, start = losses[:, 499], losses.min(dim=1).values, losses[:, 0]
    grown = (end > 1.2 * least).tolist()
    assert grown == [True, True, True, False, False, False, True, True]
    assert end[0].item() == pytest.approx(1.8e9, rel=0.02)
    assert end[1].item() == pytest.approx(1.05e5, rel=0.02)
    assert end[3] < losses[3, 99] < 1e-6 * start[3]
    assert end[4].item() == pytest.approx(np.log(2), rel=1e-9)
    # On the upper bound every component but one alternates and keeps its size.
    assert end[5].item() == pytest.approx(start[5].item(), rel=1e-6)
    # Above it they grow by 1 - dt alpha a step, and the loss by its square.
    for run, factor in ((6, 1.1), (7, 1.2)):
        expected = start[run].item() * factor ** (2 * 499)
        assert end[run].item() == pytest.approx(expected, rel=1e-3)


def test_figure_3_just_around_the_lower_bound():
    exact = 32**2 * 225**2 / 4
    losses = figure_3((0.99 * exact, 1.01 * exact), steps=3000)
    assert losses[0, -1] > 1e3 * losses[0].min()
    assert losses[1, -1] < 1.001 * losses[1].min()


def test_figure_3_with_momentum():
    losses = figure_3(
        (1.2e7, 1.35e7, 1.42e8, 1.44e8), 3000, learning_rate=1e-4, momentum=0.9
    )
    grown = losses[:, -1] > 10 * losses.min(dim=1).values
    assert grown.tolist() == [True, False, False, True]
    # The paper's sufficient bound, 1.333e8, would have called the third unstable.


def test_figure_4_loss_end_states():
    rates = (0.01, 0.03, 0.05, 0.07, 0.09, 0.1, 0.11, 0.13)
    losses = figure_4_loss(rates)
    tail = losses[:, -100:]
    spread = tail.max(dim=1).values - tail.min(dim=1).values
    start = losses[0, 0].item()
    assert start == pytest.approx(9498.18, abs=0.01)
    for run in (0, 1):
        assert spread[run] < 1e-6
        assert tail[run, -1].item() == pytest.approx(0.29150, abs=5e-5)
    for run, top in ((2, 1.10), (3, 2.0), (4, 3.1)):
        assert spread[run] > 0.1
        assert tail[run].max().item() == pytest.approx(top, rel=0.15)
    # On 2/alpha the loss hardly moves from where it started.
    assert spread[5] < 10
    assert tail[5].mean().item() == pytest.approx(start, rel=1e-3)
    assert (tail[6:, -1] > 1e3 * start).all()
    assert tail[6, -1].item() == pytest.approx(2.2e162, rel=0.05)
    assert torch.isinf(tail[7, -1])


def test_figure_4_between_the_papers_rates():
    """Oscillation need not be chaos: period 2 beyond the threshold, and at 0.06."""
    tail = figure_4_loss((0.035, 0.04, 0.045, 0.06))[:, -100:]
    for run, period in ((0, 2), (1, 2), (2, 4)):
        repeat = (tail[run, period:] - tail[run, :-period]).abs().max()
        assert repeat < 1e-6
        assert tail[run].max() - tail[run].min() > 0.02
    assert tail[0].min().item() == pytest.approx(0.34, abs=0.01)
    assert tail[0].max().item() == pytest.approx(0.38, abs=0.01)


def test_pooling_by_sum_has_another_threshold():
    equation = NonlinearEquation(pooling="sum")
    tail = figure_4_loss((0.002, 0.01), equation=equation)[:, -100:]
    spread = tail.max(dim=1).values - tail.min(dim=1).values
    assert spread[0] < 1e-12
    assert spread[1] > 1e-4


@pytest.mark.parametrize("seed", [7, 8, 9, 10, 11])
def test_figure_4_divergence_over_seeds(seed):
    apart = figure_4_divergence(seed=seed)
    assert apart.shape == (5, 1001)
    late = apart[:, -500:].max(dim=1).values
    assert (late[:2] < 1e-6).all()
    assert (late[2:] > 0.1).all()
    assert (apart[:, 0] == 0).all()


@pytest.mark.parametrize("order", ["paper", "code"])
def test_controls_of_the_perturbation(order):
    rates, steps = (0.03, 0.07, 0.09), 400
    for factor in (2, 4):
        control = Perturbation(factor, order, control=True)
        assert torch.count_nonzero(figure_4_divergence(rates, steps, control)) == 0
    odd = figure_4_divergence(rates, steps, Perturbation(5, order))
    assert odd[1:, -200:].max(dim=1).values.min() > 0.1
    again = figure_4_divergence(rates, steps, Perturbation(5, order))
    assert torch.equal(odd, again)


def test_single_precision_diverges_too():
    apart = figure_4_divergence(dtype=torch.float32)
    late = apart[:, -500:].max(dim=1).values
    assert apart.dtype == torch.float32
    assert (late[:2] < 1e-4).all()
    assert (late[2:] > 0.1).all()


def test_moving_mean():
    np.testing.assert_allclose(moving_mean([1.0, 2.0, 6.0], 2), [1.5, 4.0])
    assert moving_mean(np.ones((3, 7)), 7).shape == (3, 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: figure_3((0.0,)), "weight_decay is"),
        (lambda: figure_3(learning_rate=-1.0), "learning_rate is"),
        (lambda: figure_3(kernel_size=300), "kernel_size is 300"),
        (lambda: figure_4_loss((0.0,)), "learning_rate is"),
        (lambda: figure_4_loss(weight_decay=-20.0), "weight_decay is"),
        (lambda: figure_4_divergence(kernel_size=257), "kernel_size is 257"),
        (lambda: moving_mean([1.0], 2), "width is 2"),
    ],
)
def test_bad_inputs(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_half_precision_is_refused():
    with pytest.raises(TypeError, match="float16"):
        figure_4_divergence(dtype=torch.float16)
