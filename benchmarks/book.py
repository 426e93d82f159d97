"""Where the time of a build goes: kernels, imports, training, the rest, Sphinx.

The chapters are executed by the real build, one after another and on one thread, into
a folder of its own; each kernel keeps a clock (`benchmarks/clock.py`). Rows are kept as
chapters end.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.clock import startup_folder
from benchmarks.measure import ROOT, Group, Setting
from spectral_book.claims.numbers import number
from spectral_book.pages.costs import Cost

WORK = ("training", "other cells")
DONE = re.compile(r"^\s+(\S+): (done|FAILED), ([\d.]+) s")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
BOOK = ROOT / "book"


def chapter_row(name: str, seconds: float, parts: Mapping[str, float]) -> Cost:
    """A chapter's whole time over that of its training and computing."""
    work = sum(parts[kind] for kind in WORK)
    parts = {**parts, "the kernel's end": seconds - sum(parts.values())}
    long = {kind: s for kind, s in parts.items() if abs(s) >= 0.05}
    return Cost(
        quantity=name,
        unit="s",
        ours=seconds,
        against="training and other cells",
        other=work,
        ratio=(seconds / work,) * 3,
        share=True,
        note=", ".join(f"{kind} {number(s)} s" for kind, s in long.items()),
    )


def clocks(folder: Path) -> dict[str, dict[str, float]]:
    """What the clocks say, by chapter."""
    found = {}
    for path in sorted(folder.glob("*.json"), key=lambda p: p.stat().st_mtime):
        state = json.loads(path.read_text("utf-8"))
        name = state.pop("chapter")
        kinds = ("kernel", "imports", "between cells", *WORK)
        found[str(name)] = {kind: state.get(kind, 0.0) for kind in kinds}
    return found


def rows_of_build(setting: Setting, book: Path = BOOK) -> Iterator[Cost]:
    """The rows of all chapters as they end, and those of the whole build.

    Raises
    ------
    SystemExit
        If the build fails.
    """
    program = str(Path(sys.executable).with_name("jupyter-book"))
    spent, log = {}, []
    with tempfile.TemporaryDirectory() as folder:
        start = startup_folder(Path(folder, "ipython"), f"clock.start({folder!r})")
        threads = {"SPECTRAL_JOBS": "1", "SPECTRAL_THREADS": "1"}
        began = time.perf_counter()
        with subprocess.Popen(
            [program, "build", str(book), "--path-output", folder],
            env=os.environ | start | threads,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        ) as build:
            for line in build.stdout or ():
                log.append(COLOUR.sub("", line))
                if ended := DONE.match(log[-1]):
                    name, how, seconds = ended.groups()
                    spent[name] = float(seconds)
                    parts = clocks(Path(folder)).get(name)
                    if how == "done" and parts:
                        yield chapter_row(name, spent[name], parts)
        total = time.perf_counter() - began
        if build.returncode:
            raise SystemExit("the build failed:\n" + "".join(log[-40:]))
        kinds = [parts for name, parts in clocks(Path(folder)).items() if name in spent]
    yield from rows_of_whole(total, spent, kinds)


def rows_of_whole(
    total: float, spent: Mapping[str, float], kinds: list[dict[str, float]]
) -> Iterator[Cost]:
    """The build over its chapters' training and computing, and its parts."""
    work = sum(parts[kind] for parts in kinds for kind in WORK)
    name = "Whole build, one chapter at a time"
    yield part(name, total, "training and other cells", work)
    for kind in kinds[0] if kinds else ():
        seconds = sum(parts[kind] for parts in kinds)
        yield part(f"Whole build: {kind}", seconds, "the whole build", total)
    ends = sum(spent.values()) - sum(sum(parts.values()) for parts in kinds)
    yield part("Whole build: ends of kernels", max(0.0, ends), "the whole build", total)
    sphinx = total - sum(spent.values())
    yield part("Whole build: Sphinx and pages", sphinx, "the whole build", total)


def part(name: str, seconds: float, against: str, other: float) -> Cost:
    """A row of seconds, measured once."""
    return Cost(
        quantity=name,
        unit="s",
        ours=seconds,
        against=against,
        other=other,
        ratio=(seconds / other,) * 3,
        share=True,
    )


GROUP = Group(
    "book",
    "A build of this book",
    "Seconds of each chapter, from the start of its kernel to its end, over the "
    "seconds of its training and its other cells (probes, theory, figures); then the "
    "whole build with Sphinx. One thread, measured once.",
    rows_of_build,
    cpu_only=True,
    once=True,
)
