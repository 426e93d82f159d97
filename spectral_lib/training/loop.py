"""One loop that trains an ensemble of replicas and calls probes on the way."""

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from tqdm.auto import tqdm

from spectral_lib.data.dataset import Augment, Dataset
from spectral_lib.training.ensemble import Ensemble, concatenate, evaluating
from spectral_lib.training.losses import Loss, mse
from spectral_lib.training.optimizers import Optimizer, OptimizerSettings

Measure = Callable[[Ensemble], Mapping[str, Tensor]]


@dataclass(frozen=True)
class TrainSettings:
    """How long, in which portions and with which optimizer an ensemble is trained.

    ``augment`` changes inputs and targets [R, batch, ...] at random, drawing for each
    replica from its own generator, the one that also orders its data.
    """

    epochs: int
    batch_size: int
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    loss: Loss = mse
    augment: Augment | None = None

    def __post_init__(self) -> None:
        if self.epochs < 0:
            raise ValueError(f"epochs is {self.epochs}; it must be >= 0.")
        if self.batch_size < 1:
            raise ValueError(f"batch_size is {self.batch_size}; it must be >= 1.")


@dataclass(frozen=True)
class Probe:
    """A measurement and the epochs at which to take it (0 is before training).

    ``measure`` maps an ensemble to named tensors [R, ...]. It runs without gradients,
    in evaluation mode, and cannot change the run.
    """

    measure: Measure
    epochs: frozenset[int]


@dataclass(frozen=True)
class Record:
    """What a probe saw: ``epochs`` [T] and named tensors [T, R, ...] on the CPU."""

    epochs: Tensor
    values: dict[str, Tensor]

    def __getitem__(self, name: str) -> Tensor:
        return self.values[name]


@dataclass(frozen=True)
class Run:
    """A trained ensemble and what was recorded.

    ``loss`` [epochs, R] is the mean training loss of each epoch; ``diverged_at`` [R]
    the first epoch whose loss was not finite, or -1.
    """

    ensemble: Ensemble
    records: dict[str, Record]
    loss: Tensor
    diverged_at: Tensor
    seconds: float


def every(epochs: int, step: int = 1) -> frozenset[int]:
    """Epochs 0, step, 2 step, ... and the last one."""
    return frozenset(range(0, epochs + 1, step)) | {epochs}


