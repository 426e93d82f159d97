"""What a step takes, what is free, and the number of replicas that fits."""

import subprocess
import sys

import pytest
import torch
from small_runs import LINES, X, mlp
from torch import nn

from spectral_lib.data.dataset import Dataset
from spectral_lib.training import memory
from spectral_lib.training.ensemble import initialise
from spectral_lib.training.loop import TrainSettings, train
from spectral_lib.training.memory import (
    check_memory,
    free_memory,
    replicas_that_fit,
    step_bytes,
)

BATCH = 12
HOW = TrainSettings(2, BATCH)


def ensemble(seeds=(1, 2, 7, 4, 5)):
    return initialise(mlp, seeds)


@pytest.fixture
def room(monkeypatch):
    """Leave room for a number of replicas."""

    def leave(replicas):
        # Nearly for one more; a share of it is left to others.
        need = (replicas + 0.99) * step_bytes(ensemble(), HOW, [LINES]) / memory.SHARE
        monkeypatch.setattr(memory, "free_memory", lambda device: int(need))

    return leave


def test_what_does_not_fit_is_refused_with_a_number_that_does(room, monkeypatch):
    room(3)
    assert replicas_that_fit(ensemble(), HOW, [LINES]) == 3
    words = r"5 replicas at once do not fit .* on cpu; set replicas_at_once=3, or"
    with pytest.raises(ValueError, match=words):
        train(ensemble(), LINES, HOW)
    for size in (3, 5):
        train(ensemble(), LINES, TrainSettings(2, BATCH, replicas_at_once=size))
    train(ensemble((1, 2, 3)), LINES, HOW)
    train(initialise(mlp, range(5), stacked=False), LINES, HOW)
    train(ensemble(), LINES, TrainSettings(0, BATCH))
    room(0)
    with pytest.raises(ValueError, match="use a smaller batch or network, or"):
        check_memory(ensemble(), HOW, [LINES])
    monkeypatch.setattr(memory, "free_memory", lambda device: None)
    assert replicas_that_fit(ensemble(), HOW, [LINES]) is None
    check_memory(ensemble(), HOW, [LINES])


GROWTH = """
import psutil, torch
from spectral_lib.data.dataset import Dataset
from spectral_lib.models.mlp import MLP
from spectral_lib.training.ensemble import initialise
from spectral_lib.training.loop import Probe, TrainSettings, train

torch.set_num_threads(1)
held = []

def measure(ensemble):
    held.append(psutil.Process().memory_info().rss / 1e6)
    return {"none": torch.zeros(len(ensemble))}

x = torch.linspace(0, 1, 200)[:, None]
ensemble = initialise(lambda: MLP([1, 256, 256, 256, 1]), range(5))
probes = {"memory": Probe(measure, [50, 350])}
train(ensemble, Dataset(x, x), TrainSettings(350, 200), probes)
print(held[1] - held[0])
"""


def test_a_long_run_takes_no_more_memory_than_a_short_one():
    # In a process of its own: another test's freed memory would hide the growth.
    run = [sys.executable, "-c", GROWTH]
    grown = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    assert float(grown) < 30  # MB in 300 epochs


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_bytes_of_a_step_by_hand(precision):
    wide = initialise(lambda: nn.Sequential(nn.Linear(20, 50), nn.Tanh()), (1, 2))
    how = TrainSettings(1, BATCH, precision=precision)
    parameters = 4 * (20 * 50 + 50)
    batch = 2 * 4 * BATCH * 20
    # tanh keeps its result; in bfloat16 the inputs are kept, too, as they were cast.
    kept = {"float32": [4 * BATCH * 50], "bf16": [2 * BATCH * 50, 2 * BATCH * 20]}
    saved = kept[precision]
    wanted = (
        memory.WEIGHT_COPIES * parameters
        + memory.BATCH_COPIES * batch
        + sum(saved)
        + memory.BACKWARD_COPIES * max(saved)
        + 4 * (4 * BATCH * 50)
    )
    assert step_bytes(wide, how, [LINES]) == wanted
    half = Dataset(X[:, :10], X)
    assert step_bytes(wide, how, [LINES, LINES]) == wanted
    with pytest.raises(RuntimeError, match="shapes"):  # each shape is tried
        step_bytes(wide, how, [LINES, half])


def test_counting_leaves_no_traces():
    def build():
        layers = nn.Linear(20, 8), nn.BatchNorm1d(8), nn.Dropout(0.5)
        return nn.Sequential(*layers, nn.Linear(8, 20))

    start = initialise(build, (1, 2))
    buffers = {name: b.clone() for name, b in start.buffers.items()}
    state = torch.get_rng_state()
    assert step_bytes(start, HOW, [LINES]) > 0
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(b, buffers[name]) for name, b in start.buffers.items())


@pytest.mark.parametrize(
    ("seeds", "groups", "words"),
    [
        (5, None, "5 replicas at once; use replicas_at_once=2"),
        (5, 3, "3 replicas at once; use replicas_at_once=1"),
        (1, None, "1 replicas at once; use a smaller batch"),
    ],
)
def test_a_full_memory_is_told_with_a_smaller_number(seeds, groups, words):
    def full(prediction, target):
        raise torch.OutOfMemoryError("tried to allocate 9 GiB")

    how = TrainSettings(1, BATCH, loss=full, replicas_at_once=groups)
    with pytest.raises(torch.OutOfMemoryError, match=words):
        train(ensemble(range(seeds)), LINES, how)


def test_limits_of_control_groups(tmp_path):
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("700\n")
    stat = "anon 300\ninactive_file 250\nactive_file 9\n"
    (tmp_path / "memory.stat").write_text(stat)
    assert memory._of_group(tmp_path) == 1000 - 700 + 250
    (tmp_path / "memory.max").write_text("max\n")
    assert memory._of_group(tmp_path) is None
    assert memory._of_group(tmp_path / "none") is None


def test_free_memory_is_about_what_the_machine_has(monkeypatch):
    psutil = pytest.importorskip("psutil")
    found = free_memory(torch.device("cpu"))
    assert found is not None
    assert 0 < found <= psutil.virtual_memory().total
    monkeypatch.setattr(memory, "_of_group", lambda: 1000)
    assert free_memory(torch.device("cpu")) == 1000
