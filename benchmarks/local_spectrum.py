"""A reading of R_k at so many points, over an epoch of plain PyTorch training.

A step is about three forward passes, so that the ratio of the multiplications is
points samples / (3 examples).
"""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks.measure import Group, Setting, by_turns
from spectral_book.pages.costs import Cost
from spectral_lib.data.dataset import Dataset
from spectral_lib.data.images import load_digits
from spectral_lib.models.mlp import MLP
from spectral_lib.models.resnet import ResNet, ResNetSettings, resnet18
from spectral_lib.probes.local_spectrum import directions, spectrum

BATCH = 128


def convnet() -> nn.Module:
    """Two convolutions with batch norm for images of 8 pixels."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(512, 10),
    )


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "MLP 64-256-10": lambda: MLP([64, 256, 10]),
    "2-D CNN, 16 and 32 channels": convnet,
    "ResNet8, 16 to 64 channels": lambda: ResNet(ResNetSettings(1, channels=1)),
}


def train_epoch(net: nn.Module, optimizer: torch.optim.Optimizer, data: Dataset):
    """One epoch as anybody would write it."""
    net.train()
    for rows in torch.randperm(len(data)).to(data.inputs.device).split(BATCH):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(data.inputs[rows]), data.targets[rows])
        loss.backward()
        optimizer.step()


def read(net: nn.Module, x: Tensor, v: Tensor) -> Tensor:
    """R_k around points x along directions v."""
    net.eval()
    return spectrum(lambda part: net(part)[None], x, v)


def cases(setting: Setting) -> Iterator[tuple[str, nn.Module, Dataset]]:
    """Names, networks and data on the device."""
    digits = load_digits().train
    part = slice(0, setting.size(len(digits), 200))
    device = setting.device
    small = Dataset(digits.inputs[part].to(device), digits.targets[part].to(device))
    for name, build in NETWORKS.items():
        torch.manual_seed(0)
        yield name, build().to(device), small
    if setting.on_gpu:
        count = setting.size(50_000, 500)
        images = torch.randn(count, 3, 32, 32, device=device)
        labels = torch.randint(10, (count,), device=device)
        yield "ResNet18", ResNet(resnet18()).to(device), Dataset(images, labels)


def compare(
    name: str, net: nn.Module, data: Dataset, setting: Setting
) -> Iterator[Cost]:
    """A row for each number of points."""
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    generator = torch.Generator().manual_seed(0)
    epoch = f"an epoch of {len(data)} examples"
    ways = {epoch: lambda: train_epoch(net, optimizer, data)}
    most = setting.size(500, 20)
    sizes = (most, most // 5, most // 10)
    for n in sizes:
        rows = torch.randperm(len(data), generator=generator)[:n]
        x = data.inputs[rows.to(data.inputs.device)]
        ways[str(n)] = partial(read, net, x, directions(x, generator))
    done = by_turns(ways, setting)
    for n in sizes:
        what = f"A reading of R_k at {n} points, {name}"
        yield done.row(what, epoch, ours=str(n), per=1e-3, unit="ms", share=True)


def rows(setting: Setting) -> Iterator[Cost]:
    """The rows of all networks."""
    for name, net, data in cases(setting):
        yield from compare(name, net, data, setting)


GROUP = Group(
    "local_spectrum",
    "Readings of the local spectrum",
    "R_k, the share of power at frequency k along short lines through data, of 128 "
    "samples each: a reading of so many points over an epoch of plain PyTorch training "
    "with batches of 128.",
    rows,
)
