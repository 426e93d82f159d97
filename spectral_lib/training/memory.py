"""How much memory a step takes, how much there is, and in how many portions it fits."""

import math
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from spectral_lib.data.dataset import Dataset
from spectral_lib.training.ensemble import Ensemble
from spectral_lib.training.precision import in_bfloat16
from spectral_lib.training.settings import TrainSettings

LIMIT = "SPECTRAL_MEMORY"
"""Environment variable: bytes that training may take, such as 8e9."""

SHARE = 0.8
"""Of the free memory that is planned with; fragments and kernels take the rest."""

ROWS = 7
"""Rows of a replica's weights: they, gradient, two moments, three in an update."""

BATCHES = 3
"""Copies of a batch: as gathered, decoded, augmented."""

PASSING = 4
"""Largest tensors kept that the backward pass has room for: gradients and layouts.

With it plans were 1.1 to 1.8 times what processes on a CPU grew by.
"""

GENEROUS = 32
"""Values kept for each output of a layer, in a bound far above any network here."""

CONTROL_GROUPS = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive"),
)
"""Files of a Linux control group: its limit, its use, and what of that can be freed."""


def portions(
    ensemble: Ensemble,
    sets: Sequence[Dataset],
    settings: TrainSettings,
    begun: int = 0,
) -> int:
    """In how many portions a stacked ensemble has to be trained to fit into memory.

    One forward pass of the first replica counts what a step keeps, unless a bound says
    that there is plenty. If all replicas do not fit at once, a printed line says so. In
    portions each replica sees the same data in the same order and ends as in one pass,
    but for rounding; only networks that draw (dropout) draw other numbers, which
    stacked replicas take from one generator. A run that was ``begun`` in a number of
    portions keeps to it, with a printed line if more of them would be needed now.

    Replicas that pass through the network in turn need no more than one does, and are
    not portioned. Planned for are steps. What probes need on top of weights is theirs
    to bound: those of `probes.accuracy` and `probes.errors` predict in parts
    (`Ensemble.predict_set`).

    Raises
    ------
    ValueError
        If not even one replica fits, or the variable SPECTRAL_MEMORY is no number.
    """
    size = len(ensemble)
    if ensemble.in_turn or settings.epochs == 0:
        return begun or 1
    free = settings.memory or _limit()
    if free is None:
        found = free_memory(ensemble.device)
        if found is None:
            return begun or 1
        free = int(SHARE * found)
    if size * _bound(ensemble, sets, settings.batch_size) < free:
        return begun or 1
    try:
        one = step_bytes(ensemble, sets, settings)
    except torch.OutOfMemoryError as problem:
        raise ValueError(
            f"one replica needs more than the {_text(free)} that are free on "
            f"{ensemble.device}; use a smaller batch or network."
        ) from problem
    fit = free // one
    need = f"{size} replicas need {_text(size * one)}, {_text(free)} are free"
    if begun:
        if fit < math.ceil(size / begun):
            way = f"in {begun} portions" if begun > 1 else "all at once"
            print(f"{need}: trained {way} all the same, as its checkpoint was begun")
        return begun
    if not fit:
        raise ValueError(
            f"one replica needs {_text(one)} and {_text(free)} are free; use a smaller "
            f"batch or network, or set memory or {LIMIT} if you know better."
        )
    if fit >= size:
        return 1
    count = math.ceil(size / fit)
    each = math.ceil(size / count)
    parts = f"{count} portions of {'' if size % each == 0 else 'up to '}{each}"
    print(f"{need}: trained in {parts}")
    return count


