"""R_k against closed forms and a slow version, and the monitor's manners."""

import math

import pytest
import torch
from torch import nn

from spectral_lib.models.mlp import MLP
from spectral_lib.probes.local_spectrum import (
    LineSettings,
    directions,
    energies,
    high_share,
    local_spectrum,
    ratios,
    spectrum,
    straight_line,
)
from spectral_lib.probes.spectrum_monitor import SpectrumMonitor
from spectral_lib.probes.spectrum_peaks import Search
from spectral_lib.training.ensemble import initialise


def draw(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


class Normed(nn.Module):
    """Batch norm, dropout and draws in every mode: all that may not be disturbed."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4)
        self.drop, self.head = nn.Dropout(0.5), nn.Linear(4, 3)

    def forward(self, x):
        y = torch.relu(self.norm(self.conv(x))).mean((-2, -1))
        return self.head(self.drop(y)) + 0 * torch.rand(())


def slow(net, inputs, v, s):
    """Equations (1) to (3) as they are written, one point and frequency at a time."""
    size = s.samples // 2 + 1
    totals = [0.0] * size
    for x, direction in zip(inputs, v, strict=True):
        rows = []
        for n in range(1, s.samples + 1):
            if s.inclusive:
                at = (2 * n - s.samples - 1) / (s.samples - 1) * s.half_width
            else:
                at = -s.half_width + 2 * s.half_width * (n - 1) / s.samples
            rows.append(net((x + at * direction)[None])[0])
        for c in range(len(rows[0])):
            for k in range(size):
                waves = [
                    torch.exp(torch.tensor(-2j * math.pi * n / s.samples * k))
                    for n in range(1, s.samples + 1)
                ]
                value = sum(w * row[c] for w, row in zip(waves, rows, strict=True))
                totals[k] += abs(complex(value)) ** 2
    return torch.tensor([math.log(t / sum(totals)) for t in totals])


@pytest.mark.parametrize("inclusive", [True, False])
def test_against_the_equations(inclusive):
    ensemble = initialise(lambda: MLP([6, 20, 3]), [4], dtype=torch.float64)
    settings = LineSettings(0.7, 8, inclusive, chunk=5)
    inputs, v = draw(3, 6), draw(3, 6, seed=1)
    found = spectrum(ensemble.predict, inputs, v, settings)
    assert found.shape == (1, 5)
    with torch.no_grad():
        expected = slow(lambda x: ensemble(x[None])[0], inputs, v, settings)
    assert torch.allclose(found[0], expected.double(), atol=1e-5)


def test_a_line_has_the_spectrum_of_a_ramp():
    weight, inputs, v = draw(2, 5), draw(4, 5), draw(4, 5, seed=1)
    settings = LineSettings(0.5, 16)
    found = spectrum(lambda x: (x @ weight.T)[None], inputs, v, settings)[0]
    # f(s_n) = f(x) - h w.v + 2 h w.v n / N, and the transform of n is N / (z_k - 1)
    base, slope = inputs @ weight.T, v @ weight.T
    k = torch.arange(1, 9)
    z = torch.exp(-2j * math.pi * k / 16)
    first = (16 * base - slope / 2).square().mean()
    rest = slope.square().mean() * (1 / (z - 1)).abs() ** 2
    energy = torch.cat([first[None], rest])
    assert torch.allclose(found, (energy / energy.sum()).log(), atol=1e-12)
    assert torch.allclose(found[1:] - found[1], straight_line(16), atol=1e-9)


@pytest.mark.parametrize("k", [1, 4, 5, 31])
def test_a_sinusoid_is_in_its_bin(k):
    s = LineSettings(0.5, 64).offsets
    energy = energies(3 * torch.sin(2 * math.pi * k * s + 0.4)[None, :, None])
    # a sine of amplitude a over N samples has |f^|^2 = (a N / 2)^2
    assert energy[k].item() == pytest.approx((3 * 64 / 2) ** 2, rel=1e-6)
    found = ratios(energy + 1e-12)
    assert found.exp()[k].item() == pytest.approx(1, abs=1e-6)
    assert high_share(found).item() == pytest.approx(float(k >= 5), abs=1e-6)


@pytest.mark.parametrize("chunk", [1, 100, 300, 10**6])
def test_chunks_do_not_matter(chunk):
    ensemble = initialise(lambda: MLP([6, 20, 3]), [1, 2], dtype=torch.float64)
    inputs, v = draw(7, 6), draw(7, 6, seed=1)
    sizes = []

    def predict(x):
        sizes.append(len(x))
        return ensemble.predict(x)

    found = spectrum(predict, inputs, v, LineSettings(chunk=chunk))
    assert max(sizes) <= chunk
    assert sum(sizes) == 7 * 128
    expected = spectrum(ensemble.predict, inputs, v, LineSettings())
    assert torch.allclose(found, expected, atol=1e-9)


def test_directions_are_unit_and_uniform():
    v = directions(torch.zeros(4000, 2, 3), torch.Generator().manual_seed(0))
    assert v.flatten(1).norm(dim=1) == pytest.approx(torch.ones(4000), abs=1e-6)
    second = v.flatten(1).T @ v.flatten(1) / 4000
    assert second == pytest.approx(torch.eye(6) / 6, abs=0.02)


def test_readings_are_new_or_the_same():
    ensemble = initialise(lambda: MLP([6, 20, 3]), [1, 2])
    inputs = draw(40, 6).float()
    fresh = local_spectrum(inputs, points=9, seed=5)
    torch.manual_seed(1)
    first = fresh(ensemble)["R"]
    torch.manual_seed(2)
    second = fresh(ensemble)["R"]
    assert not torch.equal(first, second)
    again = local_spectrum(inputs, points=9, seed=5)
    assert torch.equal(again(ensemble)["R"], second)
    torch.manual_seed(1)
    assert torch.equal(again(ensemble)["R"], first)
    other = local_spectrum(inputs, points=9, seed=6)
    assert not torch.equal(other(ensemble)["R"], first)
    torch.manual_seed(0)  # the sum of seed and epoch is that of `first`
    assert not torch.equal(other(ensemble)["R"], first)
    every_point = local_spectrum(inputs, points=40)(ensemble)["R"]
    assert torch.equal(every_point, local_spectrum(inputs, points=99)(ensemble)["R"])


def test_augmentation_comes_before_directions():
    ensemble = initialise(lambda: MLP([6, 20, 3]), [1])
    inputs = draw(8, 6).float()

    def augment(x, labels, generators):
        assert x.shape == (1, 8, 6)
        assert labels.shape == (1, 8)
        return 2 * x, labels

    found = local_spectrum(inputs, augment=augment)(ensemble)["R"]
    assert torch.equal(found, local_spectrum(2 * inputs)(ensemble)["R"])


def test_bad_input():
    zero, one = torch.zeros(0, 3), torch.zeros(1, 3)
    for bad in ({"half_width": 0.0}, {"samples": 1}, {"chunk": 0}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            LineSettings(**bad)
    with pytest.raises(ValueError, match="at least one point"):
        spectrum(lambda x: x[None], zero, zero)
    with pytest.raises(ValueError, match="shape"):
        spectrum(lambda x: x[None], one, torch.zeros(1, 4))
    with pytest.raises(ValueError, match="points"):
        local_spectrum(one, points=0)


def test_two_samples_at_ten_times_the_points_are_a_quieter_reading():
    """And cost less: 20 forward passes in place of 128 for each of the few points."""
    net = initialise(lambda: MLP([64, 32, 10]), [0])
    inputs = draw(400, 64).float()

    def deviation(settings, points):
        measure = local_spectrum(inputs, settings, points=points, seed=5)
        found = []
        for epoch in range(60):
            torch.manual_seed(epoch)
            found.append(measure(net)["R"][0, 1:].mean())
        return torch.stack(found).std()

    few = deviation(LineSettings(0.5, 128), 10)
    many = deviation(LineSettings(0.5, 2, inclusive=True), 100)
    assert many < 0.6 * few


def own_loop(monitored):
    """Plain PyTorch, with dropout and batch norm, as a reader would write it."""
    torch.manual_seed(3)
    model = Normed()
    x, y = torch.randn(32, 2, 6, 6), torch.randint(3, (32,))
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    monitor = SpectrumMonitor(model, x, LineSettings(samples=16), points=6)
    said = []
    for _ in range(4):
        for rows in torch.randperm(32).split(8):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
        if monitored:
            said.append(monitor())
            assert model.training
            assert next(model.parameters()).grad is not None
    return model, monitor, said, x


def test_monitor_leaves_training_as_it_is():
    plain, watched = own_loop(False)[0], own_loop(True)[0]
    pairs = zip(plain.state_dict().values(), watched.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_monitor_reads_what_the_probe_reads():
    model, monitor, said, x = own_loop(True)
    assert monitor.curve.shape == (4,)
    assert "4 readings: no minimum yet, no peak yet" in said[-1]
    assert 0 < monitor.share < 1
    ensemble = initialise(lambda: model, [0], stacked=False)
    generator = torch.Generator().manual_seed(0)
    for _ in range(4):  # the monitor's draws; the fourth compares
        near = x[torch.randperm(len(x), generator=generator)[:6]]
        v = directions(near, generator)
    last = spectrum(ensemble.predict, near, v, LineSettings(samples=16))[0]
    assert torch.allclose(last, monitor.readings[-1], atol=1e-6)


def test_monitor_tells_what_it_has_passed():
    monitor = own_loop(False)[1]
    assert str(monitor).startswith("0 readings: no minimum yet")
    t = torch.arange(200.0)
    hump = (t - 20).abs().clamp(max=40) - (t - 60).clamp(min=0, max=30)
    monitor.readings = [value.view(1) for value in hump[:55]]
    place = monitor.turns.minimum
    assert f"minimum at reading {place + 1}, no peak yet" in str(monitor)
    monitor.readings = [value.view(1) for value in hump]
    assert monitor.turns.minimum == pytest.approx(20, abs=1)
    assert monitor.turns.peak == pytest.approx(60, abs=6)
    assert f"peak at reading {monitor.turns.peak + 1}" in str(monitor)
    monitor.search = Search(patience=150)
    assert "no peak yet" in str(monitor)
