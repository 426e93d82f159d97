"""Time one reading of the local spectrum against one epoch of training.

First table: *batched* is the book's `spectrum`, 500 points x 128 samples; *by line*
passes one line at a time through the network, *by point* one sample at a time. The slow
ways read a part of the points and are scaled up to all; the gap is the largest
difference in R_k on that part.

Second table: a reading of so many points over an epoch of plain PyTorch training, batch
128; beside it the ratio of the multiplications, points samples / (3 examples), since a
step is about three forward passes; and the spread of R_t = sum_k R_kt between readings
of one trained network, as a share of what R_t changed by in training.

Networks take turns on one thread; times are medians over rounds.

    python benchmarks/local_spectrum.py --rounds 5 --json out.json
    python benchmarks/local_spectrum.py --device cuda  # adds a ResNet18, 32 pixels
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from torch import Tensor, nn

from spectral_lib.data.dataset import Dataset
from spectral_lib.data.images import load_digits
from spectral_lib.models.mlp import MLP
from spectral_lib.models.resnet import ResNet, ResNetSettings, resnet18
from spectral_lib.probes.local_spectrum import LineSettings, directions, spectrum

POINTS, BATCH = 500, 128
LINES = LineSettings()


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
    "mlp 64-256-10": lambda: nn.Sequential(nn.Flatten(), MLP([64, 256, 10])),
    "conv 16-32": convnet,
    "resnet8 16-32-64": lambda: ResNet(ResNetSettings(1, channels=1)),
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


def seconds(work: Callable[[], object], device: str) -> float:
    """Seconds of one call."""
    if device == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def median(work: Callable[[], object], rounds: int, device: str) -> float:
    """Median seconds, after one call to warm up."""
    work()
    return statistics.median(seconds(work, device) for _ in range(rounds))


def compare(
    build: Callable[[], nn.Module], data: Dataset, epochs: int, rounds: int, device: str
) -> dict:
    """All numbers of one network."""
    torch.manual_seed(0)
    net = build().to(device)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    generator = torch.Generator().manual_seed(0)

    def fresh(points: int) -> tuple[Tensor, Tensor]:
        rows = torch.randperm(len(data), generator=generator)[:points]
        x = data.inputs[rows.to(device)]
        return x, directions(x, generator)

    def total(points: int) -> float:
        return float(read(net, *fresh(points)).sum())

    before = statistics.mean(total(100) for _ in range(3))
    for _ in range(epochs):
        train_epoch(net, optimizer, data)
    gained = abs(statistics.mean(total(POINTS) for _ in range(3)) - before)
    epoch = median(lambda: train_epoch(net, optimizer, data), rounds, device)

    x, v = fresh(POINTS)
    ways = {"batched": (POINTS, None), "by line": (50, 128), "by point": (4, 1)}
    taken = {
        way: POINTS
        / part
        * median(lambda p=part, c=chunk: read(net, x[:p], v[:p], c), rounds, device)
        for way, (part, chunk) in ways.items()
    }
    gaps = [
        float((read(net, x[:p], v[:p], chunk) - read(net, x[:p], v[:p])).abs().max())
        for p, chunk in list(ways.values())[1:]
    ]
    shares = {}
    for points in (500, 100, 50):
        x, v = fresh(points)
        reading = median(lambda x=x, v=v: read(net, x, v), rounds, device)
        spread = statistics.stdev(total(points) for _ in range(8))
        shares[points] = {
            "reading / epoch": reading / epoch,
            "multiplications": points * LINES.samples / (3 * len(data)),
            "spread / gain": spread / gained,
        }
    return {
        "examples": len(data),
        "epoch": epoch,
        "seconds": taken,
        "gap": max(gaps),
        "shares": shares,
    }


def main() -> None:
    """Print the tables, and write them as JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=20, help="before timing")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--examples", type=int, default=50_000, help="for ResNet18")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    device = options.device

    digits = load_digits().train
    small = Dataset(digits.inputs.to(device), digits.targets.to(device))
    cases = {name: (build, small, options.epochs) for name, build in NETWORKS.items()}
    if device == "cuda":
        images = torch.randn(options.examples, 3, 32, 32, device=device)
        labels = torch.randint(10, (options.examples,), device=device)
        large = Dataset(images, labels)
        cases["resnet18"] = (lambda: ResNet(resnet18()), large, 1)
    results = {}
    for name, (build, data, epochs) in cases.items():
        line = compare(build, data, epochs, options.rounds, device)
        results[name] = line
        s = line["seconds"]
        print(
            f"{name:18s} batched {s['batched']:7.3f} s  "
            f"by line / batched {s['by line'] / s['batched']:5.1f}  "
            f"by point / batched {s['by point'] / s['batched']:6.1f}  "
            f"gap {line['gap']:.0e}",
            flush=True,
        )
    print("\nA reading over an epoch of training")
    for name, line in results.items():
        for points, share in line["shares"].items():
            print(
                f"{name:18s} epoch {line['epoch']:6.3f} s  {points:3d} points: "
                f"{share['reading / epoch']:6.2f}, "
                f"multiplications {share['multiplications']:6.2f}, "
                f"spread of R_t {share['spread / gain']:.1%} of its gain"
            )
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
