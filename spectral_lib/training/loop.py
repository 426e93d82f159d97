"""One loop that trains an ensemble of replicas and calls probes on the way.

`train` divides the ensemble into groups of replicas that train at once; `_train_group`
is the loop: data order, step, loss, probes, record and checkpoint as they happen.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from spectral_lib.data.dataset import Dataset, send
from spectral_lib.training.checkpoints import (
    FOLDER,
    Checkpoint,
    CheckpointFile,
    checkpoint_files,
)
from spectral_lib.training.devices import check_precision, float32_products
from spectral_lib.training.ensemble import Ensemble, evaluating, outputs
from spectral_lib.training.memory import check_memory
from spectral_lib.training.optimizers import Optimizer
from spectral_lib.training.run_keys import run_key
from spectral_lib.training.runs import Readings, Run, diverged_at, join
from spectral_lib.training.runs import Record as Record  # chapters take it from here
from spectral_lib.training.settings import Probe, TrainSettings
from spectral_lib.training.settings import every as every  # chapters take it from here

NETWORK_DRAWS = 1_000_000_007
"""Added to a seed for what a network draws: the masks of dropout must not repeat the
numbers that initialised its weights."""

PROBE_DRAWS = 2_000_000_011
"""Added to an epoch for what probes draw: anew at each epoch, and alike in a run that
goes on and for all replicas."""


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

    With a checkpoint, a run that was killed goes on from the last epoch saved, and on a
    CPU ends bitwise as if it had not been; a run that was finished is read from its
    file and nothing is trained. Both are printed. The environment variable
    SPECTRAL_CHECKPOINTS, a folder, does so for every call without a checkpoint.
    Replicas that train one after another are runs of their own with a file each, and so
    are groups (`TrainSettings.replicas_at_once`). Probes must be pure functions: what
    one keeps to itself is not in the file.

    Raises
    ------
    ValueError
        If there are no data, a data set is smaller than a batch or on another device,
        hyperparameters do not fit R, a probe is due after the end, or the network is in
        evaluation mode; if precision or layout are not to be had here, or the replicas
        do not fit into memory; if a checkpoint cannot be written or belongs to another
        run.
    torch.OutOfMemoryError
        If a GPU's memory was full all the same; it names a number of replicas.
    """
    sets = [data] if isinstance(data, Dataset) else list(data)
    probes = probes or {}
    _check(ensemble, sets, settings, probes)
    count = len(ensemble)
    size = min(settings.replicas_at_once or count, count) if ensemble.stacked else 1
    groups = [(ensemble, replace(settings, replicas_at_once=None))]
    if size < count:
        parts = [slice(start, start + size) for start in range(0, count, size)]
        groups = [(ensemble.portion(part), settings.portion(part)) for part in parts]
    files: Sequence[CheckpointFile | None] = [None] * len(groups)
    if checkpoint is not None or os.environ.get(FOLDER):
        keys = [run_key(*group, sets, probes) for group in groups]
        files = checkpoint_files(checkpoint, label, keys)
    saved = [None if file is None else file.load() for file in files]

    batches = settings.epochs * sum(len(s) // settings.batch_size for s in sets)
    quiet = bool(os.environ.get("CI") or os.environ.get("SPECTRAL_BUILD"))
    bar = tqdm(total=batches * len(groups), desc=label, disable=quiet, leave=False)
    gpus = [ensemble.device] if ensemble.device.type == "cuda" else []
    try:
        if settings.replicas_at_once is None and None in saved:
            check_memory(*groups[0], sets)
        with bar, torch.random.fork_rng(gpus), float32_products(settings.precision):
            runs = [
                _train_group(*group, sets, probes, bar, file, state)
                for group, file, state in zip(groups, files, saved, strict=True)
            ]
    except torch.OutOfMemoryError as problem:
        smaller = f"replicas_at_once={size // 2}" if size > 1 else "a smaller batch"
        raise torch.OutOfMemoryError(
            f"{ensemble.device} has no memory for {size} replicas at once; use "
            f"{smaller}."
        ) from problem
    return join(runs)


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
        if settings.channels_last and (len(s.shape) != 3 or not ensemble.in_turn):
            how = "by itself" if ensemble.in_turn else "stacked with others"
            raise ValueError(
                "channels_last is for images and replicas that pass by themselves; "
                f"inputs are {list(s.shape)} and each replica passes {how}; leave it "
                "out."
            )
    for name, given in settings.optimizer.per_replica().items():
        if len(given) != len(ensemble):
            raise ValueError(
                f"{name} has {len(given)} values for {len(ensemble)} replicas; give "
                "one number or one value a replica."
            )
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


def _train_group(
    ensemble: Ensemble,
    settings: TrainSettings,
    sets: Sequence[Dataset],
    probes: Mapping[str, Probe],
    bar: tqdm,
    file: CheckpointFile | None,
    saved: Mapping[str, Any] | None,
) -> Run:
    """Train replicas at once, from the start or from the state of a checkpoint."""
    device = ensemble.device
    weights = ensemble.flatten(settings.channels_last).detach()
    buffers = {name: value.clone() for name, value in ensemble.buffers.items()}
    ensemble = ensemble.unflatten(weights, settings.channels_last)
    ensemble = replace(ensemble, buffers=buffers)
    leaf = weights.detach().requires_grad_()
    passes = ensemble.passing(leaf, settings.channels_last)
    steps = sum(len(s) // settings.batch_size for s in sets)  # of an epoch
    optimizer = Optimizer(weights, settings.optimizer, steps * settings.epochs)
    orders = [torch.Generator().manual_seed(seed) for seed in ensemble.seeds]
    torch.manual_seed(ensemble.seeds[0] + NETWORK_DRAWS)
    # One block for all losses: a small tensor an epoch would each pin a hole among the
    # activations, and a long run's memory would grow without end.
    losses = torch.zeros(settings.epochs, len(ensemble), device=device)
    readings, first, seconds = Readings(probes), 0, 0.0

    if saved is not None:
        first, seconds = saved["epoch"] + 1, saved["seconds"]
        weights.copy_(saved["weights"])
        for name, value in saved["buffers"].items():
            buffers[name].copy_(value)
        optimizer.steps = saved["steps"]
        for name, value in saved["moments"].items():
            optimizer.moments[name].copy_(value)
        for order, value in zip(orders, saved["orders"], strict=True):
            order.set_state(value)
        torch.random.set_rng_state(saved["random"])
        if device.type == "cuda":
            torch.cuda.set_rng_state(saved["cuda random"], device)
        losses[: first - 1] = saved["losses"].to(device)
        readings.restore(saved["records"])
        bar.update(steps * saved["epoch"])
    started = time.perf_counter() - seconds

    for epoch in range(first, settings.epochs + 1):
        if epoch > 0:
            total = losses[epoch - 1]
            for inputs, targets in _batches(sets, settings, orders):
                found = list[Tensor]()
                # What one pass keeps for its gradient is given back before the next.
                for which, forward in passes:
                    x = inputs[which]
                    if settings.channels_last:
                        x = x[0].contiguous(memory_format=torch.channels_last)[None]
                    prediction = outputs(forward, x, settings.precision)
                    loss = settings.loss(prediction, targets[which])
                    # Replicas share no weights: the sum's gradient is each one's own.
                    loss.backward(torch.ones_like(loss))
                    found.append(loss.detach())
                gradient = leaf.grad
                assert gradient is not None
                optimizer.step(gradient, epoch)
                leaf.grad = gradient.zero_() if ensemble.in_turn else None
                total += torch.cat(found)
            total /= steps
            bar.update(steps)

        due = [name for name, probe in probes.items() if epoch in probe.epochs]
        if due:
            gpus = [device] if device.type == "cuda" else []
            undisturbed, exact = (
                torch.random.fork_rng(gpus),
                float32_products("float32"),
            )
            with torch.no_grad(), undisturbed, exact, evaluating(ensemble.module):
                torch.manual_seed(PROBE_DRAWS + epoch)
                for name in due:
                    readings.add(name, epoch, probes[name].measure(ensemble))

        last = epoch == settings.epochs
        if last and device.type == "cuda":
            torch.cuda.synchronize(device)
        if epoch > 0:
            seconds = time.perf_counter() - started
        if epoch > 0 and file is not None and (last or file.due()):
            state = {
                "epoch": epoch,
                "epochs": settings.epochs,
                "seconds": seconds,
                "weights": weights,
                "buffers": buffers,
                "steps": optimizer.steps,
                "moments": {} if last else optimizer.moments,
                "orders": [order.get_state() for order in orders],
                "random": torch.random.get_rng_state(),
                "losses": losses[:epoch],
                "records": {k: vars(r) for k, r in readings.records().items()},
            }
            if device.type == "cuda":
                state["cuda random"] = torch.cuda.get_rng_state(device)
            file.save(state)

    history = losses.cpu()
    records = readings.records()
    return Run(ensemble, records, history, diverged_at(history), seconds)


def _batches(
    sets: Sequence[Dataset],
    settings: TrainSettings,
    orders: Sequence[torch.Generator],
) -> Iterator[tuple[Tensor, Tensor]]:
    """Inputs and targets [R, batch, ...] of an epoch, in a fresh order a replica.

    The order is drawn on the CPU and sent once an epoch.
    """
    for data in sets:
        order = torch.stack([torch.randperm(len(data), generator=g) for g in orders])
        used = len(data) // settings.batch_size * settings.batch_size
        rows_of = send(order, data.device)[:, :used].split(settings.batch_size, dim=1)
        for rows in rows_of:
            inputs, targets = data.batch(rows)
            if settings.augment is not None:
                inputs, targets = settings.augment(inputs, targets, orders)
            yield inputs, targets
