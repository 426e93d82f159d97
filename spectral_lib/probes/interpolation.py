"""How fast a classifier's output changes on straight paths between images.

A path from image x0 to x1 at distance d is followed at lambda = 0, step / d,
2 step / d, ... below 1; its statistic is the Euclidean norm of p(lambda) - p(0), the
change of the softmax output p. Source: Fridovich-Keil et al. 2021, Section 3.2.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations

import torch
from torch import Tensor

from spectral_lib.probes.noise_fitting import check_labels, check_logits
from spectral_lib.training.ensemble import Ensemble
from spectral_lib.training.settings import Measure

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
        Points in a forward pass, if no path has more; it bounds the memory.

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
        Mean change of p since lambda = 0 over the points of each bin, [R, P, bins];
        NaN where the path has no point.
    difference
        Its mean over all points of the path, [R, P].
    gradient
        Largest change of p from one point to the next, over the change of lambda,
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
    parts = [inputs[some[:, 1]] - inputs[some[:, 0]] for some in pairs.split(1000)]
    return torch.cat([part.flatten(1).double().norm(dim=1) for part in parts])


def follow_paths(
    function: Function, inputs: Tensor, pairs: Tensor, settings: PathSettings
) -> Paths:
    """Follow each of P paths, in passes of whole paths of ``settings.chunk`` points.

    Shapes: inputs [images, ...], pairs [P, 2] rows of them, P > 0. A pair of equal
    images has one point; a path of more points than a chunk has a pass of its own. On
    CUDA the order of sums, and so the last bits, may differ between calls.
    """
    lengths = path_lengths(inputs, pairs)
    # The first point is the image itself, also if the other one is equal to it.
    points = (lengths / settings.step).ceil().long().clamp(min=1)
    gaps = (settings.step / lengths).clamp(max=1.0)
    parts = [
        _follow(function, inputs, pairs[s], points[s], gaps[s], settings.bins)
        for s in _passes(points.tolist(), settings.chunk)
    ]
    return Paths(*(torch.cat(part, dim=1) for part in zip(*parts, strict=True)))


def _passes(points: list[int], chunk: int) -> Iterator[slice]:
    """Consecutive paths whose points, together, are at most ``chunk``; at least one."""
    begin, total = 0, 0
    for path, count in enumerate(points):
        if path > begin and total + count > chunk:
            yield slice(begin, path)
            begin, total = path, 0
        total += count
    yield slice(begin, len(points))


def _follow(
    function: Function,
    inputs: Tensor,
    pairs: Tensor,
    points: Tensor,
    gaps: Tensor,
    bins: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Curve, difference and gradient of `Paths` for the paths of one pass."""
    paths = torch.arange(len(pairs), device=pairs.device)
    path = paths.repeat_interleave(points)  # of each point
    start = (points.cumsum(0) - points)[path]
    place = torch.arange(len(path), device=path.device) - start
    share = place * gaps[path]
    x0, x1 = inputs[pairs[path, 0]], inputs[pairs[path, 1]]
    weight = share.to(inputs).view(-1, *[1] * (inputs.ndim - 1))
    p = function(torch.lerp(x0, x1, weight)).double()
    replicas = len(p)

    change = (p - p[:, start]).norm(dim=-1)
    cell = path * bins + (share * bins).long().clamp(max=bins - 1)
    sums = change.new_zeros(replicas, len(pairs) * bins).index_add_(1, cell, change)
    counts = change.new_zeros(len(pairs) * bins)
    counts.index_add_(0, cell, torch.ones_like(share))
    sums, counts = sums.unflatten(1, (len(pairs), bins)), counts.view(-1, bins)

    slope = (p - p.roll(1, dims=1)).norm(dim=-1) / gaps[path]
    slope = torch.where(place > 0, slope, 0.0)
    steepest = change.new_zeros(replicas, len(pairs))
    steepest.scatter_reduce_(1, path.expand(replicas, -1), slope, "amax")
    return (
        sums / counts,
        sums.sum(-1) / points,
        torch.where(points > 1, steepest, torch.nan),
    )


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
    has, and the number ``pairs`` [R] of those that count.
    """
    needed = counted.any(0)
    needed[0] = True  # a pass needs a path; one that does not count enters no mean
    counted = counted[:, needed]
    paths = follow_paths(function, inputs, pairs[needed], settings)
    curve = paths.curve.masked_fill(~counted[..., None], torch.nan)
    return {
        "curve": curve.nanmean(1),
        "difference": paths.difference.masked_fill(~counted, torch.nan).nanmean(1),
        "gradient": paths.gradient.masked_fill(~counted, torch.nan).nanmean(1),
        "pairs": counted.sum(1),
    }


def interpolation(
    inputs: Tensor, labels: Tensor, settings: PathSettings | None = None
) -> Measure:
    """Measure how fast the softmax changes on paths within and between classes.

    Only pairs count of which the replica classifies both images correctly. Readings,
    each as ``within ...`` and ``between ...``: ``curve`` [R, bins], the mean
    change since lambda = 0 in bins of lambda; ``difference`` [R], its mean over paths;
    ``gradient`` [R], the mean over paths of the largest change of p from point to
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
    longest = float(path_lengths(images, torch.cat(list(kinds.values()))).max())
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
