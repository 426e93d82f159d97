"""Devices, threads and arithmetic are what was asked for, or an error says why not."""

import subprocess
import sys

import pytest
import torch
from small_runs import LINES, X, mlp
from torch import nn

from spectral_lib.training.checkpoints import Checkpoint
from spectral_lib.training.devices import (
    float32_products,
    prepare,
    resolve_device,
)
from spectral_lib.training.ensemble import initialise
from spectral_lib.training.loop import Probe, TrainSettings, every, train
from spectral_lib.training.losses import mse
from spectral_lib.training.optimizers import Optimizer


def test_unknown_and_missing_devices_are_refused(monkeypatch):
    with pytest.raises(ValueError, match="'auto', 'cpu' or 'cuda'"):
        resolve_device("gpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="no CUDA device"):
        resolve_device("cuda")
    assert resolve_device("auto").type == "cpu"


def test_threads_come_from_the_budget(monkeypatch):
    monkeypatch.setenv("SPECTRAL_THREADS", "2")
    before = torch.get_num_threads()
    prepare("cpu")
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


STEPS = """
import resource, torch
from spectral_lib.training.devices import prepare
prepare("cpu")
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for step in range(50):
    torch.ones((1 << 20) + 4096 * step)  # a bit larger: a new one of glibc's mmaps
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="of glibc")
def test_a_step_does_not_fetch_its_memory_anew():
    done = subprocess.run([sys.executable, "-c", STEPS], capture_output=True, text=True)
    assert int(done.stdout) < 16 * 1024  # pages, of more than 50 * 1024 that are filled


# --- precision ----------------------------------------------------------------------


def conv():
    layers = nn.Conv1d(1, 4, 3), nn.BatchNorm1d(4), nn.ReLU(), nn.Flatten()
    return nn.Sequential(nn.Unflatten(1, (1, 20)), *layers, nn.Linear(4 * 18, 20))


@pytest.mark.parametrize(
    ("build", "stacked"), [(mlp, True), (mlp, False), (conv, False)]
)
def test_bfloat16_is_close_and_keeps_weights_in_float32(build, stacked, monkeypatch):
    types = {"loss": set(), "gradient": set(), "probe": set()}
    step = Optimizer.step

    def seen_step(self, gradient, epoch):
        types["gradient"].add(gradient.dtype)
        step(self, gradient, epoch)

    def loss(prediction, target):
        types["loss"].add(prediction.dtype)
        return mse(prediction, target)

    def look(ensemble):
        output = ensemble.predict(X)
        types["probe"].add(output.dtype)
        return {"output": output}

    monkeypatch.setattr(Optimizer, "step", seen_step)
    ensemble = initialise(build, (1, 2), stacked=stacked)
    probes = {"look": Probe(look, every(10))}
    exact, rough = (
        train(ensemble, LINES, TrainSettings(10, 12, loss=loss, precision=p), probes)
        for p in ("float32", "bf16")
    )
    assert all(kinds == {torch.float32} for kinds in types.values())
    assert rough.loss.dtype == torch.float32
    assert {p.dtype for p in rough.ensemble.parameters.values()} == {torch.float32}
    for name, buffer in rough.ensemble.buffers.items():
        assert buffer.dtype == ensemble.buffers[name].dtype
    apart = (rough.loss / exact.loss - 1).abs()
    assert 0 < apart.max() < 0.01
    outputs = exact.records["look"]["output"], rough.records["look"]["output"]
    assert torch.equal(outputs[0][0], outputs[1][0])  # before training
    assert 0 < (outputs[0][-1] - outputs[1][-1]).abs().max() < 0.02


def test_flags_of_cuda_are_what_is_declared_and_put_back():
    def flags():
        cudnn = torch.backends.cudnn.allow_tf32
        return torch.get_float32_matmul_precision(), cudnn

    before = flags()
    try:
        for start in (("highest", False), ("medium", True)):
            torch.set_float32_matmul_precision(start[0])
            torch.backends.cudnn.allow_tf32 = start[1]
            with float32_products("tf32"):
                assert flags() == ("high", True)
                with float32_products("float32"):  # a probe
                    assert flags() == ("highest", False)
                assert flags() == ("high", True)
            assert flags() == start
            with float32_products("bf16"):
                assert flags() == ("highest", False)
            assert flags() == start
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


def test_float32_is_not_what_a_process_allows(tmp_path, monkeypatch):
    """Nor do flags that a run sets for itself make it another one."""
    products, step = [], Optimizer.step

    def seen(*args):
        products.append(torch.get_float32_matmul_precision())
        step(*args)

    monkeypatch.setattr(Optimizer, "step", seen)
    start, how = initialise(mlp, (1, 2)), TrainSettings(2, 12)
    before = torch.get_float32_matmul_precision()
    file = Checkpoint(tmp_path / "run.pt")
    try:
        torch.set_float32_matmul_precision("medium")
        train(start, LINES, how, checkpoint=file)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    assert set(products) == {"highest"}
    products.clear()
    train(start, LINES, how, checkpoint=file)
    assert not products  # read from the file


@pytest.mark.parametrize(
    ("precision", "dtype", "words"),
    [
        ("fp16", torch.float32, "use one of 'float32', 'tf32', 'bf16'"),
        ("tf32", torch.float32, "'tf32', which belongs to CUDA"),
        ("bf16", torch.float64, "initialise the ensemble in float32"),
    ],
)
def test_what_is_not_to_be_had_is_told(precision, dtype, words):
    ensemble = initialise(mlp, (1,), dtype=dtype)
    with pytest.raises(ValueError, match=words):
        train(ensemble, LINES, TrainSettings(1, 12, precision=precision))
