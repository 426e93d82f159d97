"""Time interpolation paths: all of them in portions, and as one writes them first.

*Ours* is the book's way: points of all paths in portions of a fixed size, all
replicas. The slow ways take one plain `nn.Module` after another and its correctly
classified pairs one by one, with a forward pass for each path, or for each point of
it. All three give the mean curve, difference and gradient within and between classes,
which are compared.

    python -m benchmarks.interpolation --rounds 5
"""

import copy
import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from benchmarks.measure import Group, Setting, by_turns
from spectral_book.pages.costs import Cost
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
    points = torch.arange(math.ceil(length / settings.step), device=x0.device)
    share = points * settings.step / length
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


def furthest(first: Readings, second: Readings) -> float:
    """Largest absolute difference of two ways' readings; their paths must agree."""
    for kind in ("within", "between"):
        if first[f"{kind} pairs"].tolist() != second[f"{kind} pairs"].tolist():
            raise SystemExit(f"the ways follow different paths {kind} classes.")
    gaps = []
    first = {name: value.cpu() for name, value in first.items()}
    second = {name: value.cpu() for name, value in second.items()}
    for name, value in first.items():
        # A bin that no path has a point in is NaN in all ways, or they do differ.
        empty = value.isnan() & second[name].isnan()
        gap = (value - second[name]).abs().masked_fill(empty, 0.0)
        gaps.append(float(gap.nan_to_num(nan=math.inf).max()))
    return max(gaps)


def rows(setting: Setting) -> Iterator[Cost]:
    """A row for each network and slower way."""
    images = load_digits(597)
    small = ResNetSettings(1, (8, 16, 32), 1)
    works = {
        "MLP 64-256-256-10": (lambda: MLP([64, 256, 256, 10]), images.flat(), True),
        "ResNet8, 8 to 32 channels": (lambda: ResNet(small), images, False),
    }
    replicas, settings = setting.size(5, 2), PathSettings(setting.size(20, 1), 0.5)
    for name, (build, digits, stacked) in works.items():
        data = digits.to(setting.device, torch.float32)
        seeds = range(1, replicas + 1)
        start = initialise(build, seeds, device=setting.device, stacked=stacked)
        how = OptimizerSettings("sgd", 0.05, 0.9)
        trained = train(start, data.train, TrainSettings(5, 64, how, cross_entropy))
        yield from compare(name, trained.ensemble, data.test, settings, setting)


def compare(
    name: str, ensemble: Ensemble, test: Dataset, how: PathSettings, setting: Setting
) -> Iterator[Cost]:
    """The rows of one trained ensemble."""
    networks = modules(ensemble)
    probe = interpolation(test.inputs, test.targets, how)
    slow = {"a pass a path": follow_by_path, "a pass a point": follow_by_point}
    ways: dict[str, Callable[[], Readings]] = {"ours": lambda: probe(ensemble)}
    for way, follow in slow.items():
        ways[way] = lambda f=follow: plain(f, networks, test, how)
    done = by_turns(ways, setting)
    mine = done.results["ours"]
    paths = int((mine["within pairs"] + mine["between pairs"]).sum())
    for way in slow:
        gap = furthest(mine, done.results[way])
        yield done.row(f"{paths} paths, {len(ensemble)} x {name}", way, gap=gap)


GROUP = Group(
    "interpolation",
    "Paths between images",
    "Probabilities along straight paths between correctly classified digits, within "
    "and between classes: all paths of all replicas in portions, against one path, or "
    "one point, after another.",
    rows,
)

if __name__ == "__main__":
    GROUP.alone(__doc__)
