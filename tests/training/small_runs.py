"""Small networks and runs to be disturbed, and what shows that they ended the same."""

from contextlib import contextmanager

import pytest
import torch
from torch import nn

from spectral_lib.data.augmentations import crop_and_flip
from spectral_lib.data.dataset import Dataset
from spectral_lib.models.conv1d import ConvNet1d, ConvSettings
from spectral_lib.models.mlp import MLP
from spectral_lib.training.checkpoints import Checkpoint
from spectral_lib.training.ensemble import initialise
from spectral_lib.training.loop import Probe, TrainSettings, every, train
from spectral_lib.training.losses import cross_entropy
from spectral_lib.training.optimizers import Optimizer, OptimizerSettings

EPOCHS, BATCH, ROWS, SIDE = 12, 10, 43, 6
STEPS = ROWS // BATCH


X = torch.randn(48, 20, generator=torch.Generator().manual_seed(0))
LINES = Dataset(X, X.roll(1, 1))


def mlp():
    return MLP([20, 9, 20])


def conv(form="direct"):
    return ConvNet1d(ConvSettings(kernel_size=5, layers=3, channels=4), form)


def dropout_net(share=0.3):
    layers = nn.Linear(SIDE**2, 12), nn.ReLU(), nn.Dropout(share), nn.Linear(12, 4)
    return nn.Sequential(nn.Flatten(), *layers)


def batch_norm_net():
    layers = nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten()
    return nn.Sequential(*layers, nn.Dropout(0.2), nn.Linear(3 * (SIDE - 2) ** 2, 4))


def images(seed=0):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(ROWS, 1, SIDE, SIDE, generator=g)
    return Dataset(x, torch.randint(4, (ROWS,), generator=g))


def outputs_on(data):
    def measure(ensemble):
        torch.rand(2)
        return {"logits": ensemble.predict(data.inputs)[:, :5], "first": look(ensemble)}

    return measure


def look(ensemble):
    return next(iter(ensemble.parameters.values()))[:, 0]  # a view of the weights


MOMENTUM = OptimizerSettings("sgd", (0.05, 0.1), momentum=0.9, milestones=(5,))
NESTEROV = OptimizerSettings("sgd", 0.05, momentum=0.9, nesterov=True, clip=1.0)
COSINE = OptimizerSettings("adam", (1e-3, 1e-2, 3e-3), schedule="cosine")
HUGE = OptimizerSettings("sgd", (1e-3, 1e30), momentum=0.5)

CASES = {  # network, seeds, stacked, optimizer, augmentation
    "momentum, dropout, in turn": (dropout_net, (1, 2), False, MOMENTUM, True),
    "adam, cosine, dropout, stacked": (dropout_net, (1, 2, 1), True, COSINE, True),
    "batch norm, nesterov, in turn": (batch_norm_net, (3, 4), False, NESTEROV, True),
    "diverging, stacked": (dropout_net, (1, 2), True, HUGE, False),
}


def arguments(case):
    build, seeds, stacked, optimizer, augmented = CASES[case]
    data = images()
    augment = crop_and_flip(1) if augmented else None
    how = TrainSettings(EPOCHS, BATCH, optimizer, cross_entropy, augment)
    measure = outputs_on(images(1))
    probes = {"all": Probe(measure, every(EPOCHS)), "few": Probe(measure, every(9, 4))}
    return initialise(build, seeds, stacked=stacked), data, how, probes


def at_each_epoch(path):
    return Checkpoint(path, seconds=0)


def run_case(case, path=None):
    return train(*arguments(case), checkpoint=path and at_each_epoch(path))


def assert_equal(first, second):
    """Bitwise, where nan equals nan."""
    pairs = [(first.loss, second.loss), (first.diverged_at, second.diverged_at)]
    for kind in ("parameters", "buffers"):
        ours, theirs = getattr(first.ensemble, kind), getattr(second.ensemble, kind)
        assert ours.keys() == theirs.keys()
        pairs += [(ours[name], theirs[name]) for name in ours]
    assert first.records.keys() == second.records.keys()
    for name, record in first.records.items():
        other = second.records[name]
        assert record.values.keys() == other.values.keys()
        pairs.append((record.epochs, other.epochs))
        pairs += [(record[key], other[key]) for key in record.values]
    assert first.ensemble.seeds == second.ensemble.seeds
    for a, b in pairs:
        assert a.dtype == b.dtype
        assert a.shape == b.shape
        assert torch.equal(a.isnan(), b.isnan())
        assert torch.equal(a.nan_to_num(0), b.nan_to_num(0))


class Interrupted(Exception):
    """What stands for a kill inside this process."""


@contextmanager
def counted(monkeypatch, stop=None):
    """Count optimizer steps, and interrupt before step ``stop``."""
    taken = []
    plain = Optimizer.step

    def step(self, *args):
        if len(taken) == stop:
            raise Interrupted
        taken.append(self.steps)
        plain(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Optimizer, "step", step)
        yield taken


def interrupt(monkeypatch, stop, case, path):
    with counted(monkeypatch, stop), pytest.raises(Interrupted):
        run_case(case, path)
