"""One loop that trains an ensemble of replicas and calls probes on the way."""

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from tqdm.auto import tqdm

from spectral_lib.data.dataset import Augment, Dataset
from spectral_lib.training.checkpoints import (
    FOLDER,
    Checkpoint,
    CheckpointFile,
    checkpoint_files,
)
from spectral_lib.training.ensemble import Ensemble, concatenate, evaluating
from spectral_lib.training.fingerprints import fingerprint, machine
from spectral_lib.training.losses import Loss, mse
from spectral_lib.training.optimizers import Optimizer, OptimizerSettings
from spectral_lib.training.progress import Progress, Readings, Record, record

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
    in evaluation mode, and cannot change the run. torch's random state is
    seeded by the epoch alone: what a probe draws is new at each epoch, and the same for
    replicas that train one after another.
    """

    measure: Measure
    epochs: frozenset[int]


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
    checkpoint: Checkpoint | None = None,
) -> Run:
    """Train all replicas of an ensemble; stacked, or one after another.

    Each epoch visits every data set once in batches of a fresh random order that
    depends on the replica's seed alone; an incomplete last batch is left out. What a
    network draws itself (dropout) is seeded too. The ensemble handed in is not changed.

    With a checkpoint, a run that was killed goes on from the last epoch saved, and on a
    CPU ends bitwise as if it had not been; a run that was finished is read from its
    file and nothing is trained. The environment variable SPECTRAL_CHECKPOINTS, a
    folder, does so for every call without a checkpoint. Replicas that train one after
    another are runs of their own with a file each. Probes must be pure functions: what
    one keeps to itself is not in the file.

    Raises
    ------
    ValueError
        If there are no data, a data set is smaller than a batch or on another device,
        hyperparameters do not fit R, a probe is due after the end, or the network is in
        evaluation mode; if a checkpoint cannot be written or belongs to another run.
    """
    sets = [data] if isinstance(data, Dataset) else list(data)
    probes = probes or {}
    _check(ensemble, sets, settings, probes)
    size = len(ensemble)
    runs = [(ensemble, settings)]
    if not ensemble.stacked and size > 1:
        runs = [
            (
                ensemble.replica(r),
                replace(settings, optimizer=settings.optimizer.replica(r)),
            )
            for r in range(size)
        ]
    files: Sequence[CheckpointFile | None] = [None] * len(runs)
    if checkpoint is not None or os.environ.get(FOLDER):
        files = _files(checkpoint, label, runs, sets, probes)
    steps = sum(len(s) // settings.batch_size for s in sets) * settings.epochs
    quiet = bool(os.environ.get("CI") or os.environ.get("SPECTRAL_BUILD"))
    total = steps * len(runs)
    with tqdm(total=total, desc=label, disable=quiet, leave=False) as bar:
        parts = [
            _seeded(part, sets, how, probes, bar, file)
            for (part, how), file in zip(runs, files, strict=True)
        ]
    return parts[0] if len(parts) == 1 else _join(parts)


def _check(
    ensemble: Ensemble,
    sets: Sequence[Dataset],
    settings: TrainSettings,
    probes: Mapping[str, Probe],
) -> None:
    """Raise a ValueError for what cannot be trained, before anything is."""
    if not sets:
        raise ValueError("there are no data sets; give at least one.")
    for s in sets:
        if len(s) < settings.batch_size:
            raise ValueError(
                f"a data set of {len(s)} examples is smaller than "
                f"batch_size {settings.batch_size}; use a smaller batch."
            )
        for values in (s.inputs, s.targets):
            if values.device != ensemble.device:
                raise ValueError(
                    f"data are on {values.device} and the ensemble on "
                    f"{ensemble.device}; move one to the other."
                )
    settings.optimizer.check_replicas(len(ensemble))
    for name, probe in probes.items():
        late = [epoch for epoch in probe.epochs if not 0 <= epoch <= settings.epochs]
        if late:
            raise ValueError(
                f"the probe {name!r} is due at epoch {late[0]} of {settings.epochs}; "
                "give epochs from 0 to the last one."
            )
    if not ensemble.module.training:
        raise ValueError(
            "the network is in evaluation mode, as Ensemble.of makes it to be "
            "measured; call ensemble.module.train() first."
        )


def _files(
    checkpoint: Checkpoint | None,
    label: str,
    runs: Sequence[tuple[Ensemble, TrainSettings]],
    sets: Sequence[Dataset],
    probes: Mapping[str, Probe],
) -> list[CheckpointFile]:
    """The file of each run, all checked before the first is trained."""
    shared = machine(runs[0][0].device) | fingerprint(data=sets, probes=probes)
    prints = [fingerprint(ensemble=part, settings=how) | shared for part, how in runs]
    files = checkpoint_files(checkpoint, label, prints)
    for file, (part, _) in zip(files, runs, strict=True):
        # The weights and at most two moments.
        file.prepare(3 * sum(p.nbytes for p in part.parameters.values()))
    return files


def _seeded(
    ensemble: Ensemble,
    sets: Sequence[Dataset],
    settings: TrainSettings,
    probes: Mapping[str, Probe],
    bar: tqdm,
    file: CheckpointFile | None,
) -> Run:
    """Train with the global random state set, for networks that draw (dropout)."""
    devices = [ensemble.device] if ensemble.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        # Not the seed itself: masks must not repeat what initialised the weights.
        torch.manual_seed(ensemble.seeds[0] + 1_000_000_007)
        return _train(ensemble, sets, settings, probes, bar, file)


def _train(
    ensemble: Ensemble,
    sets: Sequence[Dataset],
    settings: TrainSettings,
    probes: Mapping[str, Probe],
    bar: tqdm,
    file: CheckpointFile | None,
) -> Run:
    started = time.perf_counter()
    buffers = {k: v.clone() for k, v in ensemble.buffers.items()}
    ensemble = replace(ensemble, buffers=buffers)
    weights = ensemble.flatten().requires_grad_()
    steps = sum(len(s) // settings.batch_size for s in sets)
    optimizer = Optimizer(weights, settings.optimizer, steps * settings.epochs)
    orders = [torch.Generator().manual_seed(seed) for seed in ensemble.seeds]
    readings: Readings = {name: [] for name in probes}
    done = Progress(weights.detach(), buffers, optimizer, orders, readings)

    if file is not None and (saved := file.load()) is not None:
        done.restore(saved)
        bar.update(steps * done.epoch)
    else:
        _measure(ensemble.unflatten(weights.detach()), probes, 0, done.readings)
    before = done.seconds
    for epoch in range(done.epoch + 1, settings.epochs + 1):
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
        done.losses.append((total / steps).cpu())
        bar.update(steps)
        _measure(ensemble.unflatten(weights.detach()), probes, epoch, done.readings)
        done.epoch = epoch
        done.seconds = before + time.perf_counter() - started
        last = epoch == settings.epochs
        if file is not None and (last or file.due()):
            file.save(done.state(finished=last))

    losses = done.losses
    history = torch.stack(losses) if losses else torch.zeros(0, len(ensemble))
    diverged = ~history.isfinite()
    return Run(
        ensemble.unflatten(weights.detach()),
        {name: record(taken) for name, taken in done.readings.items()},
        history,
        torch.where(diverged.any(0), _first(diverged), -1),
        done.seconds if losses else time.perf_counter() - started,
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
    readings: Readings,
) -> None:
    """Take the readings due at an epoch, leaving mode and random state as they were."""
    due = [name for name, probe in probes.items() if epoch in probe.epochs]
    if not due:
        return
    devices = [ensemble.device] if ensemble.device.type == "cuda" else []
    undisturbed = torch.random.fork_rng(devices=devices)
    with torch.no_grad(), undisturbed, evaluating(ensemble.module):
        # Probes that draw do so anew at each epoch, and alike in a resumed run and for
        # all replicas.
        torch.manual_seed(2_000_000_011 + epoch)
        for name in due:
            seen = probes[name].measure(ensemble)
            readings[name].append((epoch, _kept(seen)))


def _kept(seen: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies on the CPU: what a probe hands out may be a view of the weights."""
    return {name: value.to("cpu", copy=True) for name, value in seen.items()}


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
