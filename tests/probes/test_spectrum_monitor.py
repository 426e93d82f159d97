"""The monitor in somebody else's training: what it takes, and what it says."""

import pytest
import torch
from torch import nn

from spectral_lib.probes.local_spectrum import LineSettings
from spectral_lib.probes.spectrum_monitor import SpectrumMonitor
from spectral_lib.training.ensemble import Ensemble

LINES = LineSettings(samples=8)


@pytest.fixture
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 2))


@pytest.fixture
def x():
    return torch.randn(20, 3, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x.numpy(), "inputs are ndarray; give a tensor"),
        # Directions of whole numbers would be 0, and every line a point.
        (lambda x: (255 * x).to(torch.uint8), "inputs are torch.uint8; give"),
        (lambda x: x[:0], "there are 0 inputs and points is 500"),
    ],
)
def test_other_inputs_are_refused(net, x, change, message):
    with pytest.raises(ValueError, match=message):
        SpectrumMonitor(net, change(x))


def test_no_points(net, x):
    with pytest.raises(ValueError, match="20 inputs and points is 0"):
        SpectrumMonitor(net, x, points=0)


class Returns(nn.Module):
    def __init__(self, what):
        super().__init__()
        self.what, self.layer = what, nn.Linear(3, 2)

    def forward(self, x):
        return self.what(self.layer(x))


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (lambda y: {"logits": y}, "outputs are dict; give one"),
        (lambda y: y[:, 0], r"outputs are shape \[\d+\]; give"),
    ],
)
def test_other_outputs_are_refused(x, what, message):
    monitor = SpectrumMonitor(Returns(what), x, LINES)
    with pytest.raises(ValueError, match=message):
        monitor()


@pytest.fixture
def process_group(tmp_path):
    from torch import distributed

    if not distributed.is_available():
        pytest.skip("this torch has no distributed package")
    distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1
    )
    yield
    distributed.destroy_process_group()


class LikeLightning(nn.Module):
    """A module with a training step and a trainer that is not there yet."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    @property
    def trainer(self):
        raise RuntimeError("not attached to a trainer")

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, index):
        raise AssertionError("a probe does not train")


WRAPPED = {
    "compiled": lambda net: torch.compile(net, backend="eager"),
    "distributed": lambda net: nn.parallel.DistributedDataParallel(net),
    "both": lambda net: torch.compile(
        nn.parallel.DistributedDataParallel(net), backend="eager"
    ),
    "lightning": LikeLightning,
}


@pytest.mark.parametrize("kind", WRAPPED)
def test_wrapped_modules_read_as_the_module_within(net, x, kind, process_group):
    wrapped = WRAPPED[kind](net)
    monitor, plain = (SpectrumMonitor(m, x, LINES) for m in (wrapped, net))
    monitor(), plain()
    assert torch.equal(monitor.curve, plain.curve)
    assert net.training
    assert kind == "lightning" or monitor.model is net
    found = Ensemble.of(wrapped)
    assert torch.equal(found.predict(x), Ensemble.of(net).predict(x))
    learned = {name for name, _ in net.named_parameters()}
    assert kind == "lightning" or set(found.parameters) == learned
