"""What is measured on the way: probes, when they are due, and their readings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from spectral_lib.training.ensemble import Ensemble, evaluating
from spectral_lib.training.precision import float32_products
from spectral_lib.training.progress import Readings

Measure = Callable[[Ensemble], Mapping[str, Tensor]]


@dataclass(frozen=True)
class Probe:
    """A measurement and the epochs at which to take it (0 is before training).

    ``measure`` maps an ensemble to named tensors [R, ...]. It runs without gradients,
    in evaluation mode, in float32, and cannot change the run. torch's random state is
    seeded by the epoch alone: what a probe draws is new at each epoch, and the same for
    replicas that train one after another.
    """

    measure: Measure
    epochs: frozenset[int]


def every(epochs: int, step: int = 1) -> frozenset[int]:
    """Epochs 0, step, 2 step, ... and the last one."""
    return frozenset(range(0, epochs + 1, step)) | {epochs}


def measure(
    ensemble: Ensemble, probes: Mapping[str, Probe], epoch: int, readings: Readings
) -> None:
    """Take the readings due at an epoch, leaving mode and random state as they were."""
    due = [name for name, probe in probes.items() if epoch in probe.epochs]
    if not due:
        return
    devices = [ensemble.device] if ensemble.device.type == "cuda" else []
    undisturbed = torch.random.fork_rng(devices=devices)
    exact = float32_products("float32", ensemble.device)
    with torch.no_grad(), undisturbed, exact, evaluating(ensemble.module):
        # Probes that draw do so anew at each epoch, and alike in a resumed run and for
        # all replicas.
        torch.manual_seed(2_000_000_011 + epoch)
        for name in due:
            readings.keep(name, epoch, probes[name].measure(ensemble))