def step_bytes(
    ensemble: Ensemble, sets: Sequence[Dataset], settings: TrainSettings
) -> int:
    """Bytes that a training step takes for one replica.

    Weights with gradient and optimizer, the batch, and what the forward pass keeps for
    the gradient, with room for some more of the largest of these. Measured by a real
    pass of the first replica, which leaves random state and buffers as they were. A
    pass that does not fit raises `torch.OutOfMemoryError` on a GPU; on a CPU the system
    decides, by swapping or by ending the process.
    """
    one = replace(
        ensemble.replica(0),
        buffers={name: b[:1].clone() for name, b in ensemble.buffers.items()},
    )
    weights = one.flatten().detach().requires_grad_()

    def forward(weights: Tensor, inputs: Tensor) -> Tensor:
        return one.unflatten(weights)(inputs)

    bf16 = settings.precision == "bf16"
    predict = in_bfloat16(forward, ensemble.device) if bf16 else forward
    devices = [ensemble.device] if ensemble.device.type == "cuda" else []
    most = 0
    for data in _different(sets):
        rows = torch.arange(settings.batch_size, device=ensemble.device)[None]
        inputs, targets = data.batch(rows)
        saved: dict[int, int] = {}

        def pack(kept: Tensor, saved: dict[int, int] = saved) -> Tensor:
            storage = kept.untyped_storage()
            saved[storage.data_ptr()] = storage.nbytes()
            return kept

        with torch.random.fork_rng(devices=devices), torch.enable_grad():
            hooks = torch.autograd.graph.saved_tensors_hooks(pack, lambda kept: kept)
            with hooks:
                prediction = predict(weights, inputs)
            # While the prediction holds them, no two tensors share an address.
            for known in (weights, inputs):
                saved.pop(known.untyped_storage().data_ptr(), None)
            kept = sum(saved.values()) + PASSING * max(saved.values(), default=0)
            # The loss keeps a few numbers for each of the prediction's.
            kept += 4 * prediction.nbytes
            del prediction
        most = max(most, kept + BATCHES * (inputs.nbytes + targets.nbytes))
    return most + ROWS * weights.nbytes


def _bound(ensemble: Ensemble, sets: Sequence[Dataset], batch_size: int) -> int:
    """More bytes than a step takes for one replica, from shapes alone.

    As if each layer had its outputs at each value of the input.
    """
    inputs = max(s.shape.numel() for s in _different(sets))
    values = ensemble.parameters.values()
    outputs = sum(v.shape[1] for v in values if v.ndim > 1)
    weights = sum(v[0].nbytes for v in values)
    activations = batch_size * inputs * outputs * ensemble.dtype.itemsize
    return GENEROUS * (activations + weights)


def free_memory(device: torch.device) -> int | None:
    """Bytes that can be allocated on a device, or None where nothing says so."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return free + held
    found = [
        value for value in (_of_machine(), *map(_of_group, CONTROL_GROUPS)) if value
    ]
    return min(found, default=None)


def _of_machine() -> int | None:
    """What Linux thinks it can give without swapping."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    sizes = dict(line.split(":", 1) for line in lines if ":" in line)
    text = sizes.get("MemAvailable", "").split()
    return 1024 * int(text[0]) if text else None


def _of_group(
    names: tuple[str, str, str], root: Path = Path("/sys/fs/cgroup")
) -> int | None:
    """What the limit of a control group (a container, a job) leaves."""
    limit, used, idle = names
    try:
        most, now = (int((root / name).read_text()) for name in (limit, used))
        lines = (root / used).with_name("memory.stat").read_text().splitlines()
    except (OSError, ValueError):  # no group, or "max": no limit
        return None
    freed = [int(n) for key, n in (x.split() for x in lines) if key.startswith(idle)]
    return max(1, most - now + sum(freed[:1]))


def _limit() -> int | None:
    """Bytes that the environment variable allows, or None."""
    text = os.environ.get(LIMIT, "")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 1 <= value < math.inf:
        raise ValueError(f"{LIMIT} is {text!r}; give bytes, such as 8e9.")
    return int(value)


def _different(sets: Sequence[Dataset]) -> list[Dataset]:
    """One data set for each shape of examples."""
    return list(
        {(*s.stored.shape[1:], 0, *s.targets.shape[1:]): s for s in sets}.values()
    )


def _text(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
