"""R_k against closed forms and a slow version, and the monitor's manners."""

import math

import pytest
import torch
from torch import nn

from spectral_lib.data.dataset import Dataset
from spectral_lib.models.mlp import MLP
from spectral_lib.probes.local_spectrum import (
    LineSettings,
    directions,
    energies,
    high_share,
    line_spectra,
    local_spectrum,
    ratios,
    spectrum,
    straight_line,
)
from spectral_lib.probes.spectrum_monitor import SpectrumMonitor
from spectral_lib.training.checkpoints import Checkpoint
from spectral_lib.training.ensemble import evaluating, initialise
from spectral_lib.training.loop import Probe, TrainSettings, every, train
from spectral_lib.training.losses import cross_entropy
from spectral_lib.training.optimizers import OptimizerSettings


def draw(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


class Normed(nn.Module):
    """Batch norm and dropout: everything that may not be disturbed."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4)
        self.drop, self.head = nn.Dropout(0.5), nn.Linear(4, 3)

    def forward(self, x):
        y = torch.relu(self.norm(self.conv(x))).mean((-2, -1))
        return self.head(self.drop(y))


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
                size_k = abs(complex(value))
                totals[k] += size_k**2 if s.form == "squared" else size_k
    whole = sum(totals) if s.form == "squared" else totals[0]
    return torch.tensor([math.log(t / whole) for t in totals])


@pytest.mark.parametrize("form", ["squared", "absolute"])
@pytest.mark.parametrize("inclusive", [True, False])
def test_against_the_equations(form, inclusive):
    ensemble = initialise(lambda: MLP([6, 20, 3]), [4], dtype=torch.float64)
    settings = LineSettings(0.7, 8, inclusive, form, chunk=5)
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


@pytest.mark.parametrize("k", [1, 7, 31])
def test_a_sinusoid_is_in_its_bin(k):
    v = directions(draw(5, 3, 4, 4), torch.Generator().manual_seed(2))
    inputs = torch.zeros_like(v)

    def wave(x):
        # <x, v> = s, whatever the point: each line's own direction is looked up.
        s = (x.unflatten(0, (5, -1)) * v[:, None]).flatten(2).sum(-1).flatten()
        return 3 * torch.sin(2 * math.pi * k * s + 0.4)[None, :, None]

    settings = LineSettings(0.5, 64, chunk=5 * 64)
    found = spectrum(wave, inputs, v, settings)[0]
    share = found.exp()
    assert share[k].item() == pytest.approx(1, abs=1e-6)
    assert share.sum() - share[k] < 1e-6
    assert high_share(found).item() == pytest.approx(float(k >= 5), abs=1e-6)
    # a sine of amplitude a over N samples has |f^|^2 = (a N / 2)^2
    s = settings.offsets
    a = energies(3 * torch.sin(2 * math.pi * k * s + 0.4)[None, :, None])
    assert a[k].item() == pytest.approx((3 * 64 / 2) ** 2, rel=1e-6)


def test_scale_of_the_logits_does_not_matter():
    ensemble = initialise(lambda: MLP([6, 20, 3]), [1, 2])
    inputs = draw(7, 6).float()
    v = directions(inputs, torch.Generator().manual_seed(0))
    plain = spectrum(ensemble.predict, inputs, v)
    for factor, same in ((8.0, True), (2.0**-5, True), (3.7, False)):
        scaled = spectrum(lambda x, f=factor: f * ensemble.predict(x), inputs, v)
        assert torch.equal(scaled, plain) == same
        assert torch.allclose(scaled, plain, atol=1e-4)
    assert plain.shape == (2, 65)
    assert torch.allclose(plain.exp().sum(-1), torch.ones(2).double())


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


def test_high_share_by_hand():
    energy = torch.tensor([[6.0, 2.0, 1.0, 1.0]])
    assert high_share(ratios(energy), first=2).tolist() == pytest.approx([0.2])
    assert high_share(ratios(energy), first=1).tolist() == pytest.approx([0.4])


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
    kept = local_spectrum(inputs, points=9, seed=5, redraw=False)
    always = kept(ensemble)["R"]
    torch.manual_seed(2)
    assert torch.equal(kept(ensemble)["R"], always)


@pytest.mark.parametrize("stacked", [True, False])
def test_replicas_share_each_epochs_draw(stacked):
    x = draw(24, 6).float()
    data = Dataset(x, torch.zeros(24, dtype=torch.long))
    still = TrainSettings(3, 8, OptimizerSettings("sgd", 0.0), cross_entropy)
    ensemble = initialise(lambda: MLP([6, 20, 3]), [1, 1], stacked=stacked)
    probe = Probe(local_spectrum(x, LineSettings(samples=16), points=5), every(3))
    seen = train(ensemble, data, still, {"s": probe}).records["s"]["R"]
    # Replicas of equal weights at rate 0: all that changes are points and directions.
    assert torch.allclose(seen[:, 0], seen[:, 1], atol=1e-6)
    changes = (seen[1:, 0] - seen[:-1, 0]).abs().amax(-1)
    assert (changes > 1e-3).all()


def test_a_run_taken_up_again_has_the_same_draws(tmp_path, monkeypatch):
    x = draw(24, 6).float()
    data = Dataset(x, torch.randint(3, (24,), generator=torch.Generator()))
    ensemble = initialise(lambda: MLP([6, 20, 3]), [1, 2])
    settings = TrainSettings(4, 8, loss=cross_entropy)

    def readings(**checkpoint):
        measure = local_spectrum(x, LineSettings(samples=16), points=5)
        probes = {"s": Probe(measure, every(4))}
        return train(ensemble, data, settings, probes, **checkpoint).records["s"]["R"]

    calls = iter(range(9))

    def killed(*given):
        if next(calls) == 3:
            raise KeyboardInterrupt
        return spectrum(*given)

    file = Checkpoint(tmp_path / "run.pt", seconds=0)
    with monkeypatch.context() as patched:
        patched.setattr("spectral_lib.probes.local_spectrum.spectrum", killed)
        with pytest.raises(KeyboardInterrupt):
            readings(checkpoint=file)
    assert torch.equal(readings(checkpoint=file), readings())


def test_augmentation_comes_before_directions():
    ensemble = initialise(lambda: MLP([6, 20, 3]), [1])
    inputs = draw(8, 6).float()

    def augment(x, labels, generators):
        assert x.shape == (1, 8, 6)
        assert labels.shape == (1, 8)
        return 2 * x, labels

    found = local_spectrum(inputs, augment=augment)(ensemble)["R"]
    assert torch.equal(found, local_spectrum(2 * inputs)(ensemble)["R"])


def test_probe_changes_nothing_and_reads_the_trained_network():
    x = draw(24, 2, 6, 6).float()
    data = Dataset(x, torch.randint(3, (24,), generator=torch.Generator()))
    ensemble = initialise(Normed, [1, 2], stacked=False)
    settings = TrainSettings(3, 8, loss=cross_entropy)
    probe = Probe(local_spectrum(x, LineSettings(samples=16), points=5), every(3))
    plain = train(ensemble, data, settings).ensemble
    run = train(ensemble, data, settings, {"spectrum": probe})
    for kind in ("parameters", "buffers"):
        pairs = zip(
            getattr(plain, kind).values(),
            getattr(run.ensemble, kind).values(),
            strict=True,
        )
        assert all(torch.equal(a, b) for a, b in pairs)
    readings = run.records["spectrum"]["R"]
    assert readings.shape == (4, 2, 9)
    # the measure puts batch norm into evaluation mode itself
    run.ensemble.module.train()
    measure = local_spectrum(x, LineSettings(samples=16), points=None)
    before = {k: b.clone() for k, b in run.ensemble.buffers.items()}
    measure(run.ensemble)
    assert all(torch.equal(before[k], b) for k, b in run.ensemble.buffers.items())
    assert run.ensemble.module.training


def test_lines_of_each_replica():
    ensemble = initialise(lambda: MLP([3, 20, 2]), [1, 2], dtype=torch.float64)

    def lines(seed):
        return {"a": draw(10, 3, seed=seed), "b": draw(10, 3, seed=seed + 50)}

    seen = line_spectra(lines)(ensemble)
    for r, seed in enumerate((1, 2)):
        for name, line in lines(seed).items():
            output = ensemble.predict(line)[r]
            expected = ratios(energies(output[None]))
            assert torch.allclose(seen[f"R_{name}"][r], expected)
            assert torch.equal(seen[f"class_{name}"][r], output.argmax(-1))


def test_mode_comes_back_after_an_error():
    net = Normed()
    monitor = SpectrumMonitor(net, torch.zeros(4, 9))  # not images
    with pytest.raises(RuntimeError):
        monitor()
    assert net.training
    assert net.norm.training


def test_evaluating_gives_each_part_its_mode_back():
    net = Normed()
    net.norm.eval()
    with evaluating(net):
        assert not any(m.training for m in net.modules())
    assert net.training
    assert not net.norm.training
    assert net.drop.training


def test_bad_input():
    zero, one = torch.zeros(0, 3), torch.zeros(1, 3)
    for bad in (
        {"half_width": 0.0},
        {"samples": 1},
        {"chunk": 0},
        {"form": "power"},
    ):
        with pytest.raises(ValueError, match=next(iter(bad))):
            LineSettings(**bad)
    with pytest.raises(ValueError, match="at least one point"):
        spectrum(lambda x: x[None], zero, zero)
    with pytest.raises(ValueError, match="shape"):
        spectrum(lambda x: x[None], one, torch.zeros(1, 4))
    with pytest.raises(ValueError, match="points"):
        local_spectrum(one, points=0)


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


class Shaky(nn.Module):
    """Draws random numbers in every mode."""

    def forward(self, x):
        return x + torch.rand(x.shape)


def test_monitor_puts_the_random_state_back():
    monitor = SpectrumMonitor(Shaky(), torch.zeros(4, 3))
    before = torch.get_rng_state()
    monitor()
    assert torch.equal(torch.get_rng_state(), before)


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


@pytest.mark.parametrize("inclusive", [False, True])
def test_a_straight_line_has_the_spectrum_of_its_jump(inclusive):
    settings = LineSettings(samples=32, inclusive=inclusive)
    x = draw(7, 3)
    v = directions(x, torch.Generator().manual_seed(1))
    weights = draw(3, 2, seed=2)
    found = spectrum(lambda part: (part @ weights + 0.4)[None], x, v, settings)[0]
    assert found[1:] - found[1] == pytest.approx(straight_line(32), abs=1e-9)
    assert straight_line(32).diff().max() < 0


def test_two_samples_measure_the_jump_itself():
    settings = LineSettings(samples=2, inclusive=True)
    x = draw(7, 3)
    v = directions(x, torch.Generator().manual_seed(1))
    net = MLP([3, 8, 2]).double()
    found = spectrum(lambda part: net(part)[None], x, v, settings)[0, 1]
    with torch.no_grad():
        low, high = net(x - 0.5 * v), net(x + 0.5 * v)
    jump, total = (high - low).square().mean(), (high + low).square().mean()
    assert found == pytest.approx(float((jump / (jump + total)).log()))
