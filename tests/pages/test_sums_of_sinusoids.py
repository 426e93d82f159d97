"""The chapter's own functions: targets, whose they are, first steps, expressions."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from chapter_code import functions_of

from spectral_book.claims.statistics import ratio, spearman
from spectral_lib.training.loop import Record, every


@pytest.fixture(scope="module")
def chapter():
    """What the notebook has run before it trains, and its functions after that."""
    return functions_of("sums_of_sinusoids", "plain = fit(", seeds=[3, 4, 5])


def test_targets_have_each_sine_at_its_amplitude_with_phases_of_their_own(chapter):
    amplitudes = torch.linspace(0.1, 1, 8)
    found = chapter["targets"](amplitudes, [3, 4, 5]).numpy()
    assert found.shape == (48, 3)
    lines = np.fft.fft(found, axis=0)[:24] / 24  # A exp(2 pi i phase) / i
    np.testing.assert_allclose(
        np.abs(lines[1:9]), np.tile(amplitudes[:, None], 3), atol=1e-6
    )
    assert np.abs(np.delete(lines, range(1, 9), axis=0)).max() < 1e-5
    phases = np.angle(lines[1:9])
    assert (np.abs(phases[:, 0] - phases[:, 1]) > 1e-3).all()
    again = chapter["targets"](amplitudes, [5]).numpy()[:, 0]
    np.testing.assert_array_equal(again, found[:, 2])


def test_the_phases_are_not_the_numbers_of_the_first_weights(chapter):
    ensemble = chapter["initialise"](lambda: chapter["MLP"]([1, 64, 1]), [3])
    weights = ensemble.parameters["layers.0.weight"].detach().flatten()
    # With one input they are uniform on (-1, 1): 2 u - 1.
    same_stream = torch.rand(8, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(2 * same_stream - 1, weights[:8])
    assert ((2 * chapter["phases"](3) - 1 - weights[:8]).abs() > 1e-3).all()


@pytest.mark.parametrize("mode", ["all at once", "in groups", "one after another"])
def test_the_networks_learn_their_own_targets(chapter, mode, monkeypatch):
    one = torch.zeros(8)
    one[1] = 1.0
    if mode == "in groups":
        groups = partial(chapter["TrainSettings"], replicas_at_once=2)
        monkeypatch.setitem(chapter, "TrainSettings", groups)
    if mode == "one after another":
        alone = partial(chapter["initialise"], stacked=False)
        monkeypatch.setitem(chapter, "initialise", alone)
    run = chapter["fit"](chapter["cosines_sines"], one, 200, 100)
    assert set(run.records["spectrum"].epochs.tolist()) == every(200, 100)
    output = run.records["spectrum"]["output"][-1]
    wanted = chapter["targets"](one, chapter["P"].seeds).T
    assert (output - wanted).square().mean(1).max() < 1e-2
    assert (output - wanted.roll(1, 0)).square().mean(1).min() > 1e-2


def a_run(share):
    """A run with readings [T, R, k] of the shares at steps 0, 10, 20, ..."""
    share = torch.tensor(share)
    record = Record(torch.arange(len(share)) * 10, {"share": share})
    return SimpleNamespace(records={"spectrum": record})


NAN = float("nan")
READINGS = [
    # in order; the highest never; the lowest never; none; diverged after both
    [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]],
    [[0.95, 0.2], [0.95, 0.1], [0.0, 0.95], [0.0, 0.0], [0.95, 0.95]],
    [[0.5, 0.5], [0.95, 0.3], [0.5, 0.95], [0.1, 0.1], [NAN, NAN]],
    [[0.95, 0.95], [0.95, 0.4], [0.5, 0.95], [0.1, 0.2], [NAN, NAN]],
]


def test_first_steps_and_what_never_was_there(chapter):
    run = a_run(READINGS)
    first = chapter["first_step"](run)
    wanted = [[10, 30], [10, NAN], [NAN, 10], [NAN, NAN], [NAN, NAN]]
    np.testing.assert_array_equal(first, wanted)
    latest = [[10, 30], [10, 30], [30, 10], [30, 30], [NAN, NAN]]
    np.testing.assert_array_equal(chapter["at_latest"](run), latest)


def test_what_was_never_reached_gives_a_bound_or_no_number(chapter):
    run = a_run(READINGS)
    order = chapter["order"](run)
    found = spearman([1, 2], order["y"])  # and no warning of constant input
    np.testing.assert_allclose(found, [1, 1, -1, NAN, NAN])
    np.testing.assert_allclose(
        np.exp(ratio(**chapter["delay"](run))), [3, 3, NAN, NAN, NAN]
    )
    strict = chapter["delay"](run, highest=chapter["first_step"])
    np.testing.assert_allclose(np.exp(ratio(**strict)), [3, NAN, NAN, NAN, NAN])
    np.testing.assert_allclose(
        chapter["meanwhile"](run)[:, -1], [0.2, 0.1, NAN, NAN, NAN]
    )


def test_definitions_tell_phase_and_amplitude_apart(chapter):
    """Outputs that are the target, larger, in another phase, and there for a while."""
    y = chapter["targets"](torch.ones(8), [3, 4, 5]).T
    output = torch.stack([y, 1.2 * y, -y, 0 * y, y])
    record = Record(torch.arange(5), {"output": output})
    run = SimpleNamespace(records={"spectrum": record})
    found = chapter["definitions"](run, torch.ones(8))
    by_time = [f.all((1, 2)).tolist() for f in found.values()]
    assert [f.any((1, 2)).tolist() for f in found.values()] == by_time
    assert by_time == [
        [True, True, True, False, True],
        [True, True, False, False, True],
        [True, False, False, False, True],
        [False, False, False, False, True],
    ]


def test_expressions_against_plain_numpy(chapter):
    W = torch.randn(4, 9, 9, generator=torch.Generator().manual_seed(0)).double()
    torch.manual_seed(1)
    found = {k: v.flatten() for k, v in chapter["expressions"](W).items()}
    torch.manual_seed(1)
    starts = torch.randn_like(W[..., :1]).numpy()
    for r, matrix in enumerate(W.numpy()):
        b = starts[r]
        for _ in range(10):
            b = matrix @ b / np.linalg.norm(matrix @ b)
        quotient = (b.T @ matrix @ b).item()
        assert found["quotient"][r].item() == pytest.approx(quotient)
        assert found["public"][r].item() == pytest.approx(9 * quotient)
        norm = np.linalg.svd(matrix)[1][0]
        assert 0.8 * norm < found["norm by iteration"][r].item() <= norm * (1 + 1e-9)


def test_noise_in_the_weights_is_as_long_as_it_says_and_moves_sines_as_read(chapter):
    widths, t, k = [1, 12, 1], chapter["t"], chapter["k"]
    build = chapter["MLP"]
    ensemble = chapter["initialise"](lambda: build(widths), [3, 4, 5])
    run = SimpleNamespace(ensemble=ensemble)
    kept, change = chapter["noisy"](run, t, 0.2, draws=4)

    def sines(weights):
        """Coefficients of one network at k, by the sum that defines them."""
        network = build(widths)
        torch.nn.utils.vector_to_parameters(weights, network.parameters())
        with torch.no_grad():
            wave = torch.exp(-2j * torch.pi * t * k)  # [points, k]
            return (network(t) * wave).sum(0)

    weights, g = ensemble.flatten().detach(), torch.Generator().manual_seed(0)
    draws = [torch.randn(weights.shape, generator=g) for _ in range(4)]
    for r, own in enumerate(weights):
        before, after = sines(own), []
        for way in draws:
            noise = 0.2 * own.norm() * way[r] / way[r].norm()
            assert float(noise.norm() / own.norm()) == pytest.approx(0.2, rel=1e-5)
            after.append(sines(own + noise))
        after = torch.stack(after)
        mean = after.abs().mean(0) / before.abs()
        moved = ((after - before).abs() ** 2).mean(0) ** 0.5 / before.abs()
        torch.testing.assert_close(kept[r], mean, rtol=2e-3, atol=1e-3)
        torch.testing.assert_close(change[r], moved, rtol=2e-3, atol=1e-3)
