"""The chapter's own few lines against the library, and what its comparisons count."""

import pytest
import torch
from chapter_code import functions_of

from spectral_lib.data.label_waves import Wave, smoothed
from spectral_lib.probes.interpolation import PathSettings, follow_paths
from spectral_lib.probes.noise_fitting import (
    correlation_within_classes,
    effective_noise_fitting,
)


@pytest.fixture(scope="module")
def chapter():
    """What the notebook has run before it trains, and its functions after that."""
    return functions_of("function_frequency", "waves = {", seeds=[3, 4, 5])


@pytest.fixture(scope="module")
def layer(chapter):
    torch.manual_seed(0)
    inputs = chapter["tested"][0]
    return torch.nn.Linear(inputs[0].numel(), chapter["K"])


def test_noise_fitting_and_correlation_of_one_network_are_the_library_s(chapter, layer):
    inputs, labels = chapter["tested"]
    mean_norm = chapter["images"].mean_norm
    s = chapter["wave_of"](inputs.flatten(1).norm(dim=1), 0.5, mean_norm)
    wave = Wave(0.5, chapter["P"].amplitude, phase=mean_norm)
    torch.testing.assert_close(s, wave(inputs))
    with torch.no_grad():
        logits = layer(inputs.flatten(1))
    smooth = smoothed(labels, s, chapter["K"])
    given = logits[None], labels, smooth
    for mine, library in (
        ("fitted_noise", effective_noise_fitting(*given)),
        ("correlate", correlation_within_classes(*given)),
    ):
        found = chapter[mine](logits, labels, s)
        torch.testing.assert_close(found.double(), library[0], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(chapter["smooth"](labels, s), smooth)


def test_one_path_is_the_library_s(chapter, layer):
    inputs, step = chapter["tested"][0], chapter["P"].step
    settings = PathSettings(pairs=1, step=step, bins=10)
    pair = torch.tensor([[0, 1]])
    with torch.no_grad():
        paths = follow_paths(
            lambda x: layer(x.flatten(1)).softmax(1)[None], inputs, pair, settings
        )
        mine = chapter["along_path"](
            lambda x: layer(x.flatten()).softmax(0), *inputs[:2]
        )
    for found, other in zip(mine, (paths.difference, paths.gradient), strict=True):
        torch.testing.assert_close(found.double(), other[0, 0], rtol=1e-3, atol=1e-5)


def test_equally_many_steps(chapter):
    """On few images as many batches are seen as on most of them, up to a limit."""
    alike, largest = chapter["epochs_alike"], chapter["P"].longest
    assert alike(30, 1297, 1297) == 30
    assert alike(8, 1297, 300) == 40  # 20 batches of 64, and 4
    assert alike(30, 60_000, 100) == 30 * largest


@pytest.mark.parametrize("offset", [0, 1, 2])
def test_waves_of_equally_many_cycles_for_each_deviation(chapter, offset):
    along, spread = chapter["along"], chapter["spread"]
    wave = along(offset, 0.15 / spread(along(offset, 1.0)))
    turns = wave.frequency * wave.coordinate(chapter["images"].train.inputs)
    assert float(turns.double().std()) == pytest.approx(0.15, rel=1e-5)
