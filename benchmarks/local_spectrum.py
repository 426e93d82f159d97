"""Time readings of the local spectrum: against slower ways, and over an epoch.

*Ours* is the book's `spectrum`; the slow ways pass one line, or one input, at a time
through the network. A reading of so many points is then compared with an epoch of
plain PyTorch training; a step is about three forward passes, so that the ratio of the
multiplications is points samples / (3 examples). The spread of readings is that of
sum_k R_k between draws of points, as a share of what training changed.

    python -m benchmarks.local_spectrum --rounds 5
    python -m benchmarks.local_spectrum --device cuda  # adds a ResNet18, 32 pixels
"""

import statistics
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from benchmarks.measure import Group, Setting, by_turns, largest_gap
from spectral_book.pages.costs import Cost
from spectral_lib.data.dataset import Dataset
from spectral_lib.data.images import load_digits
from spectral_lib.models.mlp import MLP
from spectral_lib.models.resnet import ResNet, ResNetSettings, resnet18
from spectral_lib.probes.local_spectrum import LineSettings, directions, spectrum

BATCH = 128
LINES = LineSettings()
DRAWS = 30


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
    "MLP 64-256-10": lambda: nn.Sequential(nn.Flatten(), MLP([64, 256, 10])),
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


def read(net: nn.Module, x: Tensor, v: Tensor, at_once: int | None = None) -> Tensor:
    """R_k with so many samples in one pass; the library's choice if not given."""
    net.eval()
    settings = LineSettings(chunk=at_once)
    return spectrum(lambda part: net(part)[None], x, v, settings)


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
    """All rows of one network."""
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    generator = torch.Generator().manual_seed(0)

    def fresh(points: int) -> tuple[Tensor, Tensor]:
        rows = torch.randperm(len(data), generator=generator)[:points]
        x = data.inputs[rows.to(data.inputs.device)]
        return x, directions(x, generator)

    def total(points: int) -> float:
        return float(read(net, *fresh(points)).sum())

    most = setting.size(500, 20)
    before = statistics.mean(total(most) for _ in range(3))
    for _ in range(setting.size(20, 1) if len(data) < 5000 else 1):
        train_epoch(net, optimizer, data)
    gained = abs(statistics.mean(total(most) for _ in range(3)) - before)

    x, v = fresh(setting.size(10, 2))
    slow = {"line by line": LINES.samples, "input by input": 1}
    ways = {"ours": lambda: read(net, x, v)}
    for way, at_once in slow.items():
        ways[way] = lambda n=at_once: read(net, x, v, n)
    done = by_turns(ways, setting)
    for way in slow:
        gap = largest_gap(done.results["ours"], done.results[way])
        what = f"R_k around {len(x)} points, {name}"
        yield done.row(what, way, per=1e-3, unit="ms", gap=gap)

    sizes = (most, most // 5, most // 10)
    drawn = {n: fresh(n) for n in sizes}
    ways = {str(n): lambda n=n: read(net, *drawn[n]) for n in sizes}
    epoch = f"an epoch of {len(data)} examples"
    done = by_turns({epoch: lambda: train_epoch(net, optimizer, data)} | ways, setting)
    for n in sizes:
        what = f"A reading of R_k at {n} points, {name}"
        yield done.row(what, epoch, ours=str(n), per=1e-3, unit="ms", share=True)
    for n in sizes:
        spread = statistics.stdev(total(n) for _ in range(DRAWS))
        yield Cost(
            quantity=f"Spread of readings of sum R_k at {n} points, {name}",
            unit="",
            ours=spread,
            against="what training changed it by",
            other=gained,
            ratio=(spread / gained,) * 3,
            share=True,
        )


def rows(setting: Setting) -> Iterator[Cost]:
    """The rows of all networks."""
    for name, net, data in cases(setting):
        yield from compare(name, net, data, setting)


GROUP = Group(
    "local_spectrum",
    "Readings of the local spectrum",
    "R_k, the share of power at frequency k along short lines through data, of 128 "
    "samples each: in portions as the library reads it, against a pass for each line "
    "or each input; a reading of so many points over an epoch of plain PyTorch "
    "training with batches of 128; and the standard deviation of "
    f"{DRAWS} readings at other random points, over what training changed.",
    rows,
)

if __name__ == "__main__":
    GROUP.alone(__doc__)
