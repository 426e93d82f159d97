"""Closed-form risks against simulation."""

import numpy as np
import pytest

from spectral_lib.theory.two_scales import TwoScales, two_scale_risk

SETTING = TwoScales(40, (12, 6), (1.0, 0.3), (1.0, 2.0), 1.2)
STEPS = np.array([0, 1, 5, 20, 100, 400])
SIZES = (0.3, 0.5)


def test_gradient_descent_has_the_risk_of_each_group_on_the_mean_over_noise():
    """By stepping, on orthogonal columns that carry the signals of the groups."""
    sizes, scales = (np.repeat(v, SETTING.features) for v in (SIZES, SETTING.scales))
    n, rng = SETTING.examples, np.random.default_rng(0)
    truth = np.concatenate(
        [np.full(d, (s / d) ** 0.5) for d, s in zip((12, 6), (1.0, 2.0), strict=True)]
    )
    inputs = np.sqrt(n) * np.linalg.qr(rng.normal(size=(n, 18)))[0] * scales
    runs = []
    for _ in range(300):
        labels = inputs @ (truth / scales) + SETTING.noise * rng.normal(size=n)
        theta, errors = np.zeros(18), []
        for t in range(STEPS[-1] + 1):
            if t in STEPS:
                errors.append(np.square(scales * theta - truth))
            theta = theta - sizes * (inputs.T @ (inputs @ theta - labels)) / n
        runs.append(np.add.reduceat(errors, [0, 12], axis=1).T)
    error = np.std(runs, 0) / 300**0.5
    expected = two_scale_risk(SETTING, STEPS, SIZES)
    assert (np.abs(np.mean(runs, 0) - expected) <= 4 * error + 1e-9).all()


def test_double_descent_needs_noise():
    steps = np.arange(3000)
    plain = two_scale_risk(TwoScales(), steps, (0.2, 0.2)).sum(0)
    turns = 1 + np.flatnonzero(np.diff(np.sign(np.diff(plain))))
    first, peak, second = plain[turns]
    assert peak > 1.3 * first
    assert peak > 1.3 * second
    # without noise nothing is over-fitted
    quiet = two_scale_risk(TwoScales(noise=0.0), steps, (0.2, 0.2)).sum(0)
    assert (np.diff(quiet) <= 0).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: TwoScales(features=(60, 41)), "100 examples for 101 features"),
        (lambda: TwoScales(scales=(0.0, 1.0)), "> 0"),
        (lambda: TwoScales(noise=-0.1), "noise >= 0"),
        (lambda: two_scale_risk(TwoScales(), [1], (2.0, 1.0)), "step_sizes"),
        (lambda: two_scale_risk(TwoScales(), [1], (1.0,)), "step_sizes"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
