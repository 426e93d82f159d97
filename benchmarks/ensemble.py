"""Time of a training step: replicas stacked, one after another, and plain PyTorch.

Two tables. The first gives milliseconds per step and model for R replicas of a
convolutional network and of a multilayer perceptron: stacked with ``torch.func``, one
after another through the same loop, and the public script's way (``nn.Conv1d``, a
``DataLoader``, ``torch.optim.Adam``, one model after another). The second repeats the
chapter's kernel sweep in the plain way and in ours, on the same work.

All ways take turns within each round, so that a change of the machine's speed falls on
all of them; the tables show medians over rounds. ``gemm`` is the share of the rate that
a 512 x 512 matrix product reaches in the same rounds.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("CI", "true")  # no progress bars

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from spectral_lib.data.dataset import Dataset
from spectral_lib.models.conv1d import ConvNet1d, ConvSettings, fastest
from spectral_lib.models.mlp import MLP
from spectral_lib.training.ensemble import initialise
from spectral_lib.training.loop import TrainSettings, train

SEEDS = tuple(range(1, 17))


@dataclass(frozen=True)
class Work:
    """A network and a set to train it on, one epoch of `steps` batches."""

    name: str
    build: Callable[[str], nn.Module]
    plain: Callable[[], nn.Module]
    inputs: Tensor
    batch: int
    flops: float  # forward and backward of one batch, multiply and add counted
    forms: tuple[tuple[str, bool], ...]
    chosen: tuple[str, bool]

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return len(self.inputs) // self.batch


def convolution(
    kernel: int, channels: int, points: int, batch: int, steps: int
) -> Work:
    """Three convolutions on random functions."""
    settings = ConvSettings(kernel, 3, channels)
    half = kernel // 2
    plain = [
        nn.Conv1d(1, channels, kernel, padding=half),
        nn.ReLU(),
        nn.Conv1d(channels, channels, kernel, padding=half),
        nn.ReLU(),
        nn.Conv1d(channels, 1, kernel, padding=half),
    ]
    weights = kernel * (2 * channels + channels**2)
    return Work(
        f"conv k={kernel} c={channels} L={points}",
        lambda form: ConvNet1d(settings, form),
        lambda: nn.Sequential(*plain),
        torch.randn(batch * steps, points),
        batch,
        6.0 * batch * points * weights,
        (("direct", True), ("direct", False), ("channels_last", False), ("fft", False)),
        fastest(settings, torch.device("cpu")),
    )


def perceptron(width: int, batch: int, steps: int) -> Work:
    """Three fully connected layers on random vectors."""
    widths = [64, width, width, 64]
    layers = [nn.Linear(a, b) for a, b in zip(widths, widths[1:], strict=False)]
    plain = [layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2]]
    weights = sum(a * b for a, b in zip(widths, widths[1:], strict=False))
    return Work(
        f"mlp {'-'.join(map(str, widths))}",
        lambda _: MLP(widths),
        lambda: nn.Sequential(*plain),
        torch.randn(batch * steps, 64),
        batch,
        6.0 * batch * weights,
        (("", True), ("", False)),
        ("", True),
    )


def plain_way(work: Work, replicas: int) -> float:
    """Seconds of the public script's way: one model after another."""
    channel = work.inputs.unsqueeze(1) if "conv" in work.name else work.inputs
    started = time.perf_counter()
    for seed in SEEDS[:replicas]:
        torch.manual_seed(seed)
        net = work.plain()
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
        measure = nn.MSELoss()
        loader = DataLoader(
            TensorDataset(channel, channel), work.batch, shuffle=True, drop_last=True
        )
        total = 0.0
        for inputs, targets in loader:
            optimizer.zero_grad()
            loss = measure(net(inputs), targets)
            loss.backward()
            optimizer.step()
            total += loss.item()
    return time.perf_counter() - started


def our_way(work: Work, replicas: int, form: str, stacked: bool) -> float:
    """Seconds of the library's loop."""
    data = Dataset(work.inputs, work.inputs)
    started = time.perf_counter()
    ensemble = initialise(lambda: work.build(form), SEEDS[:replicas], stacked=stacked)
    train(ensemble, data, TrainSettings(1, work.batch))
    return time.perf_counter() - started