def train(
    ensemble: Ensemble,
    data: Dataset | Sequence[Dataset],
    settings: TrainSettings,
    probes: Mapping[str, Probe] | None = None,
    *,
    label: str = "training",
) -> Run:
    """Train all replicas of an ensemble; stacked, or one after another.

    Each epoch visits every data set once in batches of a fresh random order that
    depends on the replica's seed alone; an incomplete last batch is left out. What a
    network draws itself (dropout) is seeded too. The ensemble handed in is not changed.

    Raises
    ------
    ValueError
        If a data set is smaller than a batch, or hyperparameters do not fit R.
    """
    sets = [data] if isinstance(data, Dataset) else list(data)
    for s in sets:
        if len(s) < settings.batch_size:
            raise ValueError(
                f"a data set of {len(s)} examples is smaller than "
                f"batch_size {settings.batch_size}; use a smaller batch."
            )
    probes = probes or {}
    size = len(ensemble)
    steps = sum(len(s) // settings.batch_size for s in sets) * settings.epochs
    passes = 1 if ensemble.stacked else size
    quiet = bool(os.environ.get("CI") or os.environ.get("SPECTRAL_BUILD"))
    with tqdm(total=steps * passes, desc=label, disable=quiet, leave=False) as bar:
        if ensemble.stacked or size == 1:
            return _seeded(ensemble, sets, settings, probes, bar)
        parts = []
        for r in range(size):
            alone = replace(settings, optimizer=settings.optimizer.replica(r))
            parts.append(_seeded(ensemble.replica(r), sets, alone, probes, bar))
    return _join(parts)


def _seeded(
    ensemble: Ensemble,
    sets: Sequence[Dataset],
    settings: TrainSettings,
    probes: Mapping[str, Probe],
    bar: tqdm,
) -> Run:
    """Train with the global random state set, for networks that draw (dropout)."""
    devices = [ensemble.device] if ensemble.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        # Not the seed itself: masks must not repeat what initialised the weights.
        torch.manual_seed(ensemble.seeds[0] + 1_000_000_007)
        return _train(ensemble, sets, settings, probes, bar)


def _train(
    ensemble: Ensemble,
    sets: Sequence[Dataset],
    settings: TrainSettings,
    probes: Mapping[str, Probe],
    bar: tqdm,
) -> Run:
    started = time.perf_counter()
    buffers = {k: v.clone() for k, v in ensemble.buffers.items()}
    ensemble = replace(ensemble, buffers=buffers)
    weights = ensemble.flatten().requires_grad_()
    steps = sum(len(s) // settings.batch_size for s in sets)
    optimizer = Optimizer(weights, settings.optimizer, steps * settings.epochs)
    orders = [torch.Generator().manual_seed(seed) for seed in ensemble.seeds]
    readings: dict[str, list[tuple[int, Mapping[str, Tensor]]]] = {
        p: [] for p in probes
    }
    losses: list[Tensor] = []

    _measure(ensemble.unflatten(weights.detach()), probes, 0, readings)
    for epoch in range(1, settings.epochs + 1):
        total = torch.zeros(len(ensemble), device=ensemble.device)
        optimizer.start_epoch(epoch)
        for data in sets:
            for rows in _batches(len(data), settings.batch_size, orders):
                rows = rows.to(ensemble.device)
                inputs, targets = data.inputs[rows], data.targets[rows]
                if settings.augment is not None:
                    inputs, targets = settings.augment(inputs, targets, orders)
                prediction = ensemble.unflatten(weights)(inputs)
                loss = settings.loss(prediction, targets)
                # Replicas share no weights: the gradient of the sum is each one's own.
                (gradient,) = torch.autograd.grad(loss.sum(), weights)
                optimizer.step(gradient)
                total += loss.detach()
        losses.append((total / steps).cpu())
        bar.update(steps)
        _measure(ensemble.unflatten(weights.detach()), probes, epoch, readings)

    history = torch.stack(losses) if losses else torch.zeros(0, len(ensemble))
    diverged = ~history.isfinite()
    return Run(
        ensemble.unflatten(weights.detach()),
        {name: _record(taken) for name, taken in readings.items()},
        history,
        torch.where(diverged.any(0), _first(diverged), -1),
        time.perf_counter() - started,
    )


def _batches(
    examples: int, batch_size: int, orders: Sequence[torch.Generator]
) -> Iterable[Tensor]:
    """Rows [R, batch_size] of one epoch's batches, a fresh order for each replica."""
    order = torch.stack([torch.randperm(examples, generator=g) for g in orders])
    steps = examples // batch_size
    return order[:, : steps * batch_size].split(batch_size, dim=1)


def _measure(
    ensemble: Ensemble,
    probes: Mapping[str, Probe],
    epoch: int,
    readings: dict[str, list[tuple[int, Mapping[str, Tensor]]]],
) -> None:
    """Take the readings due at an epoch, leaving mode and random state as they were."""
    due = [name for name, probe in probes.items() if epoch in probe.epochs]
    if not due:
        return
    devices = [ensemble.device] if ensemble.device.type == "cuda" else []
    undisturbed = torch.random.fork_rng(devices=devices)
    with torch.no_grad(), undisturbed, evaluating(ensemble.module):
        for name in due:
            seen = probes[name].measure(ensemble)
            readings[name].append((epoch, {k: v.cpu() for k, v in seen.items()}))


def _record(taken: Sequence[tuple[int, Mapping[str, Tensor]]]) -> Record:
    names = taken[0][1] if taken else ()
    return Record(
        torch.tensor([epoch for epoch, _ in taken]),
        {name: torch.stack([seen[name] for _, seen in taken]) for name in names},
    )


def _first(event: Tensor) -> Tensor:
    """First epoch, counted from 1, at which an event [epochs, R] is true."""
    if not len(event):
        return torch.zeros(event.shape[1], dtype=torch.long)
    epochs = torch.arange(1, len(event) + 1)[:, None]
    return torch.where(event, epochs, len(event) + 1).amin(0)


def _join(parts: Sequence[Run]) -> Run:
    """Join the runs of single replicas along the replica axis."""
    records = {
        name: Record(
            first.epochs,
            {
                key: torch.cat([p.records[name][key] for p in parts], dim=1)
                for key in first.values
            },
        )
        for name, first in parts[0].records.items()
    }
    return Run(
        concatenate([p.ensemble for p in parts]),
        records,
        torch.cat([p.loss for p in parts], dim=1),
        torch.cat([p.diverged_at for p in parts]),
        sum(p.seconds for p in parts),
    )
