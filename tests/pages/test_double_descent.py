"""The chapter's own functions, and a run too short to memorise anything."""

import ast
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from chapter_code import functions_of
from test_changed_run import said

from spectral_book.claims.ledger import claims_of
from spectral_book.runner import NotebookJob, execute_notebooks

NAME = "double_descent"
BOOK = Path(__file__).resolve().parents[2] / "book"
T = torch.arange(201, dtype=torch.float64)


def a_run(test, wrong, mean):
    """What functions read of a run: errors [T, seeds] and R_k, the same at each k."""
    curves = {"test": test, "perturbed": wrong, "train": wrong}
    records = {name: {"error": curve} for name, curve in curves.items()}
    return SimpleNamespace(
        records=records | {"R": {"R": mean[..., None].repeat(1, 1, 3)}}
    )


def step(at, width=4.0):
    return torch.sigmoid((T - at) / width)


FALLEN = 6 + 4 * step(60) - 3 * step(130) + 40 * torch.exp(-T / 3)
STAYS = 6 + 4 * step(60) + 40 * torch.exp(-T / 3)
WRONG = 90 * (1 - step(80, 10))
RUN = a_run(
    torch.stack([FALLEN, STAYS], 1),
    torch.stack([WRONG, WRONG], 1),
    torch.stack([step(70, 8) - 0.5 * step(140), step(70, 8)], 1),
)


@pytest.fixture(scope="module")
def chapter():
    """What the notebook has run before it trains, and its functions after that."""
    runs = dict.fromkeys(("main", "calm", "loud", "toy"), RUN)
    namespace = functions_of(NAME, "def learn(", ast.ImportFrom, **runs)
    namespace["search"] = namespace["Search"]()
    return namespace


def test_rise_and_fall_of_a_curve_that_is_known(chapter):
    rise, fall = chapter["rise_and_fall"](RUN, chapter["error"](RUN))
    assert rise.tolist() == pytest.approx([4, 4], abs=0.1)
    assert fall.tolist() == pytest.approx([3, 0], abs=0.1)


def test_landmarks_are_where_they_were_put_and_nan_where_there_are_none(chapter):
    found = chapter["landmarks"]([RUN], chapter["search"])
    assert found["peak"][0] == pytest.approx(95, abs=12)
    assert found["R peak"][0] == pytest.approx(105, abs=12)
    assert found["fall"] == pytest.approx([80, 80], abs=2)
    assert found["minimum"].max() < 50
    assert np.isnan([found["peak"][1], found["R peak"][1]]).all()
    assert chapter["epochs_of"](found, "peak", "R peak").shape == (2, 1)
    assert np.isnan(chapter["fastest_fall"](T))


def test_lift_is_one_where_the_spectrum_is_the_share_memorised(chapter):
    found = chapter["lift"](torch.stack([-2 * WRONG, 3 * WRONG], 1), RUN)
    assert found.tolist() == pytest.approx([1, -1])


def test_short_time_correlation_is_that_of_each_window(chapter):
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 50, 3, generator=generator, dtype=torch.float64)
    a[:, 2] = 1.5
    found = chapter["short_time_correlation"](a, b)
    assert found.shape == (21, 3)
    for start in (0, 7, 20):
        window = slice(start, start + 30)
        expected = [np.corrcoef(a[window, i], b[window, i])[0, 1] for i in range(2)]
        assert found[start, :2].tolist() == pytest.approx(expected)
    assert found[:, 2].isnan().all()


def test_networks_by_name(chapter):
    images, x = SimpleNamespace(classes=10, channels=1), torch.zeros(2, 1, 8, 8)
    nets = {
        name: chapter["build"](name, images).eval()
        for name in ("resnet8 4", "plain8 4", "vgg6 4")
    }
    assert {tuple(net(x).shape) for net in nets.values()} == {(2, 10)}
    count = {
        name: sum(
            isinstance(m, torch.nn.Conv2d) and m.kernel_size == (3, 3)
            for m in net.modules()
        )
        for name, net in nets.items()
    }
    assert count == {"resnet8 4": 7, "plain8 4": 7, "vgg6 4": 6}


SHORT = {
    "seeds": [1, 2, 3],
    "image_seeds": [1, 2, 3],
    "train_size": 200,
    "test_size": 100,
    "epochs": 60,
    "points": 10,
    "samples": 16,
    "width": 32.0,
    "widths": [32.0, 64.0],
    "other_epochs": 10,
    "other_points": 4,
    "toy_epochs": 200,
}
ALONE = SHORT | {"seeds": [7], "image_seeds": [5], "others": [], "padding": 1}


@pytest.mark.processes
@pytest.mark.parametrize("changed", [SHORT, ALONE], ids=["short", "one seed"])
def test_a_short_run_says_only_what_is_true_of_itself(changed):
    job = NotebookJob(NAME, BOOK / f"{NAME}.ipynb", parameters=changed)
    (run,) = execute_notebooks([job], at_once=1, environment={"OMP_NUM_THREADS": "1"})
    assert run.failure is None, run.failure
    text = said(run.notebook)
    assert not re.search(r"\b(nan|inf)\b", text)
    assert "class 1 holds" not in text
    assert re.search(r"for good from epoch (–(, | and )?)+ on", text)
    rows = {row["id"]: row["rule"] for row in claims_of(NAME, run.notebook)}
    assert rows["second-descent"] == "not comparable"
    for name in ("error-rises", "spectrum-falls", "resnet-lower", "toy-on-dips"):
        assert rows[name] in ("not comparable", "inconclusive")
    assert ("No ResNet is trained." in text) == (not changed.get("others", True))
