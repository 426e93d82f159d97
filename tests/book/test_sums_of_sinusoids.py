"""The chapter's own functions: the targets, whose they are, and the expressions."""

from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt

from spectral_lib.book.parameters import ParameterError
from spectral_lib.training.loop import every

BOOK = Path(__file__).parents[2] / "book"


@pytest.fixture(scope="module")
def chapter():
    """What the notebook has defined before it trains."""
    path = BOOK / "sums_of_sinusoids.ipynb"
    cells = [c for c in nbformat.read(path, 4).cells if c.cell_type == "code"]
    namespace = {"__name__": "chapter"}
    with pytest.MonkeyPatch.context() as patch, plt.rc_context():
        patch.chdir(BOOK)
        for cell in cells:
            if "plain = fit(" in cell.source:
                break
            exec(cell.source, namespace)
            if "parameters" in cell.metadata.get("tags", []):
                namespace |= {"device": "cpu", "seeds": [3, 4, 5]}
    return namespace


def test_targets_have_each_sine_at_its_amplitude_with_phases_of_their_own(chapter):
    amplitudes = torch.linspace(0.1, 1, 8)
    found = chapter["targets"](amplitudes, [3, 4, 5]).numpy()
    assert found.shape == (48, 3)
    lines = np.fft.fft(found, axis=0)[:24] / 24  # A exp(2 pi i phase) / i
    np.testing.assert_allclose(
        np.abs(lines[1:9]), np.tile(amplitudes[:, None], 3), atol=1e-6
    )
    assert np.abs(np.delete(lines, range(1, 9), axis=0)).max() < 1e-6
    phases = np.angle(lines[1:9])
    assert (np.abs(phases[:, 0] - phases[:, 1]) > 1e-3).all()
    again = chapter["targets"](amplitudes, [5]).numpy()[:, 0]
    np.testing.assert_array_equal(again, found[:, 2])


def test_each_network_gets_its_own_target_in_its_own_order(chapter):
    y = chapter["targets"](torch.ones(8), [3, 4, 5])
    rows = torch.stack([torch.randperm(48) for _ in range(3)])
    x, own = chapter["own"](chapter["t"][rows], y[rows], ())
    assert own.shape == (3, 48, 1)
    for r in range(3):
        torch.testing.assert_close(own[r, :, 0], y[rows[r], r], rtol=0, atol=0)
        torch.testing.assert_close(x[r], chapter["t"][rows[r]], rtol=0, atol=0)


def test_the_networks_learn_their_own_targets(chapter):
    one = torch.zeros(8)
    one[0] = 1.0
    run = chapter["fit"](chapter["cosines_sines"], one, 200, 100)
    assert set(run.records["spectrum"].epochs.tolist()) == every(200, 100)
    output = run.records["spectrum"]["output"][-1]
    wanted = chapter["targets"](one, chapter["P"].seeds).T
    assert (output - wanted).square().mean(1).max() < 1e-2
    assert (output - wanted.roll(1, 0)).square().mean(1).min() > 1e-2


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


@pytest.mark.parametrize(
    ("parameter", "value", "said"),
    [
        ("points", 16, "points = 16 cannot carry frequency 8; use more than 16"),
        ("layers", 2, "layers = 2"),
        ("frequencies", [2, 1], "must rise"),
        ("lowest_amplitude", 0.0, "lowest_amplitude = 0.0"),
    ],
)
def test_impossible_parameter(chapter, parameter, value, said):
    values = chapter["P"].model_dump() | {parameter: value}
    with pytest.raises(ParameterError) as told:
        chapter["Parameters"].check(values)
    assert said in str(told.value)
