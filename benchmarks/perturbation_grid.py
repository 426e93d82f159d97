"""Time a grid of perturbed runs: as one ensemble, and as separate plain PyTorch runs.

The grid of Sun et al. 2022, table 1: six factors k times six seeds. *Ensemble* is the
book's way (all replicas stacked where the network has no batch norm, one after another
through the same loop where it has); *plain* trains one `nn.Module` after another with
a perturbed SGD written parameter by parameter. Same networks, data, batches and steps;
the last column says how far apart the final accuracies are, averaged over runs.

Both ways take turns within each round on one thread; times are medians over rounds.

    python benchmarks/perturbation_grid.py --rounds 3 --json out.json
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("CI", "true")  # no progress bars

import torch
from torch import Tensor, nn

from spectral_lib.data.images import Images, load_digits
from spectral_lib.models.mlp import MLP
from spectral_lib.models.resnet import ResNet, ResNetSettings
from spectral_lib.probes.accuracy import accuracy_on
from spectral_lib.probes.divergence import grid
from spectral_lib.training.ensemble import initialise
from spectral_lib.training.loop import Probe, TrainSettings, train
from spectral_lib.training.losses import cross_entropy
from spectral_lib.training.optimizers import OptimizerSettings

RATE, MOMENTUM, BATCH = 0.05, 0.9, 64


def ensemble(
    build: Callable[[], nn.Module],
    images: Images,
    runs: tuple[tuple[int, ...], tuple[int, ...]],
    epochs: int,
    stacked: bool,
) -> Tensor:
    """Train the grid in the book's way; final accuracies."""
    seeds, factors = runs
    start = initialise(build, seeds, stacked=stacked)
    how = OptimizerSettings("sgd", RATE, MOMENTUM, factor=factors)
    settings = TrainSettings(epochs, BATCH, how, cross_entropy)
    probe = Probe(accuracy_on(images.test), frozenset({epochs}))
    return train(start, images.train, settings, {"test": probe}).records["test"][
        "accuracy"
    ][-1]


def plain(
    build: Callable[[], nn.Module],
    images: Images,
    runs: tuple[tuple[int, ...], tuple[int, ...]],
    epochs: int,
) -> Tensor:
    """Train one module after another; final accuracies."""
    return torch.stack(
        [one_run(build, images, *each, epochs) for each in zip(*runs, strict=True)]
    )


def one_run(
    build: Callable[[], nn.Module], images: Images, seed: int, k: int, epochs: int
) -> Tensor:
    """Perturbed SGD with momentum, parameter by parameter."""
    torch.manual_seed(seed)
    model = build()
    velocity = [torch.zeros_like(p) for p in model.parameters()]
    order = torch.Generator().manual_seed(seed)
    examples = len(images.train)
    for _ in range(epochs):
        shuffled = torch.randperm(examples, generator=order)
        for rows in shuffled[: examples // BATCH * BATCH].split(BATCH):
            output = model(images.train.inputs[rows])
            loss = nn.functional.cross_entropy(output, images.train.targets[rows])
            model.zero_grad()
            loss.backward()
            with torch.no_grad():
                for p, v in zip(model.parameters(), velocity, strict=True):
                    v.mul_(MOMENTUM).add_(p.grad)
                    p -= (RATE / k) * (k * v)
    model.eval()
    with torch.no_grad():
        found = model(images.test.inputs).argmax(-1)
    return 100 * (found == images.test.targets).double().mean()


def main() -> None:
    """Parse arguments, run, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--factors", type=int, nargs="+", default=[1, 3, 5, 7, 9, 11])
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    if min(options.seeds, options.epochs, options.rounds) < 1:
        parser.error("--seeds, --epochs and --rounds must be at least 1.")
    torch.set_num_threads(1)
    runs = grid(range(1, options.seeds + 1), options.factors)
    images = load_digits()
    settings = ResNetSettings(1, (8, 16, 32), 1)
    works = {
        "MLP 64-64-64-64-10": (lambda: MLP([64, 64, 64, 64, 10]), images.flat(), True),
        "ResNet8, 8 to 32 channels": (lambda: ResNet(settings), images, False),
    }
    steps = options.epochs * (len(images.train) // BATCH) * len(runs[0])
    print(f"torch {torch.__version__}, one thread, {len(runs[0])} runs, digits")
    print(
        f"{'network':<27}{'ensemble s':>11}{'plain s':>9}{'ratio':>7}  "
        f"{'(range)':<11}{'ms/step':>8}{'accuracy gap':>14}"
    )
    rows = []
    for name, (build, data, stacked) in works.items():
        ours, theirs, gap = [], [], 0.0
        for _ in range(options.rounds):
            start = time.perf_counter()
            mine = ensemble(build, data, runs, options.epochs, stacked)
            middle = time.perf_counter()
            other = plain(build, data, runs, options.epochs)
            theirs.append(time.perf_counter() - middle)
            ours.append(middle - start)
            gap = float(mine.mean() - other.mean())
        ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
        row = {
            "network": name,
            "runs": len(runs[0]),
            "ensemble_s": statistics.median(ours),
            "plain_s": statistics.median(theirs),
            "ratio": statistics.median(ratios),
            "ratio_min": min(ratios),
            "ratio_max": max(ratios),
            "ms_per_step": 1e3 * statistics.median(ours) / steps,
            "accuracy_gap": gap,
        }
        rows.append(row)
        spread = f"({row['ratio_min']:.2f}-{row['ratio_max']:.2f})"
        print(
            f"{name:<27}{row['ensemble_s']:>11.1f}{row['plain_s']:>9.1f}"
            f"{row['ratio']:>7.2f}  {spread:<11}{row['ms_per_step']:>8.2f}{gap:>14.2f}",
            flush=True,
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
