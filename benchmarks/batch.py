"""Compare a sweep with a shell loop of papermill, and time what scheduling costs.

The notebook imports torch, as every chapter does, and sleeps for a second: what differs
is everything around it, starting papermill and a kernel. The shell loop runs one point
after another, as such a loop does. Scheduling is timed without kernels: each point
returns at once, and the manifest is written as in a real sweep.

    python -m benchmarks.batch --rounds 5
"""

import itertools
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import nbformat

from benchmarks.measure import Group, Setting, by_turns
from spectral_book.pages.costs import Cost
from spectral_book.sweeps.dispatch import run_points
from spectral_book.sweeps.manifest import Outcome, open_manifest
from spectral_book.sweeps.pool import Job
from spectral_book.sweeps.run import Settings, execute_sweep, make_job, prepare
from spectral_book.sweeps.sweep import Point

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


def sweep(chapter: Path, out: Path, points: int, *, warm: bool) -> None:
    """Run a sweep, from reading its file to its last result."""
    points_of = {"chapter": chapter, "grid": {"index": range(points)}}
    summary = execute_sweep(points_of, out, Settings(warm=warm), progress=False)
    assert summary.done == points, summary


def loop(chapter: Path, out: Path, points: int) -> None:
    """Run a shell loop of papermill."""
    out.mkdir()
    program = str(Path(sys.executable).with_name("papermill"))
    words = shlex.join([program, "--no-progress-bar", str(chapter)])
    script = f"for i in $(seq {points}); do {words} {shlex.quote(str(out))}/$i.ipynb "
    script += "-p index $i || exit 1; done"
    subprocess.run(["sh", "-c", script], check=True, capture_output=True)


class Trivial:
    """An engine whose points are done at once."""

    window = 4

    def __init__(self) -> None:
        self.executor = ThreadPoolExecutor(self.window)

    def submit(self, job: Job, point: Point, *, gpu: bool) -> Future[Outcome]:
        """Return a point's outcome from another thread."""
        return self.executor.submit(Outcome, point.id, "done", 0.0, "host", job.code)

    def abort(self) -> None:
        """End the threads."""
        self.executor.shutdown()


def schedule(chapter: Path, out: Path, points: int) -> None:
    """Do all that is done for points besides running them."""
    file, made = prepare({"chapter": chapter, "grid": {"index": range(points)}})
    engine = Trivial()
    out.mkdir()
    with open_manifest(out, write=True) as manifest:
        manifest.enter(made)
        job = make_job(file, out, Settings())
        ended = sum(1 for _ in run_points(engine, job, made, manifest))
    engine.abort()
    assert ended == points


def rows(setting: Setting) -> Iterator[Cost]:
    """Rows of a sweep in new kernels, in forked ones, and of scheduling."""
    points, trivial = setting.size(4, 1), setting.size(2000, 20)
    runs = itertools.count()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        chapter = write_chapter(folder)

        def anew(way: Callable[..., None], count: int, **how: bool) -> None:
            way(chapter, folder / f"run-{next(runs)}", count, **how)

        peer = "papermill in a shell loop"
        ways = {
            "new kernels": lambda: anew(sweep, points, warm=False),
            "forked kernels": lambda: anew(sweep, points, warm=True),
            peer: lambda: anew(loop, points),
        }
        done = by_turns(ways, setting)
        for way in ("new kernels", "forked kernels"):
            what = f"A point of a second, sweep of {points}, {way}"
            yield done.row(what, peer, ours=way, per=points)
        counts = {"ours": trivial, peer: points}
        trivial_way = {"ours": lambda: anew(schedule, trivial), peer: ways[peer]}
        taken = by_turns(trivial_way, setting).divided(counts)
        what = f"Scheduling a point, one of {trivial}"
        yield taken.row(what, peer, per=1e-3, unit="ms", share=True)


GROUP = Group(
    "batch",
    "Sweeps of a chapter",
    "Seconds a point of a sweep whose notebook imports torch and sleeps for a second: "
    "as many points at a time as there are cores, against a shell loop of papermill, "
    "one point after another; so a part of the ratio is the cores. And what scheduling "
    "costs beside such a point.",
    rows,
    cpu_only=True,
)

if __name__ == "__main__":
    GROUP.alone(__doc__)
