"""Time and memory against the number of replicas and the number of images.

Every number is measured in a process of its own, so that peaks of memory are its own:
on a CPU the largest resident size above that after a first small training, on a GPU
the largest sum of allocations.

    python -m benchmarks.scale --rounds 5
"""

import contextlib
import multiprocessing
import os
import resource
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks import works
from benchmarks.measure import Group, Setting, Timed, by_turns, finish, largest_gap
from spectral_book.pages.costs import Cost
from spectral_lib.data.dataset import Dataset
from spectral_lib.models.mlp import MLP
from spectral_lib.training.devices import prepare
from spectral_lib.training.ensemble import initialise
from spectral_lib.training.loop import TrainSettings, train
from spectral_lib.training.losses import cross_entropy

LOOP = "one after another"
STATE = "weights, gradients, two moments"
FLOATS = "kept as float32"
COUNTS = (1, 4, 16, 64, 256)
IMAGES = (1000, 10_000, 50_000)


def apart(task: Callable[..., Any], *arguments: Any) -> Any:
    """Result of a function of this module in a new process."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(_started, task, *arguments).result()


def _started(task: Callable[..., Any], setting: Setting, *arguments: Any) -> Any:
    os.environ["CI"] = "true"  # no progress bars
    prepare(setting.device.type)
    return task(setting, *arguments)


def peak(setting: Setting) -> int:
    """Most bytes that this process has held, on the device."""
    if setting.on_gpu:
        return torch.cuda.max_memory_allocated(setting.device)
    status = Path("/proc/self/status")
    if status.is_file():  # getrusage would count the parent's memory, before exec
        lines = status.read_text().splitlines()
        (line,) = (line for line in lines if line.startswith("VmHWM"))
        return 1024 * int(line.split()[1])
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else 1024 * largest


def forget_peak(setting: Setting) -> None:
    """Let `peak` begin anew from what is held now, where the system can."""
    if setting.on_gpu:
        torch.cuda.reset_peak_memory_stats(setting.device)
    else:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")


def extra_memory(setting: Setting, train_once: Callable[[int], object]) -> float:
    """Megabytes that a training needs above a first one of the smallest size."""
    train_once(1)
    finish(setting)
    forget_peak(setting)
    before = peak(setting)
    train_once(0)
    finish(setting)
    return (peak(setting) - before) / 1e6


def work_of(setting: Setting, kind: str) -> works.Work:
    """The networks whose number grows."""
    if kind == "mlp":
        return works.perceptron(setting)
    return works.convolution(setting, 3)


def time_of_replicas(setting: Setting, kind: str, count: int) -> tuple[Timed, float]:
    """Seconds stacked and one after another, and how far the losses are apart."""
    work, seeds = work_of(setting, kind), range(1, count + 1)
    done = by_turns(
        {
            "ours": lambda: works.ours(work, seeds, setting, stacked=True),
            LOOP: lambda: works.ours(work, seeds, setting, stacked=False),
        },
        setting,
    )
    gap = largest_gap(done.results["ours"], done.results[LOOP])
    return replace(done, results={}).divided(dict.fromkeys(done.seconds, count)), gap


def memory_of_replicas(setting: Setting, kind: str, count: int) -> float:
    """Megabytes of so many replicas, stacked."""
    work = work_of(setting, kind)

    def once(small: int) -> None:
        works.ours(work, range(1, 1 + (small or count)), setting, stacked=True)

    return extra_memory(setting, once)


def rows_of_replicas(setting: Setting) -> Iterator[Cost]:
    """Time and memory of 1 to 256 replicas."""
    for kind in ("mlp", "cnn"):
        work = work_of(setting, kind)
        for count in (1, 3) if setting.tiny else COUNTS:
            done, gap = apart(time_of_replicas, setting, kind, count)
            name = f"{count} x {work.name}, stacked"
            per = 1e-3 * work.steps
            yield done.row(name, LOOP, per=per, unit="ms", gap=gap)
        size = sum(p.nbytes for p in work.build().parameters()) / 1e6
        for count in (3, 5) if setting.tiny else COUNTS[1:]:
            megabytes = apart(memory_of_replicas, setting, kind, count)
            name = f"Memory of {count} x {work.name}, stacked"
            state = 4 * count * size
            yield memory(name, megabytes, STATE, state)


def memory(name: str, ours: float, against: str, other: float) -> Cost:
    """A row of megabytes, measured once."""
    ratio = other / ours if ours > 0 else 0.0
    return Cost(
        quantity=name,
        unit="MB",
        ours=ours,
        against=against,
        other=other,
        ratio=(ratio,) * 3,
    )


def to_floats(stored: torch.Tensor) -> torch.Tensor:
    """Bytes as numbers from 0 to 1."""
    return stored / 255


def image_set(setting: Setting, count: int, kind: str) -> Dataset:
    """Random images [count, 3, 32, 32] on the device, kept as they say."""
    g = torch.Generator().manual_seed(0)
    dtype = torch.uint8 if kind == "uint8" else torch.float32
    stored = torch.empty(count, 3, 32, 32, dtype=dtype, device=setting.device)
    labels = torch.randint(10, (count,), generator=g).to(setting.device)
    for part in stored.split(100):  # no more than a part is there twice
        drawn = torch.randint(256, part.shape, generator=g, dtype=torch.uint8)
        part.copy_(drawn if kind == "uint8" else to_floats(drawn))
    return Dataset(stored, labels, to_floats if kind == "uint8" else None)


def classifier() -> torch.nn.Module:
    """A network so small that the data are what counts."""
    return torch.nn.Sequential(torch.nn.Flatten(), MLP([3072, 32, 10]))


def train_on(setting: Setting, data: Dataset) -> torch.Tensor:
    """An epoch in batches of 100; the loss."""
    start = initialise(classifier, [1], device=setting.device)
    return train(start, data, TrainSettings(1, 100, loss=cross_entropy)).loss[-1]


def time_of_images(setting: Setting, count: int) -> tuple[Timed, float]:
    """Seconds a batch from bytes and from floats, and how far losses are apart."""
    sets = {
        way: image_set(setting, count, kind)
        for way, kind in {"ours": "uint8", FLOATS: "float32"}.items()
    }
    ways = {way: lambda d=data: train_on(setting, d) for way, data in sets.items()}
    done = by_turns(ways, setting)
    gap = largest_gap(done.results["ours"], done.results[FLOATS])
    batches = count // 100
    return replace(done, results={}).divided(dict.fromkeys(ways, batches)), gap


def memory_of_images(setting: Setting, count: int, kind: str) -> float:
    """Megabytes of an epoch on so many images, the images included."""

    def once(small: int) -> None:
        train_on(setting, image_set(setting, 100 if small else count, kind))

    return extra_memory(setting, once)


def rows_of_images(setting: Setting) -> Iterator[Cost]:
    """Time and memory of 1000 to 50 000 images."""
    for count in (200, 300) if setting.tiny else IMAGES:
        done, gap = apart(time_of_images, setting, count)
        name = f"A batch of 100 out of {count} images, kept as bytes"
        yield done.row(name, FLOATS, per=1e-3, unit="ms", gap=gap)
        ours, floats = (
            apart(memory_of_images, setting, count, kind)
            for kind in ("uint8", "float32")
        )
        yield memory(f"Memory with {count} images as bytes", ours, FLOATS, floats)


REPLICAS = Group(
    "replicas",
    "Time and memory against the number of replicas",
    "Milliseconds a step and replica, and the largest memory above that of a first "
    "small training, each in a process of its own; time against one replica after "
    "another, memory against what Adam needs in any case.",
    rows_of_replicas,
)
DATA = Group(
    "images",
    "Time and memory against the number of images",
    "Images of 3 x 32 x 32 pixels that stay on the device as bytes and become numbers "
    "batch by batch, against the same kept as float32, in time and in largest memory "
    "above that of a first small training; with a network so small that the data are "
    "what counts. Milliseconds a batch of 100.",
    rows_of_images,
)

if __name__ == "__main__":
    REPLICAS.alone(__doc__)
