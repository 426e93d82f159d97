"""One loop that trains an ensemble of replicas and calls probes on the way."""

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from tqdm.auto import tqdm

from spectral_lib.data.dataset import Dataset, send
from spectral_lib.training.checkpoints import (
    FOLDER,
    Checkpoint,
    CheckpointFile,
    checkpoint_files,
    in_portions,
    portions_begun,
)
from spectral_lib.training.devices import wait_for
from spectral_lib.training.ensemble import Ensemble
from spectral_lib.training.fingerprints import Fingerprint, fingerprint, machine
from spectral_lib.training.memory import portions
from spectral_lib.training.optimizers import Optimizer
from spectral_lib.training.precision import check_precision, float32_products
from spectral_lib.training.probing import Measure, Probe, every, measure
from spectral_lib.training.progress import Progress, Readings, Record, record
from spectral_lib.training.runs import Run, diverged_at, join
from spectral_lib.training.settings import TrainSettings
from spectral_lib.training.steps import check_step, compiling, freeing, gradient_of

__all__ = [
    "Dataset",
    "Measure",
    "Probe",
    "Record",
    "Run",
    "TrainSettings",
    "every",
    "train",
]

Part = tuple[Ensemble, TrainSettings]
"""Replicas that train at once, with their settings."""


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
    Nothing in between waits for a GPU: losses and readings stay there until the end or
    the next save.

    A stacked ensemble that does not fit into memory is trained in portions, which is
    printed (`memory.portions`).

    With a checkpoint, a run that was killed goes on from the last epoch saved, and on a
    CPU ends bitwise as if it had not been; a run that was finished is read from its
    file and nothing is trained. The environment variable SPECTRAL_CHECKPOINTS, a
    folder, does so for every call without a checkpoint. Replicas that train one after
    another are runs of their own with a file each, and so are portions: a run goes on
    in those it was begun in. Probes must be pure functions: what one keeps to itself is
    not in the file.

    Raises
    ------
    ValueError
        If there are no data, a data set is smaller than a batch or on another device,
        hyperparameters do not fit R, a probe is due after the end, or the network is in
        evaluation mode; if precision, compiler, graphs or layout are not to be had
        here, or not even one replica fits into memory; if a checkpoint cannot be
        written or belongs to another run.
    """
    sets = [data] if isinstance(data, Dataset) else list(data)
    probes = probes or {}
    _check(ensemble, sets, settings, probes)
    runs = _one_by_one(ensemble, settings)
    files: Sequence[CheckpointFile] = ()
    if checkpoint is not None or os.environ.get(FOLDER):
        shared = machine(ensemble.device) | fingerprint(data=sets, probes=probes)
        files = checkpoint_files(checkpoint, label, _prints(runs, shared))
    count = _count(ensemble, sets, settings, files)
    if count > 1:
        runs = _portions(ensemble, settings, count)
        files = files and in_portions(files[0], _prints(runs, shared))
    for file, (part, _) in zip(files, runs, strict=bool(files)):
        # The weights and at most two moments.
        file.prepare(3 * sum(p.nbytes for p in part.parameters.values()))
    steps = sum(len(s) // settings.batch_size for s in sets) * settings.epochs
    quiet = bool(os.environ.get("CI") or os.environ.get("SPECTRAL_BUILD"))
    total = steps * len(runs)
    kept: Sequence[CheckpointFile | None] = files or [None] * len(runs)
    with tqdm(total=total, desc=label, disable=quiet, leave=False) as bar:
        parts = [
            _seeded(part, sets, how, probes, bar, file)
            for (part, how), file in zip(runs, kept, strict=True)
        ]
    return parts[0] if len(parts) == 1 else join(parts)


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
        for values in (s.stored, s.targets):
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
    check_precision(settings.precision, ensemble.device, ensemble.dtype)
    for s in sets:
        check_step(settings, ensemble, s.shape)


def _count(
    ensemble: Ensemble,
    sets: Sequence[Dataset],
    settings: TrainSettings,
    files: Sequence[CheckpointFile],
) -> int:
    """Portions of a stacked ensemble: as the run was begun, or as memory demands."""
    if not ensemble.stacked:
        return 1
    begun = portions_begun(files[0], len(ensemble)) if files else 0
    if begun:
        parts = files if begun == 1 else in_portions(files[0], [{}] * begun)
        if all(file.epoch() == settings.epochs for file in parts):
            return begun  # finished: they are read, and need no memory
    return portions(ensemble, sets, settings, begun)


def _one_by_one(ensemble: Ensemble, settings: TrainSettings) -> list[Part]:
    """All replicas at once if they are stacked, or each for itself.

    How much memory there is belongs to no run: it may have more when it goes on.
    """
    settings = replace(settings, memory=None)
    if ensemble.stacked or len(ensemble) == 1:
        return [(ensemble, settings)]
    return [
        (
            ensemble.replica(r),
            replace(settings, optimizer=settings.optimizer.replica(r)),
        )
        for r in range(len(ensemble))
    ]


def _portions(ensemble: Ensemble, settings: TrainSettings, count: int) -> list[Part]:
    """Portions of a stacked ensemble, as equal as can be."""
    settings = replace(settings, memory=None)
    ends = [len(ensemble) * i // count for i in range(count + 1)]
    return [
        (
            ensemble.portion(which),
            replace(settings, optimizer=settings.optimizer.portion(which)),
        )
        for which in map(slice, ends, ends[1:])
    ]


def _prints(runs: Sequence[Part], shared: Fingerprint) -> list[Fingerprint]:
    return [fingerprint(ensemble=part, settings=how) | shared for part, how in runs]


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
    device = ensemble.device
    with torch.random.fork_rng(devices=devices), freeing(settings, device):
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
    template = {k: v.detach() for k, v in ensemble.parameters.items()}
    ensemble = replace(ensemble, parameters=template, buffers=buffers)
    weights = ensemble.flatten().requires_grad_()
    steps = sum(len(s) // settings.batch_size for s in sets)
    optimizer = Optimizer(weights, settings.optimizer, steps * settings.epochs)
    orders = [torch.Generator().manual_seed(seed) for seed in ensemble.seeds]
    readings = Readings({name: [] for name in probes})
    done = Progress(weights.detach(), buffers, optimizer, orders, readings)

    gradient_at = gradient_of(ensemble, weights, settings)
    device = ensemble.device

    if file is not None and (saved := file.load()) is not None:
        done.restore(saved)
        bar.update(steps * done.epoch)
    else:
        measure(ensemble.unflatten(weights.detach()), probes, 0, done.readings)
    before = done.seconds
    for epoch in range(done.epoch + 1, settings.epochs + 1):
        total = torch.zeros(len(ensemble), device=device)
        optimizer.start_epoch(epoch)
        with float32_products(settings.precision, device), compiling(settings):
            for data in sets:
                for rows in _batches(len(data), settings.batch_size, orders, device):
                    inputs, targets = data.batch(rows)
                    if settings.augment is not None:
                        inputs, targets = settings.augment(inputs, targets, orders)
                    loss, gradient = gradient_at(inputs, targets)
                    optimizer.step(gradient)
                    total += loss
        done.losses.append(total / steps)
        bar.update(steps)
        measure(ensemble.unflatten(weights.detach()), probes, epoch, done.readings)
        done.epoch = epoch
        last = epoch == settings.epochs
        if last or (file is not None and file.due()):
            wait_for(device)
            done.seconds = before + time.perf_counter() - started
            if file is not None:
                file.save(done.state(finished=last))

    losses = done.losses
    history = torch.stack(losses).cpu() if losses else torch.zeros(0, len(ensemble))
    return Run(
        ensemble.unflatten(weights.detach()),
        {name: record(taken) for name, taken in done.readings.taken.items()},
        history,
        diverged_at(history),
        done.seconds if losses else time.perf_counter() - started,
    )


def _batches(
    examples: int,
    batch_size: int,
    orders: Sequence[torch.Generator],
    device: torch.device,
) -> Iterable[Tensor]:
    """Rows [R, batch_size] of one epoch's batches, a fresh order for each replica.

    The order is drawn on the CPU and sent once an epoch.
    """
    order = torch.stack([torch.randperm(examples, generator=g) for g in orders])
    steps = examples // batch_size
    return send(order, device)[:, : steps * batch_size].split(batch_size, dim=1)
