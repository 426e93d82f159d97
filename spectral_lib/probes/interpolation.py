"""How fast a classifier's output changes on straight paths between images.

A path from image x0 to x1 at distance d is followed at lambda = 0, step / d,
2 step / d, ... below 1; its statistic is |p(lambda) - p(0)|, the Euclidean norm of what
the softmax output p has changed since the start. Source: Fridovich-Keil et al. 2021,
Section 3.2.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import NamedTuple

import torch
from torch import Tensor

from spectral_lib.probes.noise_fitting import check_labels, check_logits
from spectral_lib.training.ensemble import Ensemble
from spectral_lib.training.loop import Measure

Function = Callable[[Tensor], Tensor]
"""From points [batch, ...] to the class probabilities [R, batch, classes] of each."""


@dataclass(frozen=True)
class PathSettings:
    """Which paths are followed, and where along them.

    Attributes
    ----------
    pairs
        Most pairs of images for each class, or for each two classes.
    step
        Euclidean distance between neighbouring points of a path, in units of the images
        that the network takes.
    bins
        Equal bins of lambda in [0, 1) in which paths are averaged.
    chunk
        Points in a forward pass, and paths held at a time; it bounds the memory.

    Raises
    ------
    ValueError
        If a setting is not positive.
    """

    pairs: int = 200
    step: float = 1.0
    bins: int = 20
    chunk: int = 1000

    def __post_init__(self) -> None:
        for name in ("pairs", "bins", "chunk"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be >= 1.")
        if not self.step > 0:
            raise ValueError(f"step is {self.step}; it must be > 0.")

    @property
    def centres(self) -> Tensor:
        """Middle of each bin of lambda, [bins]."""
        return (torch.arange(self.bins, dtype=torch.float64) + 0.5) / self.bins


@dataclass(frozen=True)
class Paths:
    """What was seen on each of P paths by each of R replicas, in float64.

    Attributes
    ----------
    curve
        Mean of |p(lambda) - p(0)| over the points in each bin of lambda, [R, P, bins];
        NaN where the path has no point.
    difference
        Its mean over all points of the path, [R, P].
    gradient
        Largest |change of p| from one point to the next, over the change of lambda,
        [R, P]; over the path's length it is the gradient by distance. NaN where a path
        has fewer than two points.
    """

    curve: Tensor
    difference: Tensor
    gradient: Tensor


def pairs_within(labels: Tensor, limit: int) -> Tensor:
    """Pairs of images of the same class, rows [pairs, 2] of ``labels`` [images].

    In the order of the data, of each class the first image with the second, the third
    with the fourth and so on, at most ``limit`` of each class. Source: the public code
    of Fridovich-Keil et al. 2021.
    """
    found = [_of_class(labels, c)[: 2 * limit] for c in labels.unique()]
    return torch.cat([rows[: len(rows) // 2 * 2].view(-1, 2) for rows in found])


def pairs_between(labels: Tensor, limit: int) -> Tensor:
    """Pairs of images of different classes, rows [pairs, 2] of ``labels`` [images].

    In the order of the data, the i-th image of one class with the i-th of another, at
    most ``limit`` of each two classes. Source: the public code of Fridovich-Keil et al.
    2021.
    """
    pairs = [
        torch.stack([x[: len(y)], y[: len(x)]], dim=1)[:limit]
        for x, y in combinations([_of_class(labels, c) for c in labels.unique()], 2)
    ]
    return torch.cat(pairs) if pairs else labels.new_zeros(0, 2)


def _of_class(labels: Tensor, c: Tensor) -> Tensor:
    return (labels == c).nonzero().squeeze(1)


def path_lengths(inputs: Tensor, pairs: Tensor) -> Tensor:
    """Euclidean distance [P] of the images of each of pairs [P, 2], in float64."""
    x0, x1 = inputs[pairs[:, 0]], inputs[pairs[:, 1]]
    return (x1 - x0).flatten(1).double().norm(dim=1)


def follow_paths(
    function: Function, inputs: Tensor, pairs: Tensor, settings: PathSettings
) -> Paths:
    """Follow each of P paths, ``settings.chunk`` points of any of them at a time.

    Shapes: inputs [images, ...], pairs [P, 2] rows of them, P > 0. A pair of equal
    images has one point. What is returned grows with P; `average_paths` does not. On
    CUDA the order of sums, and so the last bits, may differ between calls.
    """
    size, bins = len(pairs), settings.bins
    lengths = path_lengths(inputs, pairs)
    # The first point is the image itself, also if the other one is equal to it.
    points = (lengths / settings.step).ceil().long().clamp(min=1)
    gaps = (settings.step / lengths).clamp(max=1.0)
    start = function(inputs[pairs[:1, 0]]).double()
    replicas = len(start)
    counts = gaps.new_zeros(size * bins)
    sums = gaps.new_zeros(replicas, size * bins)
    steepest = gaps.new_zeros(replicas, size)
    for seen in _walk(function, inputs, pairs, points, gaps, start, settings.chunk):
        cell = seen.path * bins + (seen.share * bins).long().clamp(max=bins - 1)
        counts.index_add_(0, cell, torch.ones_like(seen.share))
        sums.index_add_(1, cell, seen.change)
        where = seen.path.expand(replicas, -1)
        steepest.scatter_reduce_(1, where, seen.slope, "amax")
    sums, counts = sums.unflatten(1, (size, bins)), counts.view(size, bins)
    return Paths(
        sums / counts,
        sums.sum(-1) / points,
        torch.where(points > 1, steepest, torch.nan),
    )


class _Seen(NamedTuple):
    """Points of one pass: path and lambda [points], change and slope [R, points]."""

    path: Tensor
    share: Tensor
    change: Tensor
    slope: Tensor


def _walk(
    function: Function,
    inputs: Tensor,
    pairs: Tensor,
    points: Tensor,
    gaps: Tensor,
    start: Tensor,
    chunk: int,
) -> Iterator[_Seen]:
    """Evaluate the points of all paths in order, a chunk at a time."""
    ends = points.cumsum(0)
    first = last = start
    for rows in torch.arange(int(ends[-1]), device=inputs.device).split(chunk):
        path = torch.searchsorted(ends, rows, right=True)
        place = rows - (ends - points)[path]
        share = place * gaps[path]
        x0, x1 = inputs[pairs[path, 0]], inputs[pairs[path, 1]]
        weight = share.to(inputs).view(-1, *[1] * (inputs.ndim - 1))
        p = function(torch.lerp(x0, x1, weight)).double()
        # Row 0 is for the path that an earlier chunk began: its first and last values.
        begin = (torch.arange(len(rows), device=rows.device) - place).clamp(min=-1) + 1
        origin = torch.cat([first, p], dim=1)[:, begin]
        before = torch.cat([last, p[:, :-1]], dim=1)
        slope = torch.where(place > 0, (p - before).norm(dim=-1) / gaps[path], 0.0)
        yield _Seen(path, share, (p - origin).norm(dim=-1), slope)
        first, last = origin[:, -1:], p[:, -1:]


def average_paths(
    function: Function,
    inputs: Tensor,
    pairs: Tensor,
    counted: Tensor,
    settings: PathSettings,
) -> dict[str, Tensor]:
    """Averages over those of P paths that count for a replica, each weighted the same.

    Shapes: inputs [images, ...], pairs [P, 2] rows of them, counted [R, P] true or
    false. Returns means of what `Paths` holds, ``curve`` [R, bins], ``difference`` [R]
    and ``gradient`` [R], each over the paths that have such a value and NaN if none
    has, and the number ``pairs`` [R] of those that count. No more than
    ``settings.chunk`` points or paths are held at a time.
    """
    needed = counted.any(0)
    pairs, counted = pairs[needed], counted[:, needed]
    shapes = {"curve": settings.bins, "difference": 1, "gradient": 1}
    sums = {k: counted.new_zeros(len(counted), n).double() for k, n in shapes.items()}
    weights = {k: torch.zeros_like(v) for k, v in sums.items()}
    for begin in range(0, len(pairs), settings.chunk):
        some = slice(begin, begin + settings.chunk)
        paths = follow_paths(function, inputs, pairs[some], settings)
        for name in shapes:
            values: Tensor = getattr(paths, name)
            values = values if values.ndim == 3 else values[..., None]
            use = counted[:, some, None] & ~values.isnan()
            sums[name] += torch.where(use, values, 0.0).sum(1)
            weights[name] += use.sum(1)
    means = {name: sums[name] / weights[name] for name in shapes}
    return {
        "curve": means["curve"],
        "difference": means["difference"].squeeze(1),
        "gradient": means["gradient"].squeeze(1),
        "pairs": counted.sum(1),
    }


def interpolation(
    inputs: Tensor, labels: Tensor, settings: PathSettings | None = None
) -> Measure:
    """Measure how fast the softmax changes on paths within and between classes.

    Only pairs count of which the replica classifies both images correctly. Readings,
    each as ``within ...`` and ``between ...``: ``curve`` [R, bins], the mean of
    |p(lambda) - p(0)| in bins of lambda; ``difference`` [R], its mean over whole paths;
    ``gradient`` [R], the mean over paths of the largest |change of p| from point to
    point per unit of lambda; ``pairs`` [R], how many count. NaN if none does.

    Parameters
    ----------
    inputs
        Images as the network takes them, normalised, [images, ...].
    labels
        True classes, [images], on the same device.
    settings
        Pairs, step and bins; `PathSettings` has the paper's step 1 and 200 pairs.

    Raises
    ------
    ValueError
        If there is not one label an image, no pair, or the step is longer than every
        path; at a reading, if the outputs are not [images, classes].
    """
    settings = settings or PathSettings()
    check_labels(inputs, labels)
    kinds = {
        "within": pairs_within(labels, settings.pairs),
        "between": pairs_between(labels, settings.pairs),
    }
    used = torch.cat(list(kinds.values())).unique()
    if not len(used):
        raise ValueError(f"{len(labels)} labels give no pair; give two images or more.")
    images, classes = inputs[used], labels[used]
    kinds = {name: torch.searchsorted(used, pairs) for name, pairs in kinds.items()}
    lengths = [
        path_lengths(images, some)
        for pairs in kinds.values()
        for some in pairs.split(settings.chunk)
    ]
    longest = float(torch.cat(lengths).max())
    if not longest > settings.step:
        raise ValueError(
            f"step is {settings.step} and the longest path {longest:.3g}; give a step "
            "that is much shorter."
        )

    def measure(ensemble: Ensemble) -> dict[str, Tensor]:
        rows = replace(settings, chunk=ensemble.rows_in_pass(settings.chunk))
        logits = ensemble.predict(images, settings.chunk)
        check_logits(logits)
        right = logits.argmax(-1) == classes

        def softmax(x: Tensor) -> Tensor:
            return ensemble.predict(x).double().softmax(-1)

        found: dict[str, Tensor] = {}
        for kind, pairs in kinds.items():
            counted = right[:, pairs].all(-1)
            seen = average_paths(softmax, images, pairs, counted, rows)
            found |= {f"{kind} {name}": value for name, value in seen.items()}
        return found

    return measure
