"""The largest learning rate at which gradient descent on a network stays stable."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from spectral_lib.data.dataset import Dataset
from spectral_lib.training.ensemble import Ensemble, initialise
from spectral_lib.training.loop import train
from spectral_lib.training.losses import cross_entropy
from spectral_lib.training.optimizers import OptimizerSettings
from spectral_lib.training.settings import Measure, Probe, TrainSettings


def largest_stable_rates(
    build: Callable[[], nn.Module],
    data: Dataset,
    weight_decays: Sequence[float],
    seeds: Sequence[int],
    iterations: int = 120,
) -> Tensor:
    """Bisect the learning rate of full-batch gradient descent, all runs at once.

    A run is stable if the cross-entropy with ``weight_decay / 2 |w|^2`` stays below
    its initial value in the last tenth of the iterations.

    ``build`` gives a network that `torch.func.vmap` can stack, ``data`` is one batch;
    every positive weight decay is run for every seed of the initialization, and each
    bracket, at first from 0 to 2.5 / weight_decay, is halved ten times.
    Returns rates [seeds, weight_decays].

    Source: Sun et al. 2022, appendix E, Figure 6, which does not say when a run counts
    as stable.

    Raises
    ------
    ValueError
        If a weight decay is not positive.
    """
    if not all(decay > 0 for decay in weight_decays):
        raise ValueError(f"weight_decays are {weight_decays}; give positive numbers.")
    decays = torch.tensor([*weight_decays] * len(seeds), dtype=torch.float64)
    replicas = [seed for seed in seeds for _ in weight_decays]
    start = initialise(build, replicas, device=data.inputs.device)
    late = frozenset({0, *range(iterations - iterations // 10, iterations + 1)})
    probes = {"objective": Probe(_objective(data, decays), late)}
    low, high = torch.zeros_like(decays), 2.5 / decays
    for _ in range(10):
        rates = (low + high) / 2
        optimizer = OptimizerSettings(
            "sgd", learning_rate=rates.tolist(), weight_decay=decays.tolist()
        )
        settings = TrainSettings(iterations, len(data), optimizer, cross_entropy)
        values = train(start, data, settings, probes).records["objective"]["value"]
        # A comparison with nan is false: a run that overflowed is not stable.
        stable = (values[1:] < values[0]).all(0)
        low, high = torch.where(stable, rates, low), torch.where(stable, high, rates)
    return low.view(len(seeds), -1)


def _objective(data: Dataset, decays: Tensor) -> Measure:
    def measure(ensemble: Ensemble) -> dict[str, Tensor]:
        logits = ensemble.predict(data.inputs)
        targets = data.targets.expand(len(ensemble), -1)
        size = ensemble.flatten().double().square().sum(1).cpu()
        return {"value": cross_entropy(logits, targets).cpu() + decays / 2 * size}

    return measure
