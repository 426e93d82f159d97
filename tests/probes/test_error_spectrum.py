import math

import numpy as np
import pytest
import torch

from spectral_lib.data.frequencies import Normal
from spectral_lib.data.packets import Packets, midpoints, transform_matrix
from spectral_lib.models.fourier_features import FourierFeatures, FourierSettings
from spectral_lib.probes.error_spectrum import decay_rates, error_spectrum
from spectral_lib.theory.frequency_pde import relative_distance
from spectral_lib.theory.infinite_width import WideNetwork
from spectral_lib.theory.kernel_flow import kernel_flow
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
    seen = error_spectrum(x, TARGET, XI)(ensemble)
    wanted = -(transform_matrix(x, XI) @ TARGET(x).to(torch.cdouble))
    assert seen["spectrum"].dtype == torch.complex128
    assert seen["error"].shape == (2, 200)
    torch.testing.assert_close(
        seen["spectrum"], wanted.expand(2, -1), rtol=0, atol=1e-6
    )


def test_wide_networks_follow_the_kernel_flow_ever_closer():
    """Error against the infinitely wide network falls like width^(-1/2)."""
    frequencies, points = Normal(20.0), midpoints(120)
    flow = kernel_flow(WideNetwork(frequencies).kernel(points))
    end = 3 / (math.pi * float(frequencies.density(10.0)))
    epochs = 8 * math.ceil(end * flow.largest_rate / 0.1 / 8)
    step = end / epochs
    due = [epochs // 8, epochs // 4, epochs // 2, epochs]
    fine = midpoints(300)
    matrix = transform_matrix(fine, XI).numpy()
    start = -TARGET(fine).numpy()
    exact = kernel_flow(WideNetwork(frequencies).kernel(fine)).error(
        start, [step * k for k in due]
    )
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
        found = run.records["spectrum"]["spectrum"].numpy()
        gap = relative_distance(found, (exact @ matrix.T)[:, None], matrix @ start)
        gaps.append(gap.mean())
    slope = np.polyfit(np.log(widths), np.log(gaps), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.2)
    assert gaps[-1] < 0.05


def test_decay_rates_recover_exponentials():
    times = torch.tensor([0.5, 1.0, 2.0, 3.5])
    rates = torch.tensor([[0.0, 0.3], [1.0, 2.0]], dtype=torch.float64)
    phase = torch.polar(torch.ones(2, 2, dtype=torch.float64), 4 * rates)
    spectra = 3 * phase * torch.exp(-times[:, None, None] * rates)
    torch.testing.assert_close(decay_rates(times, spectra), rates)


def test_bad_inputs():
    with pytest.raises(ValueError, match=r"xi reaches 120 rad and 50 points tell 78"):
        error_spectrum(midpoints(50), TARGET, XI)
    with pytest.raises(ValueError, match="1 times for 1 spectra"):
        decay_rates(torch.tensor([1.0]), torch.ones(1, 3))
    with pytest.raises(ValueError, match="2 times for 3 spectra"):
        decay_rates(torch.tensor([1.0, 2.0]), torch.ones(3, 3))
