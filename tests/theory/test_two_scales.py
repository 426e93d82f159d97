"""Closed-form risks against simulation."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from spectral_lib.models.mlp import MLP
from spectral_lib.probes.ntk import empirical_ntk
from spectral_lib.theory.two_scales import (
    TwoScales,
    draw,
    kernel_risk,
    turns,
    two_scale_risk,
)
from spectral_lib.training.ensemble import initialise

SETTING = TwoScales(40, (12, 6), (1.0, 0.3), (1.0, 2.0), 1.2)
STEPS = np.array([0, 1, 5, 20, 100, 400])
SIZES = (0.3, 0.5)


def descent(inputs, labels, step_sizes, steps):
    """Coefficients after numbers of steps, by stepping."""
    theta, found = np.zeros(inputs.shape[1]), []
    for t in range(max(steps) + 1):
        if t in steps:
            found.append(theta)
        gradient = inputs.T @ (inputs @ theta - labels) / len(labels)
        theta = theta - step_sizes * gradient
    return np.array(found)


def population(setting):
    """Points over which the mean risk is that over the population, [d, d]."""
    d = sum(setting.features)
    return np.sqrt(d) * np.diag(np.repeat(setting.scales, setting.features))


def exact_risk(setting, sample, sizes):
    """`kernel_risk` of a sample, with step sizes as scaled features."""
    each = np.sqrt(np.repeat(sizes, setting.features))
    inputs, points = sample.inputs * each, population(setting) * each
    return kernel_risk(
        inputs @ inputs.T,
        points @ inputs.T,
        sample.inputs @ sample.coefficients,
        population(setting) @ sample.coefficients,
        setting.noise,
        STEPS,
        1.0,
    )


def test_design_is_orthogonal_and_carries_the_signals():
    sample = draw(SETTING, 0)
    scales = np.repeat(SETTING.scales, SETTING.features)
    gram = sample.inputs.T @ sample.inputs / 40
    assert gram == pytest.approx(np.diag(scales**2), abs=1e-12)
    parts = np.split((scales * sample.coefficients) ** 2, [12])
    assert [p.sum() for p in parts] == pytest.approx([1.0, 2.0])
    assert np.array_equal(draw(SETTING, 1).inputs, sample.inputs)
    assert not np.array_equal(draw(SETTING, 1).labels, sample.labels)
    labels = np.array([draw(SETTING, seed).labels for seed in range(200)])
    noise = labels - sample.inputs @ sample.coefficients
    assert noise.mean() == pytest.approx(0, abs=0.05)
    assert noise.std() == pytest.approx(SETTING.noise, rel=0.05)


def test_groups_are_the_parts_of_kernel_risk():
    risk = exact_risk(SETTING, draw(SETTING, 0), SIZES)
    assert risk.total == pytest.approx(two_scale_risk(SETTING, STEPS, SIZES).sum(0))
    quiet = replace(SETTING, noise=0.0)
    bias = two_scale_risk(quiet, STEPS, SIZES).sum(0)
    assert risk.bias == pytest.approx(bias, abs=1e-9)


@pytest.mark.parametrize(("n", "low", "high"), [(60, 0.1, np.inf), (1000, 0, 0.06)])
def test_gaussian_inputs_agree_as_they_become_many(n, low, high):
    setting, sizes = replace(SETTING, examples=n), (0.3, 0.3)
    exact = exact_risk(setting, draw(setting, 0, gaussian=True), sizes).total
    parts = two_scale_risk(setting, STEPS, sizes).sum(0)
    assert low < np.abs(parts / exact - 1).max() < high


def test_kernel_risk_of_any_design_is_the_mean_over_noise():
    """More features than examples, so that some modes are never learned."""
    rng = np.random.default_rng(0)
    train_x, test_x = rng.normal(size=(8, 12)), rng.normal(size=(5, 12))
    truth = rng.normal(size=12)
    risk = kernel_risk(
        train_x @ train_x.T,
        test_x @ train_x.T,
        train_x @ truth,
        test_x @ truth,
        0.7,
        STEPS,
        0.1,
    )
    runs = []
    for _ in range(400):
        labels = train_x @ truth + 0.7 * rng.normal(size=8)
        theta = descent(train_x, labels, 0.1, STEPS)
        runs.append(((theta - truth) @ test_x.T) ** 2)
    runs = np.mean(runs, axis=-1)
    error = runs.std(0) / 400**0.5
    assert (np.abs(runs.mean(0) - risk.total) <= 4 * error + 1e-12).all()


def test_a_mode_without_a_rate_grows_with_the_steps():
    """Test points may see what training points do not: (1 - (1 - 0)^t) / 0 = t."""
    gram, cross = np.diag([1.0, 0.0]), np.array([[0.0, 0.5]])
    risk = kernel_risk(gram, cross, [0.0, 1.0], [0.0], 0.0, [0, 1, 10], 1.0)
    assert risk.bias == pytest.approx([0, 0.25**2, 2.5**2])
    # a rate of 1e-13 and one of 1.5, in exact arithmetic
    gram, cross = np.diag([3.0, 2e-13]), np.array([[0.0, 0.5], [1.5, 0.0]])
    risk = kernel_risk(gram, cross, [1.0, 1.0], [0.0, 0.0], 0.0, [1, 10], 1.0)
    fast = [0.5 * (1 - (-0.5) ** t) for t in (1, 10)]
    expected = [
        ((0.25 * t) ** 2 + f**2) / 2 for t, f in zip((1, 10), fast, strict=True)
    ]
    assert risk.bias == pytest.approx(expected, rel=1e-9)


def test_double_descent_needs_noise():
    setting, steps = TwoScales(), np.arange(3000)
    plain = two_scale_risk(setting, steps, (0.2, 0.2)).sum(0)
    assert [kind for kind, _ in turns(plain)] == ["minimum", "maximum", "minimum"]
    first, peak, second = (plain[i] for _, i in turns(plain))
    assert peak > 1.3 * first
    assert peak > 1.3 * second
    # without noise nothing is over-fitted
    quiet = TwoScales(noise=0.0)
    assert not turns(two_scale_risk(quiet, steps, (0.2, 0.2)).sum(0))


def test_turns():
    curve = [3, 2, 2, 1, 4, 4, 5, 0, 0]
    assert turns(curve) == [("minimum", 3), ("maximum", 6)]
    assert turns([1, 2, 3]) == turns([1.0]) == turns([]) == turns([2, 2]) == []
    assert turns([0, 1, 1, 0]) == [("maximum", 1)]
    assert turns([2, 1, np.nextafter(1, 2), 1, 3]) == [("minimum", 1)]


def test_one_run_is_the_formula_without_noise():
    """Its labels stand for the function to learn."""
    s = draw(SETTING, 3)
    theta = descent(s.inputs, s.labels, 0.5, STEPS)
    error = ((theta @ s.inputs.T - s.labels) ** 2).mean(1)
    gram = s.inputs @ s.inputs.T
    risk = kernel_risk(gram, gram, s.labels, s.labels, 0.0, STEPS, 0.5)
    assert risk.bias == pytest.approx(error)
    assert (risk.variance == 0).all()


def test_gradient_descent_has_the_risk_of_the_groups_on_the_mean_over_noise():
    sizes, scales = (np.repeat(v, SETTING.features) for v in (SIZES, SETTING.scales))
    runs = []
    for seed in range(300):
        s = draw(SETTING, seed)
        theta = descent(s.inputs, s.labels, sizes, STEPS)
        runs.append(np.square(scales * (theta - s.coefficients)).sum(1))
    error = np.std(runs, 0) / 300**0.5
    expected = two_scale_risk(SETTING, STEPS, SIZES).sum(0)
    assert (np.abs(np.mean(runs, 0) - expected) <= 4 * error + 1e-9).all()


def misfit_of_network(width):
    """Largest relative difference of a two-layer network's risk from its formula."""
    setting, known, steps = TwoScales(120, (5, 2), (1.0, 0.1), (0.05, 1.0)), 40, 400
    sample = draw(setting, 0, gaussian=True)
    x, labels = torch.from_numpy(sample.inputs), torch.from_numpy(sample.labels)
    truth = x @ torch.from_numpy(sample.coefficients)
    net = initialise(lambda: MLP([7, width, 1]), [0], dtype=torch.float64)
    kernel = empirical_ntk(net, x, x[:known])[0].numpy()
    step = known / np.linalg.eigvalsh(kernel[:known])[-1]
    start = net.predict(x)[0, :, 0]
    optimizer = torch.optim.SGD(net.parameters.values(), step)
    errors = []
    for _ in range(steps + 1):
        gap = net(x[None])[0, :, 0] - labels
        errors.append((gap + labels - truth)[known:].square().mean().item())
        optimizer.zero_grad()
        (gap[:known].square().mean() / 2).backward()
        optimizer.step()
    formula = kernel_risk(
        kernel[:known],
        kernel[known:],
        (labels - start)[:known].numpy(),
        (truth - start)[known:].numpy(),
        0.0,
        np.arange(steps + 1),
        step,
    )
    return np.abs(np.array(errors) / formula.total - 1).max()


def test_a_wide_network_has_the_risk_of_its_tangent_kernel_and_a_narrow_one_not():
    assert misfit_of_network(2048) < 0.1
    assert misfit_of_network(16) > 0.3


EYE = np.eye(2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: TwoScales(features=(60, 41)), "100 examples for 101 features"),
        (lambda: TwoScales(scales=(0.0, 1.0)), "> 0"),
        (lambda: TwoScales(noise=-0.1), "noise >= 0"),
        (lambda: two_scale_risk(TwoScales(), [1], (2.0, 1.0)), "step_sizes"),
        (lambda: two_scale_risk(TwoScales(), [1], (1.0,)), "step_sizes"),
        (lambda: kernel_risk(EYE, EYE[:1], [0, 0], [0, 0], 1.0, [1], 1.0), "shape"),
        (lambda: kernel_risk(EYE, EYE, [0, 0], [0, 0], 1.0, [1], 4.0), "below 2"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
