import math

import numpy as np
import pytest
import torch

from spectral_lib.data.frequencies import Normal
from spectral_lib.data.packets import Packets, midpoints, transform_matrix
from spectral_lib.models.fourier_features import FourierFeatures, FourierSettings
from spectral_lib.probes.error_spectrum import error_spectrum
from spectral_lib.theory.infinite_width import WideNetwork
from spectral_lib.training.ensemble import initialise
from spectral_lib.training.loop import Dataset, Probe, TrainSettings, train
from spectral_lib.training.optimizers import OptimizerSettings

TARGET = Packets()
XI = torch.linspace(-120, 120, 241, dtype=torch.float64)


def test_before_training_it_is_the_spectrum_of_the_target():
    ensemble = initialise(
        lambda: FourierFeatures(FourierSettings(20, Normal(20.0))), (1, 2)
    )
    x = midpoints(200)
    found = error_spectrum(x, TARGET, XI)(ensemble)
    wanted = -(transform_matrix(x, XI) @ TARGET(x).to(torch.cdouble)).expand(2, -1)
    assert found["spectrum"].dtype == torch.complex128
    torch.testing.assert_close(found["spectrum"], wanted, rtol=0, atol=1e-6)
    error = -TARGET(x).float().expand(2, -1)
    torch.testing.assert_close(found["error"], error, rtol=0, atol=1e-6)


def test_wide_networks_follow_the_kernel_flow_ever_closer():
    """Error against the infinitely wide network falls like width^(-1/2)."""
    frequencies, points, fine = Normal(20.0), midpoints(120), midpoints(300)
    limit = WideNetwork(frequencies)
    end = 3 / (math.pi * float(frequencies.density(10.0)))
    epochs = 8 * math.ceil(end * limit.largest_rate / 0.1 / 8)
    step = end / epochs
    due = [epochs // 8, epochs // 4, epochs // 2, epochs]
    rates, modes = np.linalg.eigh(limit.kernel(fine) / 300)
    start = -TARGET(fine).numpy()
    decay = np.exp(-step * np.multiply.outer(due, rates))
    matrix = transform_matrix(fine, XI).numpy()
    exact = (decay * (start @ modes)) @ modes.T @ matrix.T
    data = Dataset(points.float()[:, None], TARGET(points).float()[:, None])
    # The loss of the loop has no factor 1/2.
    settings = TrainSettings(epochs, 120, OptimizerSettings("sgd", step / 2))
    probe = Probe(error_spectrum(fine, TARGET, XI), frozenset(due))
    widths, gaps = (250, 1000, 4000), []
    for width in widths:
        ensemble = initialise(
            lambda m=width: FourierFeatures(FourierSettings(m, frequencies)),
            range(4),
            stacked=False,
        )
        run = train(ensemble, data, settings, {"spectrum": probe})
        gap = run.records["spectrum"]["spectrum"].numpy() - exact[:, None]
        away = np.linalg.norm(gap, axis=-1) / np.linalg.norm(matrix @ start)
        gaps.append(away.mean())
    slope = np.polyfit(np.log(widths), np.log(gaps), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.2)
    assert gaps[-1] < 0.05


def test_frequencies_beyond_the_points_are_refused():
    with pytest.raises(ValueError, match=r"xi reaches 120 rad and 50 points tell 78"):
        error_spectrum(midpoints(50), TARGET, XI)
