"""What checkpoints cost: seconds of a save, and training with them over without.

First table: one save and one load of a run with Adam moments; *bare* is `torch.save`
of the same state without hash, atomic replacement and waiting for the disk. The last
column is the largest share of the time that saves take at the default interval, one
save in so many seconds.

Second table: the same training without a checkpoint, with one at the default interval
(whose start and end are all there is to it in a run this short) and with a save after
every epoch; *again* reads the finished run. Ways take turns on one thread; times and
ratios are medians over rounds after a warm-up.

    python benchmarks/checkpoints.py --rounds 5 --json out.json
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from torch import nn

from spectral_lib.data.dataset import Dataset
from spectral_lib.models.mlp import MLP
from spectral_lib.models.resnet import ResNet, resnet18
from spectral_lib.training.checkpoints import Checkpoint, CheckpointFile
from spectral_lib.training.ensemble import Ensemble, initialise
from spectral_lib.training.loop import Run, TrainSettings, train
from spectral_lib.training.losses import cross_entropy
from spectral_lib.training.optimizers import Optimizer, OptimizerSettings
from spectral_lib.training.progress import Progress


@dataclass(frozen=True)
class Work:
    """Networks and what they are trained on."""

    name: str
    build: Callable[[], nn.Module]
    replicas: int
    data: Dataset
    epochs: int
    batch: int


def works() -> list[Work]:
    """A small stacked ensemble and one network of 11 million weights."""
    g = torch.Generator().manual_seed(0)

    def images(rows: int, *shape: int) -> Dataset:
        x = torch.randn(rows, *shape, generator=g)
        return Dataset(x, torch.randint(10, (rows,), generator=g))

    return [
        Work("mlp 64-100-10", lambda: MLP([64, 100, 10]), 8, images(1280, 64), 40, 64),
        Work("resnet18", lambda: ResNet(resnet18()), 1, images(32, 3, 32, 32), 2, 16),
    ]


def seconds(work: Callable[[], object]) -> float:
    """Seconds of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def by_turns(
    ways: dict[str, Callable[[], object]], rounds: int
) -> list[dict[str, float]]:
    """Seconds of each way in each round; within a round they follow one another."""
    for way in ways.values():
        way()  # warm-up
    return [{name: seconds(way) for name, way in ways.items()} for _ in range(rounds)]


def medians(taken: list[dict[str, float]]) -> dict[str, float]:
    """Median seconds of each way."""
    return {name: statistics.median(t[name] for t in taken) for name in taken[0]}


def state_of(ensemble: Ensemble) -> dict[str, object]:
    """The state of a run in the middle, with both moments of Adam."""
    weights = ensemble.flatten()
    optimizer = Optimizer(weights, OptimizerSettings("adam"))
    optimizer.step(torch.randn_like(weights))
    orders = [torch.Generator() for _ in ensemble.seeds]
    progress = Progress(weights, ensemble.buffers, optimizer, orders, {})
    progress.losses.append(torch.zeros(len(ensemble)))
    return progress.state(finished=False)


def one_save(work: Work, folder: Path, rounds: int) -> dict[str, float]:
    """A line of the first table."""
    state = state_of(initialise(work.build, range(work.replicas)))
    settings = Checkpoint(folder / "save.pt")
    file = CheckpointFile(Path(settings.path), settings, {})
    ways = {
        "save": lambda: file.save(state),
        "bare": lambda: torch.save(state, folder / "bare.pt"),
        "load": file.load,
    }
    line = medians(by_turns(ways, rounds))
    line["MB"] = file.path.stat().st_size / 1e6
    wait = max(settings.seconds, line["save"] * (1 / settings.share - 1))
    line["share"] = line["save"] / (line["save"] + wait)
    return line


def training(work: Work, folder: Path, rounds: int) -> dict[str, float]:
    """A line of the second table."""
    start = initialise(work.build, range(work.replicas))
    how = TrainSettings(
        work.epochs, work.batch, OptimizerSettings("adam"), cross_entropy
    )

    def run(checkpoint: Checkpoint | None) -> Run:
        return train(start, work.data, how, checkpoint=checkpoint)

    def anew(name: str, **often: float) -> Callable[[], Run]:
        def go() -> Run:
            for file in folder.glob(f"{name}*"):
                file.unlink()
            return run(Checkpoint(folder / name, **often))

        return go

    ways = {
        "without": lambda: run(None),
        "default": anew("default.pt"),
        "every epoch": anew("every.pt", seconds=0, share=1),
        "again": lambda: run(Checkpoint(folder / "default.pt")),
    }
    taken = by_turns(ways, rounds)
    # Ratios within a round: a busy machine slows all ways of a round.
    ratios = medians([{w: t[w] / t["without"] for w in t} for t in taken])
    return {"epoch": medians(taken)["without"] / work.epochs} | ratios


def main() -> None:
    """Print the tables, and write them as JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="of the disk to measure")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    os.environ.pop("SPECTRAL_CHECKPOINTS", None)
    os.environ.setdefault("CI", "1")  # no progress bars

    results: dict[str, dict[str, dict[str, float]]] = {}
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        for work in works():
            line = one_save(work, Path(name), options.rounds)
            results[work.name] = {"save": line}
            print(
                f"{work.name:14s} R={work.replicas}  {line['MB']:7.1f} MB  "
                f"save {line['save']:.3f} s  load {line['load']:.3f} s  "
                f"save / bare {line['save'] / line['bare']:.1f}  "
                f"share at the default interval <= {line['share']:.2%}",
                flush=True,
            )
        for work in works():
            line = training(work, Path(name), options.rounds)
            results[work.name]["training"] = line
            ways = ("default", "every epoch", "again")
            print(
                f"{work.name:14s} epoch {line['epoch']:.3f} s x {work.epochs}; "
                "seconds over those without: "
                + ", ".join(f"{way} {line[way]:.3f}" for way in ways),
                flush=True,
            )
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
