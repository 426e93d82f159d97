"""What a training is given besides network and data: settings and probes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from torch import Tensor

from spectral_lib.data.dataset import Augment
from spectral_lib.training.devices import Precision
from spectral_lib.training.ensemble import Ensemble
from spectral_lib.training.losses import Loss, mse
from spectral_lib.training.optimizers import OptimizerSettings

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


@dataclass(frozen=True)
class TrainSettings:
    """How long, how and with which optimizer an ensemble is trained.

    Attributes
    ----------
    epochs, batch_size
        Passes over the data, and examples of each step.
    optimizer, loss
        What is minimised, and how.
    augment
        Changes inputs and targets [R, batch, ...] at random, drawing for each replica
        from its own generator, the one that also orders its data.
    precision
        Of the network's arithmetic (`devices.Precision`); probes always measure in
        float32.
    channels_last
        Lay out images [batch, channels, side, side], and the weights that convolve
        them, with channels last in memory, which convolutions are made for. Changes
        how sums are rounded. For replicas that pass by themselves.
    replicas_at_once
        Replicas of a stacked ensemble that train at once, one group after another;
        None for all. Each replica sees the same data in the same order and ends as in
        one group, but for rounding; only networks that draw (dropout) draw other
        numbers. `memory.replicas_that_fit` proposes a number.

    Raises
    ------
    ValueError
        If epochs is negative, or batch_size or replicas_at_once less than 1.
    """

    epochs: int
    batch_size: int
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    loss: Loss = mse
    augment: Augment | None = None
    precision: Precision = "float32"
    channels_last: bool = False
    replicas_at_once: int | None = None

    def __post_init__(self) -> None:
        if self.epochs < 0:
            raise ValueError(f"epochs is {self.epochs}; it must be >= 0.")
        if self.batch_size < 1:
            raise ValueError(f"batch_size is {self.batch_size}; it must be >= 1.")
        if self.replicas_at_once is not None and self.replicas_at_once < 1:
            raise ValueError(
                f"replicas_at_once is {self.replicas_at_once}; give 1 or more, or None "
                "for all."
            )

    def portion(self, which: slice) -> "TrainSettings":
        """Settings of some replicas, which train at once."""
        optimizer = self.optimizer.portion(which)
        return replace(self, optimizer=optimizer, replicas_at_once=None)
