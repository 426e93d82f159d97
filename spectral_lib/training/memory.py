"""How much memory a step takes, how much there is, and how many replicas fit."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from spectral_lib.data.dataset import Dataset
from spectral_lib.training.ensemble import Ensemble
from spectral_lib.training.settings import TrainSettings

SHARE = 0.8
"""Of the free memory that is planned with; fragments and kernels take the rest."""

WEIGHT_COPIES = 7
"""Copies of a replica's weights: they, gradient, two moments, three in an update."""

BATCH_COPIES = 3
"""Copies of a batch: as gathered, augmented, laid out."""

BACKWARD_COPIES = 4
"""Largest tensors kept that the backward pass has room for: gradients and layouts.

With it plans were 1.1 to 1.8 times what processes on a CPU grew by.
"""


def check_memory(
    ensemble: Ensemble, settings: TrainSettings, sets: Sequence[Dataset]
) -> None:
    """Raise ValueError, naming a number that fits, if replicas do not fit at once.

    Replicas that pass through the network in turn need no more than one does, and are
    not checked.
    """
    if ensemble.in_turn or settings.epochs == 0:
        return
    size, fit = len(ensemble), replicas_that_fit(ensemble, settings, sets)
    if fit is None or fit >= size:
        return
    smaller = f"set replicas_at_once={fit}" if fit else "use a smaller batch or network"
    raise ValueError(
        f"{size} replicas at once do not fit into the memory that is free on "
        f"{ensemble.device}; {smaller}, or set replicas_at_once={size} to try it all "
        "the same."
    )


def replicas_that_fit(
    ensemble: Ensemble, settings: TrainSettings, sets: Sequence[Dataset]
) -> int | None:
    """How many replicas of a stacked ensemble fit into the memory that is free.

    None where nothing says how much that is.
    """
    free = free_memory(ensemble.device)
    if free is None:
        return None
    return int(SHARE * free) // step_bytes(ensemble, settings, sets)


def step_bytes(
    ensemble: Ensemble, settings: TrainSettings, sets: Sequence[Dataset]
) -> int:
    """Bytes that a training step takes for one replica.

    Weights with gradient and optimizer, the batch, and what the forward pass keeps for
    the gradient, with room for some more of the largest of these. Measured by a real
    pass of the first replica, which leaves random state and buffers as they were. What
    probes need is not counted.
    """
    one = replace(
        ensemble.replica(0),
        buffers={name: b[:1].clone() for name, b in ensemble.buffers.items()},
    )
    weights = one.flatten().detach().requires_grad_()
    gpus = [ensemble.device] if ensemble.device.type == "cuda" else []
    most = 0
    for data in {(s.inputs.shape[1:], s.targets.shape[1:]): s for s in sets}.values():
        rows = torch.arange(settings.batch_size, device=ensemble.device)[None]
        inputs, targets = data.batch(rows)
        saved: dict[int, int] = {}

        def pack(kept: Tensor, saved: dict[int, int] = saved) -> Tensor:
            storage = kept.untyped_storage()
            saved[storage.data_ptr()] = storage.nbytes()
            return kept

        hooks = torch.autograd.graph.saved_tensors_hooks(pack, lambda kept: kept)
        with torch.random.fork_rng(gpus), torch.enable_grad(), hooks:
            prediction = one.outputs_at(weights, inputs, settings.precision)
        # While the prediction holds them, no two tensors share an address.
        for known in (weights, inputs):
            saved.pop(known.untyped_storage().data_ptr(), None)
        kept = sum(saved.values()) + BACKWARD_COPIES * max(saved.values(), default=0)
        # The loss keeps a few numbers for each of the prediction's.
        kept += 4 * prediction.nbytes
        del prediction
        most = max(most, kept + BATCH_COPIES * (inputs.nbytes + targets.nbytes))
    return most + WEIGHT_COPIES * weights.nbytes


def free_memory(device: torch.device) -> int | None:
    """Bytes that can be allocated on a device, or None where nothing says so."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return free + held
    found = [value for value in (_of_machine(), _of_group()) if value is not None]
    return min(found, default=None)


def _of_machine() -> int | None:
    """What Linux thinks it can give without swapping."""
    try:
        lines = Path("/proc/meminfo").read_text("utf-8").splitlines()
    except OSError:
        return None
    sizes = dict(line.split(":", 1) for line in lines if ":" in line)
    text = sizes.get("MemAvailable", "").split()
    return 1024 * int(text[0]) if text else None


def _of_group(root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """What the limit of a Linux control group (a container, a job) leaves."""
    try:
        limit, used = (
            int((root / name).read_text("utf-8"))
            for name in ("memory.max", "memory.current")
        )
        lines = (root / "memory.stat").read_text("utf-8").splitlines()
    except (OSError, ValueError):  # no group, or "max": no limit
        return None
    idle = [int(n) for key, n in map(str.split, lines) if key == "inactive_file"]
    return max(0, limit - used + sum(idle))
