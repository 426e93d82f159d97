"""Ways to do the same work, timed by turns, and the one table of what came out."""

import argparse
import contextlib
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from spectral_book.machine import processor
from spectral_book.pages.costs import COLUMNS, Cost, CostGroup, read_costs, write_group
from spectral_book.repository import checkout
from spectral_lib.threads import usable_cores
from spectral_lib.training.devices import device_name, prepare

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Setting:
    """Where and how often to measure.

    With ``tiny`` everything is so small that numbers mean nothing: to try the code.
    """

    device: torch.device
    rounds: int = 5
    tiny: bool = False

    def size(self, usual: int, tiny: int) -> int:
        """A size, or that of a trial."""
        return tiny if self.tiny else usual

    @property
    def on_gpu(self) -> bool:
        """Whether the device is a GPU."""
        return self.device.type == "cuda"


@dataclass(frozen=True)
class Timed:
    """Seconds of each way, one number a round, and what its warm-up returned."""

    seconds: Mapping[str, list[float]]
    results: Mapping[str, Any]

    def median(self, way: str) -> float:
        """Median seconds of a way."""
        return statistics.median(self.seconds[way])

    def ratio(self, above: str, below: str) -> tuple[float, float, float]:
        """Lowest, median and highest ratio of two ways within rounds."""
        pairs = zip(self.seconds[above], self.seconds[below], strict=True)
        ratios = [a / b for a, b in pairs]
        return min(ratios), statistics.median(ratios), max(ratios)

    def row(
        self,
        quantity: str,
        against: str,
        *,
        ours: str = "ours",
        per: float = 1.0,
        unit: str = "s",
        share: bool = False,
        gap: float | None = None,
    ) -> Cost:
        """Compare two ways; ``per`` divides the seconds (steps; 1e-3 for ms)."""
        above, below = (ours, against) if share else (against, ours)
        return Cost(
            quantity=quantity,
            unit=unit,
            ours=self.median(ours) / per,
            against=against,
            other=self.median(against) / per,
            ratio=self.ratio(above, below),
            share=share,
            gap=gap,
        )


def by_turns(ways: Mapping[str, Callable[[], Any]], setting: Setting) -> Timed:
    """Time each way in each round, one after another, after a warm-up.

    A change of the machine's speed falls on all ways of a round alike.
    """
    results = {name: way() for name, way in ways.items()}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(setting.rounds):
        for name, way in ways.items():
            seconds[name].append(seconds_of(way, setting))
    return Timed(seconds, results)


def seconds_of(way: Callable[[], Any], setting: Setting) -> float:
    """Seconds of one call, to the end of what it left to the GPU."""
    wait_for_gpu(setting)
    start = time.perf_counter()
    way()
    wait_for_gpu(setting)
    return time.perf_counter() - start


def wait_for_gpu(setting: Setting) -> None:
    """Wait until the GPU has done what it was given."""
    if setting.on_gpu:
        torch.cuda.synchronize(setting.device)


def largest_gap(ours: Tensor, other: Tensor) -> float:
    """Largest relative difference of two results of the same shape."""
    ours, other = ours.double().cpu(), other.double().cpu()
    assert ours.shape == other.shape, (ours.shape, other.shape)
    return float(((ours - other).abs() / other.abs().clamp(min=1e-12)).max())


@dataclass(frozen=True)
class Group:
    """Measurements that belong together: a module's rows.

    ``about`` says in plain words, for readers of the book, what is compared;
    ``cpu_only`` that there is nothing to measure on a GPU, ``once`` that there are no
    rounds.
    """

    name: str
    title: str
    about: str
    rows: Callable[[Setting], Iterable[Cost]]
    cpu_only: bool = False
    once: bool = False

    def measure(self, setting: Setting, file: Path | None) -> None:
        """Measure and print each row as it is there; keep the rows in a file.

        The file is written after each row, so that nothing is lost if the rest fails.
        Rows of an earlier run stay if all is the same, commit included, until they are
        measured again.
        """
        print(f"\n{self.title}", flush=True)
        setting = replace(setting, rounds=1) if self.once else setting
        made, rows = origin(setting), {}
        earlier = read_costs(file).groups.get(self.name) if file else None
        if earlier and earlier.made == made:
            rows = {(row.quantity, row.against): row for row in earlier.rows}
        for row in self.rows(setting):
            rows[row.quantity, row.against] = row
            print(_line(row.cells()), flush=True)
            if file is not None:
                group = CostGroup(
                    title=self.title,
                    about=self.about,
                    made=made,
                    rows=list(rows.values()),
                )
                write_group(file, self.name, group)


def run(groups: Iterable[Group], options: argparse.Namespace) -> None:
    """Measure groups as the options say.

    Raises
    ------
    SystemExit
        With one sentence, before anything is measured, if an option cannot be met.
    """
    if options.rounds < 1:
        raise SystemExit(f"--rounds is {options.rounds}; give at least 1.")
    os.environ.pop("SPECTRAL_CHECKPOINTS", None)
    os.environ["CI"] = os.environ.get("CI", "true")  # no progress bars
    try:
        setting = Setting(prepare(options.device), options.rounds, options.tiny)
        if options.json:
            read_costs(options.json)
    except ValueError as error:
        raise SystemExit(str(error)) from error
    print(", ".join(f"{name} {value}" for name, value in origin(setting).items()))
    print(_line(COLUMNS))
    for group in groups:
        if group.cpu_only and setting.on_gpu:
            print(f"\n{group.title}: measured on the CPU alone.")
        else:
            group.measure(setting, options.json)


def origin(setting: Setting) -> dict[str, str | int]:
    """What numbers were measured on and with."""
    made: dict[str, str | int] = {"processor": processor(), "cores": usable_cores()}
    if setting.on_gpu:
        made["GPU"] = device_name(setting.device)
    made |= {
        "threads": torch.get_num_threads(),
        "Python": platform.python_version(),
        "torch": torch.__version__,
    }
    with contextlib.suppress(PackageNotFoundError):
        made["Lightning"] = version("lightning")
    return made | {"rounds": setting.rounds, "commit": commit()}


def commit() -> str:
    """Short hash of the commit, with + where the code that was measured differs."""
    try:
        made, changed = checkout(ROOT)
    except ValueError:
        return "not under version control"
    return made[:7] + ("+" if changed else "")


def _line(cells: Iterable[str]) -> str:
    """A line of the printed table."""
    widths = (60, 10, 40, 24, 13)
    padded = (cell.ljust(n) for cell, n in zip(cells, widths, strict=True))
    return " ".join(padded).rstrip()
