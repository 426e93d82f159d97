"""Time and memory against the number of replicas.

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
from spectral_lib.training.devices import prepare

LOOP = "one after another"
STATE = "weights, gradients, two moments"
COUNTS = (1, 4, 16, 64, 256)


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


REPLICAS = Group(
    "replicas",
    "Time and memory against the number of replicas",
    "Milliseconds a step and replica, and the largest memory above that of a first "
    "small training, each in a process of its own; time against one replica after "
    "another, memory against what Adam needs in any case.",
    rows_of_replicas,
)

if __name__ == "__main__":
    REPLICAS.alone(__doc__)
