"""Time interpolation paths: all of them in portions, and as one writes them first.

*Probe* is the book's way: points of all paths in portions of a fixed size, all
replicas. *By path* and *by point* take one plain `nn.Module` after another and its
correctly classified pairs one by one, with a forward pass for each path, or for each
point of it. All three give the mean curve, difference and gradient within and between
classes; the last column is the largest difference between any of these.

All ways take turns within each round on one thread; times are medians over rounds, in
seconds of processor time, so that other processes disturb them little.

    python benchmarks/interpolation.py --rounds 3 --json out.json
"""

import argparse
import copy
import json
import math
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("CI", "true")  # no progress bars

import torch
from torch import Tensor, nn

from spectral_lib.data.dataset import Dataset
from spectral_lib.data.images import load_digits
from spectral_lib.models.mlp import MLP
from spectral_lib.models.resnet import ResNet, ResNetSettings
from spectral_lib.probes.interpolation import (
    PathSettings,
    interpolation,
    pairs_between,
    pairs_within,
)
from spectral_lib.training.ensemble import Ensemble, initialise
from spectral_lib.training.loop import TrainSettings, train
from spectral_lib.training.losses import cross_entropy
from spectral_lib.training.optimizers import OptimizerSettings

Readings = dict[str, Tensor]
Values = tuple[Tensor, Tensor, Tensor]


def modules(ensemble: Ensemble) -> list[nn.Module]:
    """Every replica as a module of its own, ready to be measured."""
    found = []
    for r in range(len(ensemble)):
        module = copy.deepcopy(ensemble.module).eval()
        states = ensemble.parameters | ensemble.buffers
        module.load_state_dict({name: v[r].detach() for name, v in states.items()})
        found.append(module)
    return found


@torch.no_grad()
def follow_by_point(
    module: nn.Module, x0: Tensor, x1: Tensor, settings: PathSettings
) -> Values:
    """One forward pass a point: mean change in each bin, over the path, gradient."""
    length = (x1 - x0).norm().item()
    sums, counts = torch.zeros(settings.bins), torch.zeros(settings.bins)
    steepest = math.nan
    for t in range(math.ceil(length / settings.step)):
        share = t * settings.step / length
        x = (1 - share) * x0 + share * x1
        p = module(x[None]).softmax(dim=1)[0]
        if t == 0:
            first = last = p
        else:
            slope = (p - last).norm().item() * length / settings.step
            steepest = slope if t == 1 else max(slope, steepest)
        change = (p - first).norm().item()
        sums[int(share * settings.bins)] += change
        counts[int(share * settings.bins)] += 1
        last = p
    return sums / counts, sums.sum() / counts.sum(), torch.tensor(steepest)


@torch.no_grad()
def follow_by_path(
    module: nn.Module, x0: Tensor, x1: Tensor, settings: PathSettings
) -> Values:
    """One forward pass a path; returns what `follow_by_point` does."""
    length = (x1 - x0).norm().item()
    share = torch.arange(math.ceil(length / settings.step)) * settings.step / length
    weight = share.view(-1, *[1] * x0.ndim)
    p = module((1 - weight) * x0 + weight * x1).softmax(dim=1)
    change = (p - p[0]).norm(dim=1)
    cells = (share * settings.bins).long()
    count = torch.bincount(cells, minlength=settings.bins)
    total = torch.bincount(cells, change, minlength=settings.bins)
    steepest = p.diff(dim=0).norm(dim=1).max() * length / settings.step
    return total / count, change.mean(), steepest


def plain(
    follow: Callable[[nn.Module, Tensor, Tensor, PathSettings], Values],
    networks: list[nn.Module],
    data: Dataset,
    settings: PathSettings,
) -> Readings:
    """Follow the correctly classified pairs of each network one after another."""
    kinds = {
        "within": pairs_within(data.targets, settings.pairs).tolist(),
        "between": pairs_between(data.targets, settings.pairs).tolist(),
    }
    found: dict[str, list[Tensor]] = {}
    for module in networks:
        with torch.no_grad():
            right = (module(data.inputs).argmax(1) == data.targets).tolist()
        for kind, pairs in kinds.items():
            paths = [
                follow(module, data.inputs[i], data.inputs[j], settings)
                for i, j in pairs
                if right[i] and right[j]
            ]
            names = ("curve", "difference", "gradient")
            for name, values in zip(names, zip(*paths, strict=True), strict=True):
                mean = torch.stack(values).nanmean(0)
                found.setdefault(f"{kind} {name}", []).append(mean)
            found.setdefault(f"{kind} pairs", []).append(torch.tensor(len(paths)))
    return {name: torch.stack(values) for name, values in found.items()}


