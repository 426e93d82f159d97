"""Whether each chapter's choice to stack replicas, or not to, is the faster one.

Chapters are executed as they are; before each kind of training with several replicas
a part of it, some 20 steps, is timed stacked and one after another, on the chapter's
own networks and data, in seconds of the processor. A ratio below 1 is a choice that
lost.
"""

import json
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

from benchmarks.book import BOOK
from benchmarks.clock import startup_folder, when_imported
from benchmarks.measure import Group, Setting, Timed
from spectral_book.budget import Budget
from spectral_book.pages.costs import Cost
from spectral_book.runner import NotebookJob, execute_notebooks

STEPS = 20


def start(folder: str, rounds: int) -> None:
    """In a chapter's kernel: compare both ways before each new kind of training."""
    seen: set[str] = set()

    def compare_before(module: Any) -> None:
        plain = module.train

        @wraps(plain)
        def train(ensemble, data, settings, *more, **named):
            kind = signature(ensemble, data, settings)
            if len(ensemble) > 1 and kind not in seen:
                seen.add(kind)
                timing = compare(plain, ensemble, data, settings, rounds)
                timing["label"] = named.get("label", "training")
                with Path(folder, "found.jsonl").open("a", encoding="utf-8") as file:
                    file.write(json.dumps(timing) + "\n")
            return plain(ensemble, data, settings, *more, **named)

        module.train = train

    when_imported(compare_before)


def first_set(data: Any) -> Any:
    """The data set, or the first of several."""
    return data[0] if isinstance(data, (list, tuple)) else data


def signature(ensemble: Any, data: Any, settings: Any) -> str:
    """What makes a training's speed."""
    shapes = [tuple(p.shape) for p in ensemble.parameters.values()]
    some = first_set(data)
    dtype = next(iter(ensemble.parameters.values())).dtype
    network = (type(ensemble.module).__name__, shapes, dtype, ensemble.stacked)
    steps = min(STEPS, len(some) // settings.batch_size)
    how = (settings.optimizer.kind, settings.augment is None)
    return repr((*network, settings.batch_size, steps, *how))


def compare(
    train: Any, ensemble: Any, data: Any, settings: Any, rounds: int
) -> dict[str, Any]:
    """Processor seconds of a part of a training as chosen and the other way."""
    some = first_set(data)
    steps = min(STEPS, len(some) // settings.batch_size)
    rows = slice(0, steps * settings.batch_size)
    few = type(some)(some.inputs[rows], some.targets[rows])
    short = replace(settings, epochs=-(-STEPS // steps))
    other = replace(ensemble, stacked=not ensemble.stacked)
    ways = {"chosen": ensemble, "other": other}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    timing = {
        **{"replicas": len(ensemble), "stacked": ensemble.stacked, "steps": STEPS},
        "weights": sum(p[0].numel() for p in ensemble.parameters.values()),
        "batch": settings.batch_size,
    }
    try:
        for turn in range(rounds + 1):
            for way, whose in ways.items():
                start = time.process_time()
                train(whose, few, short)
                if turn:  # the first was the warm-up
                    seconds[way].append(time.process_time() - start)
    except RuntimeError as error:  # what vmap cannot do
        return {**timing, "refused": str(error).splitlines()[0]}
    return {**timing, "seconds": seconds}


def rows(setting: Setting) -> Iterator[Cost]:
    """A row for each kind of training in each chapter that can be done both ways.

    Raises
    ------
    SystemExit
        If a chapter fails.
    """
    for name in sorted(path.stem for path in BOOK.glob("*.ipynb")):
        with tempfile.TemporaryDirectory() as folder:
            call = f"choices.start({folder!r}, {setting.rounds})"
            env = os.environ | startup_folder(Path(folder, "ipython"), call)
            (done,) = execute_notebooks(
                [NotebookJob(name, BOOK / f"{name}.ipynb")],
                at_once=1,
                environment=Budget(1, 1).kernel_environment(env),
            )
            if done.failure is not None:
                raise SystemExit(done.failure.describe(name))
            found = Path(folder, "found.jsonl")
            lines = found.read_text("utf-8").splitlines() if found.is_file() else []
        for line in lines:
            timing = json.loads(line)
            what = f"{name}, {timing['label']}, {size(timing)}"
            if "refused" in timing:
                print(f"{what}: one after another; stacked: {timing['refused']}")
            else:
                yield choice(what, timing)


def size(timing: dict[str, Any]) -> str:
    """The number of weights of a network and of rows in a batch, in words."""
    return f"{timing['weights']:,} weights, batches of {timing['batch']}"


def choice(what: str, timing: dict[str, Any]) -> Cost:
    """The row of one kind of training."""
    names = ("one after another", "stacked")
    chosen, other = names[timing["stacked"]], names[not timing["stacked"]]
    seconds = timing["seconds"]
    done = Timed({"ours": seconds["chosen"], other: seconds["other"]}, {})
    per = 1e-3 * timing["replicas"] * timing["steps"]
    name = f"{what}: {timing['replicas']} replicas {chosen}"
    return done.row(name, other, per=per, unit="ms")


GROUP = Group(
    "choices",
    "Stacked or not: the chapters' choices",
    "Some 20 steps of each kind of training in the chapters that rows name, on their "
    "own networks and data: as chosen there, against the other way; milliseconds of "
    "the processor for each step and replica. A ratio below 1 is a choice that lost.",
    rows,
    cpu_only=True,
)
