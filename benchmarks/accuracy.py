"""An image classifier trained by the library and by a plain loop: speed and accuracy.

Both see the same images in the same order, cropped and mirrored at random: the library
a batch at a time, on the device, from bytes; the plain loop an image at a time, in the
workers of a DataLoader. Each round is another seed. With SPECTRAL_DATA the images are
CIFAR-10's, without it scikit-learn's digits.

    SPECTRAL_DATA=/data python -m benchmarks.accuracy --device cuda
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader

from benchmarks.measure import Group, Setting, Timed, finish, timed
from benchmarks.works import Orders
from spectral_book.budget import usable_cores
from spectral_book.claims.statistics import mean_interval
from spectral_book.pages.costs import Cost
from spectral_lib.data.augmentations import crop_and_flip
from spectral_lib.data.images import Images, load_images
from spectral_lib.models.classifiers import builder
from spectral_lib.probes.accuracy import accuracy_on
from spectral_lib.training.ensemble import Ensemble, initialise
from spectral_lib.training.loop import TrainSettings, train
from spectral_lib.training.losses import cross_entropy
from spectral_lib.training.optimizers import OptimizerSettings

RATE, MOMENTUM = 0.05, 0.9
PLAIN = "plain loop, DataLoader"


@dataclass(frozen=True)
class Case:
    """Images, the network that learns them, and for how long."""

    images: Images
    floats: Images
    network: str
    batch: int
    epochs: int

    def build(self) -> nn.Module:
        """A network as it starts."""
        size = self.images.channels, self.images.side, self.images.classes
        return builder(self.network, *size)()


@dataclass(frozen=True)
class Changed(torch.utils.data.Dataset):
    """Images that are cropped and mirrored one at a time, as they are asked for."""

    inputs: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        image = self.inputs[row]
        if torch.rand(()) < 0.5:
            image = image.flip(-1)
        side = image.shape[-1]
        padding = padding_of(side)
        top, left = torch.randint(2 * padding + 1, (2,)).tolist()
        wide = F.pad(image, [padding] * 4)
        return wide[:, top : top + side, left : left + side], self.labels[row]


def padding_of(side: int) -> int:
    """Pixels that a crop may move: the usual 4 of 32."""
    return side // 8


def case(setting: Setting) -> Case:
    """CIFAR-10 and a wide residual network on a GPU; a part and a small one without."""
    name = "cifar10" if os.environ.get("SPECTRAL_DATA") else "digits"
    size = setting.size(50_000 if setting.on_gpu else 3000, 200)
    tests = setting.size(10_000 if setting.on_gpu else 2000, 100)
    if name == "digits":
        size, tests = min(size, 1200), min(tests, 500)
    load = partial(load_images, name, size=size, test_size=tests)
    return Case(
        load(device=setting.device),
        load(),
        "wrn_32" if setting.on_gpu and not setting.tiny else "cnn 8",
        setting.size(128 if setting.on_gpu else 50, 50),
        epochs=setting.size(3 if setting.on_gpu else 8, 1),
    )


def ours(of: Case, seed: int, setting: Setting, **how: Any) -> Ensemble:
    """Train with the library's loop."""
    start = initialise(of.build, [seed], device=setting.device)
    optimizer = OptimizerSettings("sgd", RATE, MOMENTUM)
    changes = crop_and_flip(padding_of(of.images.side))
    settings = TrainSettings(
        of.epochs, of.batch, optimizer, cross_entropy, changes, **how
    )
    return train(start, of.images.train, settings).ensemble


def plain(of: Case, seed: int, setting: Setting) -> Ensemble:
    """Train as in a tutorial."""
    torch.manual_seed(seed)
    net = of.build().to(setting.device)
    optimizer = torch.optim.SGD(net.parameters(), lr=RATE, momentum=MOMENTUM)
    data = Changed(of.floats.train.inputs, of.floats.train.targets)
    batches = DataLoader(
        data,
        of.batch,
        sampler=Orders(len(data), seed),
        drop_last=True,
        num_workers=min(8, usable_cores()) if setting.on_gpu else 0,
        pin_memory=setting.on_gpu,
        persistent_workers=setting.on_gpu,
    )
    for _ in range(of.epochs):
        for inputs, targets in batches:
            inputs, targets = inputs.to(setting.device), targets.to(setting.device)
            optimizer.zero_grad()
            F.cross_entropy(net(inputs), targets).backward()
            optimizer.step()
    return Ensemble.of(net)


def rows(setting: Setting) -> Iterator[Cost]:
    """Time and accuracy of each way of the library against the plain loop."""
    of = case(setting)
    ways = {"float32": partial(ours, of)}
    if setting.on_gpu:
        fast = {"precision": "bf16", "channels_last": True}
        ways["bf16, channels last"] = partial(ours, of, **fast)
    ways[PLAIN] = partial(plain, of)
    grade = accuracy_on(of.images.test)
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    right: dict[str, list[float]] = {way: [] for way in ways}
    for seed in range(setting.rounds + 1):
        for way, run in ways.items():
            took, trained = timed(lambda r=run, s=seed: r(s, setting), setting)
            if seed:  # the first was the warm-up
                seconds[way].append(took)
                right[way].append(float(grade(trained)["accuracy"][0]))
            finish(setting)
    data = "CIFAR-10" if of.images.channels == 3 else "digits"
    count = len(of.images.train)
    for way in list(ways)[:-1]:
        name = f"{of.network} on {count} images of {data}, {way}"
        per = 1e-3 * of.epochs * count / 1000
        yield Timed(seconds, {}, {}).row(
            f"1000 images: {name}", PLAIN, ours=way, per=per, unit="ms"
        )
        yield accuracy(f"Accuracy ({of.epochs} epochs): {name}", right, way)


def accuracy(name: str, right: dict[str, list[float]], way: str) -> Cost:
    """The row of accuracies [seeds] in percent, ours as a share of the plain loop's."""
    done = Timed(right, {}, {}).row(name, PLAIN, ours=way, unit="%", share=True)
    apart = torch.tensor(right[way]) - torch.tensor(right[PLAIN])
    if len(apart) < 3:
        return done
    mean, low, high = mean_interval(apart)
    interval = f"95\u00a0% interval {low:+.1f} to {high:+.1f}"
    note = f"mean difference {mean:+.1f} points, {interval}".replace("-", "−")
    return done.model_copy(update={"note": note})


GROUP = Group(
    "accuracy",
    "An image classifier: time, and what it gets right",
    "The same network, images, order and number of epochs, with random crops and "
    "mirroring: by the library, whose images stay on the device and are "
    "changed there a batch at a time, and by a plain loop over a DataLoader, which "
    "changes one at a time (in up to eight worker processes if there is a GPU). Each "
    "round is a seed, the same for both; crops are drawn apart.",
    rows,
)

if __name__ == "__main__":
    GROUP.alone(__doc__)
