"""A sweep against a shell loop of papermill.

The notebook imports torch, as every chapter does, and sleeps for a second: what differs
is everything around it, starting papermill and a kernel. The shell loop runs one point
after another, as such a loop does.
"""

import itertools
import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat

from benchmarks.measure import ROOT, Group, Setting, by_turns
from spectral_book.pages.costs import Cost

SLEEP = "import time\ntime.sleep(1)\nprint(index)"


def write_chapter(folder: Path) -> Path:
    """Write a notebook that imports torch and sleeps for a second."""
    cells = [
        nbformat.v4.new_code_cell("index: int = 0", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell("import torch"),
        nbformat.v4.new_code_cell(SLEEP),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path = folder / "sleep.ipynb"
    nbformat.write(
        nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path
    )
    return path


def sweep(chapter: Path, out: Path, points: int) -> None:
    """Run a sweep by its command."""
    file = out.with_suffix(".yaml")  # JSON is YAML
    grid = {"index": list(range(points))}
    file.write_text(json.dumps({"chapter": str(chapter), "grid": grid}), "utf-8")
    command = [sys.executable, "-m", "spectral_book.sweeps.cli", "run", file, out]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)


def loop(chapter: Path, out: Path, points: int) -> None:
    """Run a shell loop of papermill."""
    out.mkdir()
    program = str(Path(sys.executable).with_name("papermill"))
    words = shlex.join([program, "--no-progress-bar", str(chapter)])
    script = f"for i in $(seq {points}); do {words} {shlex.quote(str(out))}/$i.ipynb "
    script += "-p index $i || exit 1; done"
    subprocess.run(["sh", "-c", script], check=True, capture_output=True)


def rows(setting: Setting) -> Iterator[Cost]:
    """The row of a sweep, each run in a folder of its own."""
    points, runs = setting.size(4, 1), itertools.count()
    peer = "papermill in a shell loop"
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        chapter = write_chapter(Path(name))

        def anew(way: Callable[[Path, Path, int], None]) -> None:
            way(chapter, Path(name, f"run-{next(runs)}"), points)

        done = by_turns(
            {"ours": lambda: anew(sweep), peer: lambda: anew(loop)}, setting
        )
        yield done.row(f"A point of a second, sweep of {points}", peer, per=points)


GROUP = Group(
    "batch",
    "Sweeps of a chapter",
    "Seconds a point of a sweep whose notebook imports torch and sleeps for a second: "
    "as many points at a time as there are cores, against a shell loop of papermill, "
    "one point after another; so a part of the ratio is the cores.",
    rows,
    cpu_only=True,
)
