"""Steps computed in other ways against steps as they are."""

import shutil

import pytest
import torch
from torch import nn

from spectral_lib.data.augmentations import crop_and_flip
from spectral_lib.data.images import load_images
from spectral_lib.models.mlp import MLP
from spectral_lib.training import progress, steps
from spectral_lib.training.ensemble import initialise
from spectral_lib.training.loop import Dataset, TrainSettings, train
from spectral_lib.training.losses import cross_entropy, mse
from spectral_lib.training.optimizers import OptimizerSettings, perturbed_product
from spectral_lib.training.progress import keep, record

X = torch.randn(48, 20, generator=torch.Generator().manual_seed(0))
LINE = Dataset(X, X.roll(1, 1))
SGD = OptimizerSettings("sgd", 0.05, momentum=0.9)


@pytest.fixture(scope="module")
def images():
    return load_images(size=60).train


def mlp(width=9):
    return MLP([20, width, 20])


def conv():
    layers = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten()
    return nn.Sequential(*layers, nn.Linear(4 * 36, 10))


def assert_close(first, second, tolerance):
    pairs = [(first.ensemble.flatten(), second.ensemble.flatten())]
    pairs += [(first.loss, second.loss)]
    buffers = second.ensemble.buffers
    pairs += [(b, buffers[k]) for k, b in first.ensemble.buffers.items()]
    for a, b in pairs:
        assert (a - b).abs().max() < tolerance


def test_bytes_train_as_floats_do(images):
    stored = load_images(size=60, resident="uint8").train
    augment = crop_and_flip(1)
    how = TrainSettings(3, 20, SGD, cross_entropy, augment)
    for stacked in (True, False):
        start = initialise(lambda: nn.Sequential(nn.Flatten(), mlp_of(64)), (1, 2))
        if not stacked:
            start = initialise(conv, (1, 2), stacked=False)
        first, second = train(start, images, how), train(start, stored, how)
        assert torch.equal(first.loss, second.loss)
        assert torch.equal(first.ensemble.flatten(), second.ensemble.flatten())


def mlp_of(pixels):
    return MLP([pixels, 12, 10])


def test_channels_last_changes_rounding_alone(images, monkeypatch):
    seen = []
    plain = steps._channels_last

    def look(inputs):
        found = plain(inputs)
        seen.append(found[0].is_contiguous(memory_format=torch.channels_last))
        return found

    monkeypatch.setattr(steps, "_channels_last", look)
    colour = images.inputs.repeat(1, 3, 1, 1) * torch.tensor([1, 2, 3])[:, None, None]
    data = Dataset(colour, images.targets)

    def build():
        layers = nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.ReLU(), nn.Conv2d(5, 4, 3)
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * 16, 10))

    start = initialise(build, (1, 2), stacked=False, dtype=torch.float64)
    data = Dataset(data.inputs.double(), data.targets)
    runs = [
        train(start, data, TrainSettings(3, 20, SGD, cross_entropy, channels_last=last))
        for last in (False, True)
    ]
    assert_close(*runs, 1e-6)
    assert seen == [True] * 2 * 3 * 3


# PyTorch warns of what its compiler itself imports.
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
@pytest.mark.parametrize("kind", ["stacked", "in turn"])
def test_compiled_steps_equal_others(kind, images, monkeypatch):
    made, plain = [], torch.compile

    def counted(*args, **kwargs):
        made.append(kwargs)
        return plain(*args, **kwargs)

    monkeypatch.setattr(torch, "compile", counted)
    if kind == "stacked":
        start, data, loss = initialise(mlp, (1, 2, 3)), LINE, mse
    else:
        start, data = initialise(conv, (1, 2), stacked=False), images
        loss = cross_entropy
    runs = [
        train(start, data, TrainSettings(3, 12, SGD, loss, compile=compiled))
        for compiled in (False, True)
    ]
    assert_close(*runs, 1e-5)
    assert len(made) == (1 if kind == "stacked" else 2)
    assert not torch.equal(runs[0].ensemble.flatten(), start.flatten())


def test_capturing_leaves_no_traces_and_is_done_once_a_shape(images, monkeypatch):
    """CUDA is played by functions that do its warming up and nothing else."""
    captures = []

    def capture(losses, example):
        captures.append(example[1].shape)
        for _ in range(3):
            losses(*example)
        return losses

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", capture)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: None)
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device: None)
    found = []
    for graph in (False, True):
        start = initialise(conv, (1,))
        weights = start.flatten().detach().requires_grad_()
        how = TrainSettings(1, 12, loss=cross_entropy, graph=graph)
        gradient = steps.gradient_of(start, weights, how)
        for size in (12, 7, 12):
            rows = torch.arange(size)[None]
            loss, slope = gradient(*images.batch(rows))
            with torch.no_grad():
                weights -= 0.1 * slope
        found.append([loss, weights.detach(), *start.buffers.values()])
    assert [shape[1] for shape in captures] == [12, 7]
    assert all(map(torch.equal, *found))


def test_missing_compiler_is_told_before_training(monkeypatch):
    monkeypatch.setattr(steps.shutil, "which", lambda name: None)
    with pytest.raises(ValueError, match=r"needs a C\+\+ compiler"):
        train(initialise(mlp, (1,)), LINE, TrainSettings(1, 12, compile=True))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: TrainSettings(1, 12, compile=True, graph=True), "choose one"),
        (lambda: TrainSettings(1, 12, memory=0), "give bytes, 1 or more"),
        (
            lambda: train(
                initialise(mlp, (1,)), LINE, TrainSettings(1, 12, graph=True)
            ),
            "graph needs CUDA and the device is cpu",
        ),
        (
            lambda: train(
                initialise(mlp, (1,)), LINE, TrainSettings(1, 12, channels_last=True)
            ),
            r"inputs are \[20\]",
        ),
        (
            lambda: train(
                initialise(conv, (1, 2)),
                load_images(size=20).train,
                TrainSettings(1, 12, loss=cross_entropy, channels_last=True),
            ),
            "2 replicas are stacked",
        ),
    ],
)
def test_what_cannot_be_is_told(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_numbers_are_rounded_as_they_were_when_sent():
    gradient = torch.randn(3, 50)
    for rate, k in ((0.1, 3), (1e-3, 7), (torch.tensor([[0.1], [0.2], [0.3]]), 2)):
        eta, factor = (torch.as_tensor(v, dtype=torch.float32) for v in (rate, k))
        found = perturbed_product(rate, gradient, k)
        assert torch.equal(found, (eta / factor) * (factor * gradient))


def test_readings_stay_on_their_device_up_to_a_limit(monkeypatch):
    def on_meta(size):
        return {"x": torch.empty(size, device="meta")}

    monkeypatch.setattr(progress, "ON_DEVICE", 100)
    readings = {"a": [], "b": []}
    keep(readings, "a", 0, on_meta(10))
    keep(readings, "b", 0, on_meta(15))
    assert readings["b"][0][1]["x"].device.type == "meta"
    with pytest.raises(NotImplementedError):  # to the CPU, where meta cannot go
        keep(readings, "a", 1, on_meta(1))
    value = torch.ones(2)
    readings = {"a": []}
    keep(readings, "a", 3, {"x": value})
    value.zero_()
    keep(readings, "a", 5, {"x": value})
    found = record(readings["a"])
    assert found["x"].tolist() == [[1, 1], [0, 0]]
    assert found.epochs.tolist() == [3, 5]
