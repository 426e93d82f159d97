"""Nothing between the start of a training and its end waits for the device.

PyTorch's device "meta" computes shapes and holds no numbers: whatever asks for one, or
copies to the CPU, raises an error. So do most operations on tensors of two devices.
"""

import pytest
import torch
from small_runs import conv, mlp

from spectral_lib.data.augmentations import crop_and_flip, cutout, mixup
from spectral_lib.data.dataset import Dataset, compose
from spectral_lib.data.decoding import Scaling
from spectral_lib.data.label_waves import Wave, smooth_labels
from spectral_lib.data.policies import auto_augment, rand_augment
from spectral_lib.models.classifiers import builder
from spectral_lib.models.resnet import ResNet, ResNetSettings
from spectral_lib.probes.accuracy import accuracy_on
from spectral_lib.probes.divergence import weights_of
from spectral_lib.probes.errors import alignment_with, error_of_sets
from spectral_lib.probes.spectra import spectra_of_set
from spectral_lib.probes.spectral_norms import spectral_norms
from spectral_lib.training.distillation import pseudolabels
from spectral_lib.training.ensemble import initialise
from spectral_lib.training.loop import Probe, TrainSettings, train
from spectral_lib.training.losses import cross_entropy, mse, nmse
from spectral_lib.training.optimizers import Optimizer, OptimizerSettings

EPOCHS, BATCH, ROWS = 2, 16, 48
STEPS = EPOCHS * (ROWS // BATCH)
SCALING = Scaling((0.5,) * 3, (0.2,) * 3)

X = torch.empty(ROWS, 20, device="meta")
LINES = Dataset(X, X)
PIXELS = torch.empty(ROWS, 3, 16, 16, device="meta")
LABELS = torch.empty(ROWS, dtype=torch.long, device="meta")
IMAGES = Dataset(PIXELS, LABELS)

ADAM = OptimizerSettings("adam", (1e-3, 1e-2))
SGD = OptimizerSettings(
    "sgd",
    (0.1, 0.2),
    momentum=(0.9, 0.8),
    weight_decay=(0, 0.1),
    nesterov=True,
    schedule="cosine",
    clip=5.0,
    milestones=(1,),
)
PERTURBED = OptimizerSettings("sgd", 0.1, 0.9, factor=(1, 3))


def resnet():
    return ResNet(ResNetSettings(1, (4, 4), 3))


@pytest.fixture
def steps_to_the_end(monkeypatch):
    """Train where there are no numbers, and count the steps until one is asked for."""
    done, step = [], Optimizer.step

    def counted(optimizer, gradient, epoch):
        done.append(gradient.device.type)
        step(optimizer, gradient, epoch)

    monkeypatch.setattr(Optimizer, "step", counted)

    def run(build, data, optimizer, loss, augment=None, probes=None, **how):
        stacked = how.pop("stacked", True)
        start = initialise(build, (1, 2), device="meta", stacked=stacked)
        settings = TrainSettings(EPOCHS, BATCH, optimizer, loss, augment, **how)
        probes = {k: Probe(m, {0, 1, EPOCHS}) for k, m in (probes or {}).items()}
        with pytest.raises(NotImplementedError, match="copy out of meta") as stopped:
            train(start, data, settings, probes)
        last = [e for e in stopped.traceback if "spectral_lib" in str(e.path)][-1]
        assert "history = " in str(last.statement), last  # the end of a run
        assert set(done) == {"meta"}
        return len(done)

    return run


@pytest.mark.parametrize("optimizer", [ADAM, SGD, PERTURBED], ids=["adam", "sgd", "k"])
@pytest.mark.parametrize(("build", "loss"), [(mlp, mse), (conv, nmse)])
def test_stacked_networks(build, loss, optimizer, steps_to_the_end):
    assert steps_to_the_end(build, LINES, optimizer, loss) == STEPS


CHANGES = {
    "crops, cutout, mixup": [crop_and_flip(2), cutout(8), mixup(1.0, 10)],
    "RandAugment": [rand_augment(SCALING)],
    "AutoAugment": [auto_augment(SCALING)],
    "waves in labels": [smooth_labels(Wave(0.5), 10)],
    "a teacher's outputs": [
        pseudolabels(initialise(resnet, (3, 4), device="meta")),
    ],
}


@pytest.mark.parametrize("changes", CHANGES)
def test_images_and_their_changes(changes, steps_to_the_end):
    augment = compose(*CHANGES[changes])
    assert steps_to_the_end(resnet, IMAGES, SGD, cross_entropy, augment) == STEPS


@pytest.mark.parametrize("network", ["cnn 4", "wrn 4", "shake 4", "pyramid 8"])
def test_classifiers_one_after_another(network, steps_to_the_end):
    build = builder(network, 3, 16, 10)
    how = {"channels_last": True, "stacked": False}
    taken = steps_to_the_end(build, IMAGES, SGD, cross_entropy, **how)
    assert taken == STEPS  # of the first replica


PROBES = {
    "errors": (conv, LINES, mse, error_of_sets({"all": LINES}, 2)),
    "alignment": (conv, LINES, mse, alignment_with(LINES)),
    "spectra": (conv, LINES, mse, spectra_of_set(LINES, 5)),
    "norms": (mlp, LINES, mse, spectral_norms),
    "weights": (conv, LINES, mse, weights_of()),
    "accuracy": (resnet, IMAGES, cross_entropy, accuracy_on(IMAGES)),
}


@pytest.mark.parametrize("probe", PROBES)
def test_probes_stay_on_the_device(probe, steps_to_the_end):
    build, data, loss, measure = PROBES[probe]
    probes = {probe: measure}
    assert steps_to_the_end(build, data, ADAM, loss, probes=probes) == STEPS


def test_asking_for_a_number_is_noticed(steps_to_the_end):
    def curious(ensemble):
        mean = ensemble.flatten().mean(1)
        return {"sign": mean if float(mean[0]) > 0 else -mean}

    with pytest.raises(RuntimeError, match=r"item\(\) cannot be called on meta"):
        steps_to_the_end(mlp, LINES, ADAM, mse, probes={"curious": curious})
