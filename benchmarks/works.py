"""The same training in four ways: the library's, plain PyTorch, Lightning, stacked.

Every way starts a replica from the same weights and shows it the same batches, so that
the losses of the last epoch can be compared.
"""

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Sampler, TensorDataset
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measure import Setting
from spectral_lib.data.dataset import Dataset
from spectral_lib.data.images import load_digits
from spectral_lib.models.classifiers import builder
from spectral_lib.models.conv1d import ConvNet1d, ConvSettings, Form, fastest
from spectral_lib.models.mlp import MLP
from spectral_lib.models.resnet import ResNet, ResNetSettings, resnet18
from spectral_lib.training.ensemble import initialise
from spectral_lib.training.loop import TrainSettings, train
from spectral_lib.training.losses import cross_entropy
from spectral_lib.training.optimizers import OptimizerSettings

RATE = 1e-3


@dataclass(frozen=True)
class Work:
    """Networks to train with Adam, and what on.

    Attributes
    ----------
    build
        A replica, as the library builds it.
    plain
        The same with PyTorch's own layers in the same order.
    data
        On the CPU, as one has it at first.
    stacked
        Whether the book's chapters would stack replicas of this network on a CPU.
    channels_last
        Whether the library trains it with channels last in memory, as `fast` does in
        chapters; the plain loop does not.
    """

    name: str
    build: Callable[[], nn.Module]
    plain: Callable[[], nn.Module]
    data: Dataset
    batch: int
    epochs: int
    stacked: bool = True
    channels_last: bool = False

    @property
    def steps(self) -> int:
        """Batches in all epochs."""
        return self.epochs * (len(self.data) // self.batch)

    def flops(self) -> int:
        """Floating-point operations of a step of one replica, forward and backward."""
        net, rows = self.plain(), slice(0, self.batch)
        with FlopCounterMode(display=False) as counter:
            loss = self.measure(net(self.data.inputs[rows]), self.data.targets[rows])
            loss.backward()
        return counter.get_total_flops()

    def measure(self, output: Tensor, targets: Tensor) -> Tensor:
        """The loss as PyTorch has it."""
        functions = nn.functional
        if targets.is_floating_point():
            return functions.mse_loss(output, targets)
        return functions.cross_entropy(output, targets)


def ours(
    work: Work,
    seeds: Sequence[int],
    setting: Setting,
    *,
    stacked: bool,
) -> Tensor:
    """The library's loop; losses [R] of the last epoch."""
    device = setting.device
    data = Dataset(work.data.inputs.to(device), work.data.targets.to(device))
    start = initialise(work.build, seeds, device=device, stacked=stacked)
    usual = {} if data.targets.is_floating_point() else {"loss": cross_entropy}
    optimizer = OptimizerSettings("adam", RATE)
    settings = TrainSettings(
        work.epochs, work.batch, optimizer, channels_last=work.channels_last, **usual
    )
    return train(start, data, settings).loss[-1]


class Orders(Sampler[int]):
    """The order of the data of a replica, new for each epoch, as the library has it."""

    def __init__(self, examples: int, seed: int) -> None:
        self.examples = examples
        self.generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return self.examples

    def __iter__(self) -> Iterator[int]:
        return iter(torch.randperm(self.examples, generator=self.generator).tolist())


def loader(work: Work, seed: int, setting: Setting) -> DataLoader:
    """Batches as one gets them in PyTorch."""
    data = TensorDataset(work.data.inputs, work.data.targets)
    order = Orders(len(work.data), seed)
    return DataLoader(
        data, work.batch, sampler=order, drop_last=True, pin_memory=setting.on_gpu
    )


def plain(work: Work, seeds: Sequence[int], setting: Setting) -> Tensor:
    """One model after another, as in a tutorial; losses [R] of the last epoch."""
    last = []
    for seed in seeds:
        torch.manual_seed(seed)
        net = work.plain().to(setting.device)
        optimizer = torch.optim.Adam(net.parameters(), lr=RATE)
        batches = loader(work, seed, setting)
        total = 0.0
        for _ in range(work.epochs):
            total = 0.0
            for inputs, targets in batches:
                inputs, targets = inputs.to(setting.device), targets.to(setting.device)
                optimizer.zero_grad()
                loss = work.measure(net(inputs), targets)
                loss.backward()
                optimizer.step()
                total += loss.item()
        last.append(total / len(batches))
    return torch.tensor(last)


def lightning(work: Work, seeds: Sequence[int], setting: Setting) -> Tensor:
    """One model after another by a Lightning trainer; losses [R] of the last epoch."""
    import lightning as L

    for name in ("lightning", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)

    class Module(L.LightningModule):
        """A network and how it is trained."""

        def __init__(self) -> None:
            super().__init__()
            self.net, self.total = work.plain(), 0.0

        def on_train_epoch_start(self) -> None:
            """Start the mean of an epoch."""
            self.total = torch.zeros((), device=self.device)

        def training_step(self, batch: Sequence[Tensor], _: int) -> Tensor:
            """Return the loss of a batch."""
            loss = work.measure(self.net(batch[0]), batch[1])
            self.total += loss.detach()
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            """Return the optimizer."""
            return torch.optim.Adam(self.parameters(), lr=RATE)

    last = []
    for seed in seeds:
        torch.manual_seed(seed)
        module, batches = Module(), loader(work, seed, setting)
        trainer = L.Trainer(
            accelerator="gpu" if setting.on_gpu else "cpu",
            devices=1,
            max_epochs=work.epochs,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that one worker is few, for instance
            trainer.fit(module, batches)
        last.append(float(module.total) / len(batches))
    return torch.tensor(last)


def perceptron(setting: Setting, epochs: int = 2) -> Work:
    """Digits with two hidden layers of 100 units, as the chapters' small networks."""
    data = load_digits().flat().train
    rows = setting.size(1280, 128)
    widths = [64, 100, 100, 10]

    def layers() -> nn.Module:
        linear = [nn.Linear(a, b) for a, b in zip(widths, widths[1:], strict=False)]
        return nn.Sequential(linear[0], nn.ReLU(), linear[1], nn.ReLU(), linear[2])

    part = Dataset(data.inputs[:rows], data.targets[:rows])
    return Work("MLP 64-100-100-10", lambda: MLP(widths), layers, part, 64, epochs)


def convolution(
    setting: Setting,
    kernel: int = 3,
    channels: int = 16,
    *,
    points: int = 250,
    epochs: int = 2,
    form: Form | None = None,
) -> Work:
    """Three convolutions that learn to differentiate, in a form or the fastest."""
    settings = ConvSettings(kernel, 3, channels)
    taken = form or fastest(settings, setting.device)
    rows, half = setting.size(320, 32), kernel // 2
    g = torch.Generator().manual_seed(0)
    k = torch.randint(1, 8, (rows, 1), generator=g)
    phase = torch.rand(rows, 1, generator=g)
    x = 6.283 * (torch.linspace(0, 1, points) + phase)
    data = Dataset(torch.sin(k * x), k * torch.cos(k * x))

    def layers() -> nn.Module:
        sizes = ((1, channels), (channels, channels), (channels, 1))
        made = [nn.Conv1d(a, b, kernel, padding=half) for a, b in sizes]
        return nn.Sequential(
            nn.Unflatten(1, (1, points)),
            *(made[0], nn.ReLU(), made[1], nn.ReLU(), made[2]),
            nn.Flatten(),
        )

    name = f"1-D CNN, kernel {kernel}, {channels} channels"
    name += f", {points} points" * (points != 250)
    return Work(
        name,
        lambda: ConvNet1d(settings, taken),
        layers,
        data,
        batch=16,
        epochs=epochs,
    )


def images(setting: Setting, epochs: int = 1) -> Work:
    """A residual network on images: digits, enlarged and with ResNet18 on a GPU."""
    data, batch = load_digits().train, setting.size(100, 16)
    x, y = data.inputs, data.targets
    network, name = ResNetSettings(1, (8, 16, 32), 1), "ResNet8, 8 to 32 channels"
    if setting.on_gpu and not setting.tiny:
        network, batch, name = resnet18(), 128, "ResNet18, 32 pixels"
        x = nn.functional.interpolate(x, 32).expand(-1, 3, -1, -1)
    count = setting.size(6400 if setting.on_gpu else len(x), 64)
    repeated = torch.arange(count) % len(x)
    part = Dataset(x[repeated].contiguous(), y[repeated])
    return _on_images(name, lambda: ResNet(network), part, batch, epochs)


def larger_images(setting: Setting) -> list[Work]:
    """Convolutional networks on images of 32 pixels: what the noise is matters not."""
    side, batch = setting.size(32, 8), setting.size(64, 8)
    g = torch.Generator().manual_seed(0)
    x = torch.randn(3 * batch, 3, side, side, generator=g)
    data = Dataset(x, torch.randint(10, (len(x),), generator=g))
    builds = {
        "ResNet8, 16 to 64 channels": lambda: ResNet(ResNetSettings(1)),
        "cnn 16": builder("cnn 16", 3, side, 10),
        "wrn 16": builder("wrn 16", 3, side, 10),
    }
    return [
        _on_images(f"{name}, {side} pixels", build, data, batch, 1)
        for name, build in builds.items()
    ]


def _on_images(
    name: str, build: Callable[[], nn.Module], data: Dataset, batch: int, epochs: int
) -> Work:
    name = f"{name}, channels last"
    return Work(name, build, build, data, batch, epochs, False, channels_last=True)