def gemm() -> float:
    """Rate of a matrix product, in floating-point operations a second."""
    a = torch.randn(512, 512)
    started = time.perf_counter()
    for _ in range(4):
        a = torch.nn.functional.normalize(a @ a)
    return 4 * 2 * 512**3 / (time.perf_counter() - started)


def median_by_turns(
    ways: dict[str, Callable[[], float]], rounds: int
) -> dict[str, float]:
    """Median seconds of each way; within a round they follow one another."""
    for way in ways.values():
        way()  # warm-up
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            seconds[name].append(way())
    return {name: statistics.median(taken) for name, taken in seconds.items()}


def label(form: str, stacked: bool) -> str:
    """Name of a way, as the table shows it."""
    return " ".join(filter(None, [form, "stacked" if stacked else "in turn"]))


def compare(work: Work, replicas: int, rounds: int) -> dict[str, object]:
    """One line of the first table."""
    ways = {
        label(form, stacked): lambda f=form, s=stacked: our_way(work, replicas, f, s)
        for form, stacked in work.forms
    }
    rate = statistics.median(gemm() for _ in range(rounds))
    medians = median_by_turns(
        {"plain": lambda: plain_way(work, replicas)} | ways, rounds
    )
    per_step = {k: 1e3 * v / (work.steps * replicas) for k, v in medians.items()}
    ours = per_step[label(*work.chosen)]
    return {
        "work": work.name,
        "R": replicas,
        "ms per step and model": per_step,
        "chosen": label(*work.chosen),
        "plain / chosen": per_step["plain"] / ours,
        "in turn / stacked": per_step.get(label(work.chosen[0], False), ours)
        / per_step.get(label(work.chosen[0], True), ours),
        "gemm": work.flops / (ours * 1e-3) / rate,
    }


def sweep(rounds: int, replicas: int = 5) -> dict[str, object]:
    """The chapter's kernel sweep, plain and ours, at the chapter's quick size."""
    works = [convolution(k, 16, 250, 16, 5 * 12) for k in (3, 7, 15, 35)]
    ways = {}
    for work in works:
        ways[f"plain {work.name}"] = lambda w=work: plain_way(w, replicas)
        ways[f"ours {work.name}"] = lambda w=work: our_way(w, replicas, *w.chosen)
    medians = median_by_turns(ways, rounds)
    plain = [medians[f"plain {w.name}"] for w in works]
    ours = [medians[f"ours {w.name}"] for w in works]
    ratios = {w.name: p / o for w, p, o in zip(works, plain, ours, strict=True)}
    return {"ratios": ratios, "whole sweep": sum(plain) / sum(ours)}


def main() -> None:
    """Print the tables, and write them as JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    parser.add_argument("--paper-size", action="store_true", help="add 64 x 1000")
    options = parser.parse_args()
    torch.set_num_threads(1)

    lines = []
    for replicas in (1, 4, 16):
        works = [convolution(k, 16, 250, 16, 40) for k in (3, 35)]
        works.append(perceptron(100, 64, 40))
        if options.paper_size and replicas == 1:
            works += [convolution(k, 64, 1000, 32, 8) for k in (3, 15, 35)]
        for work in works:
            line = compare(work, replicas, options.rounds)
            lines.append(line)
            times = "  ".join(
                f"{name} {ms:.2f}" for name, ms in line["ms per step and model"].items()
            )
            print(
                f"{line['work']:24s} R={replicas:<3d} {times}\n"
                f"{'':24s} chosen: {line['chosen']}; plain / chosen "
                f"{line['plain / chosen']:.2f}, in turn / stacked "
                f"{line['in turn / stacked']:.2f}, gemm {line['gemm']:.0%}",
                flush=True,
            )
    result = sweep(options.rounds)
    for name, ratio in result["ratios"].items():
        print(f"sweep {name}: plain / ours {ratio:.2f}")
    print(f"whole kernel sweep: plain / ours {result['whole sweep']:.2f}")
    if options.json:
        options.json.write_text(json.dumps({"steps": lines, "sweep": result}, indent=1))


if __name__ == "__main__":
    main()
