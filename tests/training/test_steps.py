"""Steps computed in other ways against steps as they are."""

import os
import shutil
import weakref

import pytest
import torch
from torch import _dynamo, nn

from spectral_lib.data.images import load_images
from spectral_lib.models.mlp import MLP
from spectral_lib.training import progress, steps
from spectral_lib.training.ensemble import initialise
from spectral_lib.training.loop import Dataset, TrainSettings, train
from spectral_lib.training.losses import cross_entropy, mse
from spectral_lib.training.optimizers import OptimizerSettings, perturbed_product
from spectral_lib.training.progress import Readings, record

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
quiet_compiler = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")


@pytest.fixture
def traced(monkeypatch):
    """Steps traced with their gradients as for a compiler, and what was traced.

    A backend that needs no compiler stands for the default one. One entry a trace.
    """
    made, plain = [], torch.compile

    def backend(graph, example):
        made.append(graph)
        return _dynamo.lookup_backend("aot_eager")(graph, example)

    def compile(*args, mode=None, **kwargs):
        return plain(*args, backend=backend, **kwargs)

    monkeypatch.setattr(torch, "compile", compile)
    monkeypatch.setattr(steps.shutil, "which", lambda name: name)
    torch.compiler.reset()
    yield made
    torch.compiler.reset()


def two_ways(start, data, loss, **how):
    return [
        train(start, data, TrainSettings(3, 12, SGD, loss, compile=compiled, **how))
        for compiled in (False, True)
    ]


@quiet_compiler
@pytest.mark.parametrize(
    ("kind", "precision"), [("stacked", "bf16"), ("in turn", "float32")]
)
def test_compiled_steps_equal_others(kind, precision, images, traced):
    if kind == "stacked":
        case = (lambda seeds: initialise(mlp, seeds)), LINE, mse
    else:
        case = (lambda seeds: initialise(conv, seeds, stacked=False)), images
        case += (cross_entropy,)
    build, *rest = case
    start = build((1, 2, 3))
    runs = two_ways(start, *rest, precision=precision)
    assert_close(*runs, 1e-5)  # no compiler, so bfloat16 is rounded alike
    assert not torch.equal(runs[0].ensemble.flatten(), start.flatten())
    assert len(traced) == 1
    # Other weights, and a network of its own, of the same architecture.
    assert_close(*two_ways(build((4, 5, 6)), *rest, precision=precision), 1e-5)
    assert len(traced) == 1


@quiet_compiler
@pytest.mark.skipif(
    not os.environ.get("SPECTRAL_SLOW_TESTS") or shutil.which("g++") is None,
    reason="the default compiler: needs SPECTRAL_SLOW_TESTS and g++",
)
def test_the_default_compiler():
    assert_close(*two_ways(initialise(mlp, (1, 2)), LINE, mse), 1e-5)


@quiet_compiler
def test_too_many_architectures_are_told(traced, monkeypatch):
    monkeypatch.setattr(steps, "ARCHITECTURES", 1)

    def run(width):
        start = initialise(lambda: mlp(width), (1,))
        return train(start, LINE, TrainSettings(1, 12, compile=True))

    run(3), run(3)
    with pytest.raises(ValueError, match=r"compiled 1 networks.*compiler\.reset"):
        run(4)
    torch.compiler.reset()
    run(4)
    assert len(traced) == 2


@quiet_compiler
@pytest.mark.usefixtures("traced")
def test_a_step_that_cannot_be_traced_is_told():
    class Choosing(MLP):
        def forward(self, x):
            return super().forward(x) if x.sum() > -1e9 else x

    start = initialise(lambda: Choosing([20, 5, 20]), (1,))
    words = r"a step could not be compiled \(.+\); train without compile"
    with pytest.raises(ValueError, match=words) as told:
        train(start, LINE, TrainSettings(1, 12, compile=True))
    assert isinstance(told.value.__cause__, _dynamo.exc.TorchDynamoException)


def test_a_step_that_cannot_be_captured_is_told(monkeypatch):
    raised = []

    def refuses(losses, example):
        raise raised[-1]("operation not permitted\nwhen a stream is capturing")

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", refuses)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: None)
    start = initialise(mlp, (1,))
    weights = start.flatten().detach().requires_grad_()
    gradient = steps.gradient_of(start, weights, TrainSettings(1, 12, graph=True))
    batch = LINE.batch(torch.arange(12)[None])
    for kind, found, words in (
        (RuntimeError, ValueError, r"\(operation not permitted\); train without graph"),
        (torch.OutOfMemoryError, torch.OutOfMemoryError, "not permitted"),
    ):
        raised.append(kind)
        with pytest.raises(found, match=words):
            gradient(*batch)


@pytest.mark.parametrize("graph", [True, False])
def test_graphs_are_freed_after_a_run(graph, monkeypatch):
    class Held:
        pass

    alive = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: alive.append(watched()))
    with steps.freeing(TrainSettings(1, 1, graph=graph), torch.device("cuda")):
        held = Held()
        held.itself = held
        watched = weakref.ref(held)
        del held
    assert alive == ([None] if graph else [])


def test_capturing_leaves_no_traces_and_is_done_once_a_kind(images, monkeypatch):
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
    found, long = [], torch.int64

    def loss_of(prediction, labels):
        return cross_entropy(prediction, labels.long())

    for graph in (False, True):
        start = initialise(conv, (1,))
        weights = start.flatten().detach().requires_grad_()
        how = TrainSettings(1, 12, loss=loss_of, graph=graph)
        gradient = steps.gradient_of(start, weights, how)
        for size, dtype in ((12, long), (7, long), (12, long), (12, torch.int32)):
            inputs, labels = images.batch(torch.arange(size)[None])
            loss, slope = gradient(inputs, labels.to(dtype))
            with torch.no_grad():
                weights -= 0.1 * slope
        found.append([loss, weights.detach(), *start.buffers.values()])
    assert [shape[1] for shape in captures] == [12, 7, 12]
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


class Watched(torch.Tensor):
    """Counts what is done with it and with its copies."""

    calls = 0

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        Watched.calls += 1
        return super().__torch_function__(function, types, args, kwargs or {})


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_reading_costs_the_same_however_many_there_are(device):
    readings, calls = Readings({"a": [], "b": []}), []
    for epoch in range(40):
        before = Watched.calls
        seen = {k: torch.empty(3, device=device).as_subclass(Watched) for k in "xy"}
        readings.keep("ab"[epoch % 2], epoch, seen)
        calls.append(Watched.calls - before)
    assert len(set(calls)) == 1
    assert calls[0] > 0
    assert readings.held == (0 if device == "cpu" else 40 * 2 * 12)


def test_readings_stay_on_their_device_up_to_a_limit(monkeypatch):
    def on_meta(size):
        return {"x": torch.empty(size, device="meta")}

    monkeypatch.setattr(progress, "ON_DEVICE", 100)
    readings = Readings({"a": [], "b": []})
    readings.keep("a", 0, on_meta(10))
    readings.keep("b", 0, on_meta(15))
    assert readings.taken["b"][0][1]["x"].device.type == "meta"
    with pytest.raises(NotImplementedError):  # to the CPU, where meta cannot go
        readings.keep("a", 1, on_meta(1))
    value = torch.ones(2)
    readings = Readings({"a": []})
    readings.keep("a", 3, {"x": value})
    value.zero_()
    readings.keep("a", 5, {"x": value})
    assert readings.held == 0
    found = record(readings.taken["a"])
    assert found["x"].tolist() == [[1, 1], [0, 0]]
    assert found.epochs.tolist() == [3, 5]
