"""What checkpoints cost: seconds of a save, and training with them over without.

*Bare* is `torch.save` of the same state without hash, atomic replacement and waiting
for the disk. The same training runs without a checkpoint, with one at the default
interval (whose start and end are all there is to it in a run this short), with a save
after every epoch, and once more when it is finished. SPECTRAL_BENCHMARKS names a folder
of the disk to measure.

    python -m benchmarks.checkpoints --rounds 5
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from benchmarks.measure import Group, Setting, by_turns, largest_gap
from spectral_book.pages.costs import Cost
from spectral_lib.data.dataset import Dataset
from spectral_lib.models.mlp import MLP
from spectral_lib.models.resnet import ResNet, resnet18
from spectral_lib.training.checkpoints import Checkpoint, CheckpointFile
from spectral_lib.training.ensemble import Ensemble, initialise
from spectral_lib.training.loop import Run, TrainSettings, train
from spectral_lib.training.losses import cross_entropy
from spectral_lib.training.optimizers import Optimizer, OptimizerSettings


@dataclass(frozen=True)
class Work:
    """Networks and what they are trained on."""

    name: str
    build: Callable[[], nn.Module]
    replicas: int
    data: Dataset
    epochs: int
    batch: int


def works(setting: Setting) -> list[Work]:
    """A small stacked ensemble and one network of 11 million weights."""
    g = torch.Generator().manual_seed(0)

    def images(rows: int, *shape: int) -> Dataset:
        x = torch.randn(rows, *shape, generator=g)
        return Dataset(x, torch.randint(10, (rows,), generator=g))

    epochs = setting.size(40, 2)
    small = Work(
        "8 x MLP 64-100-10", lambda: MLP([64, 100, 10]), 8, images(1280, 64), epochs, 64
    )
    if setting.tiny:
        return [small]
    large = images(32, 3, 32, 32)
    return [small, Work("ResNet18", lambda: ResNet(resnet18()), 1, large, 2, 16)]


def state_of(ensemble: Ensemble) -> dict[str, object]:
    """The state of a run in the middle, with both moments of Adam."""
    weights = ensemble.flatten().detach()
    optimizer = Optimizer(weights, OptimizerSettings("adam"), 1)
    optimizer.step(torch.randn_like(weights), 1)
    orders = [torch.Generator().get_state() for _ in ensemble.seeds]
    return {
        "epoch": 1,
        "epochs": 2,
        "weights": weights,
        "buffers": ensemble.buffers,
        "moments": optimizer.moments,
        "orders": orders,
    }


def one_save(work: Work, folder: Path, setting: Setting) -> Iterator[Cost]:
    """A save and a load, and the share of the time that saves take."""
    state = state_of(
        initialise(work.build, range(work.replicas), device=setting.device)
    )
    settings = Checkpoint(folder / "save.pt")
    file = CheckpointFile(Path(settings.path), settings.seconds, {})
    bare, bare_load = "torch.save alone", "torch.load alone"
    torch.save(state, folder / "bare.pt")
    done = by_turns(
        {
            "save": lambda: file.save(state),
            bare: lambda: torch.save(state, folder / "bare.pt"),
            "load": file.load,
            bare_load: lambda: torch.load(folder / "bare.pt", weights_only=True),
        },
        setting,
    )
    size = file.path.stat().st_size / 1e6
    what = f"of a checkpoint of {size:.1f} MB, {work.name}"
    yield done.row(f"Save {what}", bare, ours="save", per=1e-3, unit="ms")
    yield done.row(f"Load {what}", bare_load, ours="load", per=1e-3, unit="ms")
    save = done.median("save")
    yield Cost(
        quantity=f"A save of {work.name}",
        unit="s",
        ours=save,
        against="shortest time from save to save",
        other=save + settings.seconds,
        ratio=(save / (save + settings.seconds),) * 3,
        share=True,
    )


def training(work: Work, folder: Path, setting: Setting) -> Iterator[Cost]:
    """Training with checkpoints over training without."""
    device = setting.device
    start = initialise(work.build, range(work.replicas), device=device)
    data = Dataset(work.data.inputs.to(device), work.data.targets.to(device))
    how = TrainSettings(
        work.epochs, work.batch, OptimizerSettings("adam"), cross_entropy
    )

    def run(checkpoint: Checkpoint | None) -> Run:
        return train(start, data, how, checkpoint=checkpoint)

    def anew(name: str, **often: float) -> Callable[[], Run]:
        def go() -> Run:
            for file in folder.glob(f"{name}*"):
                file.unlink()
            return run(Checkpoint(folder / name, **often))

        return go

    ways = {
        "without": lambda: run(None),
        "with a checkpoint": anew("default.pt"),
        "with a save every epoch": anew("every.pt", seconds=0),
        "again, from its file": lambda: run(Checkpoint(folder / "default.pt")),
    }
    done = by_turns(ways, setting)
    for way in list(ways)[1:]:
        gap = largest_gap(done.results[way].loss, done.results["without"].loss)
        what = f"{work.epochs} epochs of {work.name} {way}"
        yield done.row(what, "without", ours=way, share=True, gap=gap)


def rows(setting: Setting) -> Iterator[Cost]:
    """The rows of all networks."""
    where = os.environ.get("SPECTRAL_BENCHMARKS")
    with tempfile.TemporaryDirectory(dir=where) as name:
        for work in works(setting):
            yield from one_save(work, Path(name), setting)
            yield from training(work, Path(name), setting)


GROUP = Group(
    "checkpoints",
    "Checkpoints",
    "A save and a load of a run with Adam's moments against PyTorch's own, without "
    "hash, atomic replacement and waiting for the disk; the time of a save over the "
    "shortest one between two; then the same training with checkpoints over training "
    "without.",
    rows,
)

if __name__ == "__main__":
    GROUP.alone(__doc__)