def largest_gap(first: Readings, second: Readings) -> float:
    """Largest absolute difference of two ways' readings; their paths must agree."""
    for kind in ("within", "between"):
        if not torch.equal(first[f"{kind} pairs"], second[f"{kind} pairs"]):
            raise SystemExit(f"the ways follow different paths {kind} classes.")
    gaps = []
    for name, value in first.items():
        # A bin that no path has a point in is NaN in all ways, or they do differ.
        empty = value.isnan() & second[name].isnan()
        gap = (value - second[name]).abs().masked_fill(empty, 0.0)
        gaps.append(float(gap.nan_to_num(nan=math.inf).max()))
    return max(gaps)


def main() -> None:
    """Parse arguments, run, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--replicas", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--step", type=float, default=0.5)
    parser.add_argument("--chunk", type=int, default=PathSettings().chunk)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    if min(options.replicas, options.pairs, options.rounds, options.chunk) < 1:
        parser.error("--replicas, --pairs, --rounds and --chunk must be at least 1.")
    torch.set_num_threads(1)
    images = load_digits(597)
    small = ResNetSettings(1, (8, 16, 32), 1)
    works = {
        "MLP 64-256-256-10": (lambda: MLP([64, 256, 256, 10]), images.flat(), True),
        "ResNet8, 8 to 32 channels": (lambda: ResNet(small), images, False),
    }
    print(
        f"torch {torch.__version__}, one thread, {options.replicas} replicas, digits, "
        f"step {options.step}, chunk {options.chunk}"
    )
    print(
        f"{'network':<27}{'paths':>6}{'probe s':>11}{'by path s':>11}{'by point s':>11}"
        f"{'/ path':>8}{'/ point':>8}  {'(range)':<13}{'gap':>8}"
    )
    rows = []
    for name, (build, data, stacked) in works.items():
        start = initialise(build, range(1, options.replicas + 1), stacked=stacked)
        how = OptimizerSettings("sgd", 0.05, 0.9)
        trained = train(start, data.train, TrainSettings(5, 64, how, cross_entropy))
        ensemble, test = trained.ensemble, data.test
        networks = modules(ensemble)
        settings = PathSettings(options.pairs, options.step, chunk=options.chunk)
        measure = interpolation(test.inputs, test.targets, settings)
        ways = {
            "probe": lambda m=measure, e=ensemble: m(e),
            "by path": lambda n=networks, d=test, s=settings: plain(
                follow_by_path, n, d, s
            ),
            "by point": lambda n=networks, d=test, s=settings: plain(
                follow_by_point, n, d, s
            ),
        }
        times: dict[str, list[float]] = {way: [] for way in ways}
        seen: dict[str, Readings] = {}
        for _ in range(options.rounds):
            for way, run in ways.items():
                began = time.process_time()
                seen[way] = run()
                times[way].append(time.process_time() - began)
        ratios = {
            way: [b / a for a, b in zip(times["probe"], times[way], strict=True)]
            for way in ("by path", "by point")
        }
        counts = seen["probe"]["within pairs"] + seen["probe"]["between pairs"]
        row = {
            "network": name,
            "paths": int(counts.sum()),
            **{f"{way} s": statistics.median(t) for way, t in times.items()},
            **{f"{way} / probe": statistics.median(r) for way, r in ratios.items()},
            "by point / probe range": [
                min(ratios["by point"]),
                max(ratios["by point"]),
            ],
            "gap": max(largest_gap(seen["probe"], seen[w]) for w in ratios),
        }
        rows.append(row)
        spread = "({:.1f}-{:.1f})".format(*row["by point / probe range"])
        seconds = "".join(f"{row[f'{way} s']:>11.2f}" for way in ways)
        print(
            f"{name:<27}{row['paths']:>6}{seconds}{row['by path / probe']:>8.1f}"
            f"{row['by point / probe']:>8.1f}  {spread:<13}{row['gap']:>8.0e}",
            flush=True,
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
