"""Compare a sweep with a shell loop of papermill, and time what scheduling costs.

The notebook sleeps for a second, so what differs is everything around it: starting
papermill, a kernel, imports. The shell loop runs one point after another, as such a
loop does; with `--torch` the notebook imports torch first, as every chapter does. The
two ways take turns within each round. Scheduling is timed without kernels: each point
returns at once, and the manifest is written as in a real sweep.

    python benchmarks/batch.py --points 200 --rounds 3 --torch --json out.json
"""

import argparse
import json
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import nbformat

from spectral_lib.batch.dispatch import run_points
from spectral_lib.batch.manifest import Outcome, open_manifest
from spectral_lib.batch.pool import Job
from spectral_lib.batch.run import Settings, execute_sweep, make_job, prepare
from spectral_lib.batch.sweep import Point
from spectral_lib.book.budget import usable_cores

SLEEP = "import time\ntime.sleep(1)\nprint(index)"


def write_chapter(folder: Path, first: str) -> Path:
    """Write a notebook that sleeps for a second, after a first line of code."""
    cells = [
        nbformat.v4.new_code_cell("index: int = 0", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(first),
        nbformat.v4.new_code_cell(SLEEP),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path = folder / "sleep.ipynb"
    nbformat.write(
        nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path
    )
    return path


def seconds_of_sweep(chapter: Path, out: Path, points: int, *, warm: bool) -> float:
    """Time a sweep, from reading its file to its last result."""
    start = time.perf_counter()
    sweep = {"chapter": chapter, "grid": {"index": range(points)}}
    summary = execute_sweep(sweep, out, Settings(warm=warm), progress=False)
    assert summary.done == points, summary
    return time.perf_counter() - start


def seconds_of_loop(chapter: Path, out: Path, points: int) -> float:
    """Time a shell loop of papermill."""
    out.mkdir()
    program = str(Path(sys.executable).with_name("papermill"))
    words = shlex.join([program, "--no-progress-bar", str(chapter)])
    loop = f"for i in $(seq {points}); do {words} {shlex.quote(str(out))}/$i.ipynb "
    loop += "-p index $i || exit 1; done"
    start = time.perf_counter()
    subprocess.run(["sh", "-c", loop], check=True, capture_output=True)
    return time.perf_counter() - start


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


def milliseconds_of_scheduling(chapter: Path, out: Path, points: int) -> float:
    """Time all that is done for a point besides running it, per point."""
    start = time.perf_counter()
    file, made = prepare({"chapter": chapter, "grid": {"index": range(points)}})
    engine = Trivial()
    out.mkdir()
    with open_manifest(out, write=True) as manifest:
        manifest.enter(made)
        job = make_job(file, out, Settings())
        ended = sum(1 for _ in run_points(engine, job, made, manifest))
    engine.abort()
    assert ended == points
    return 1e3 * (time.perf_counter() - start) / points


def main() -> None:
    """Parse arguments, run, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--points", type=int, default=12, help="of a second each")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--torch", action="store_true", help="import torch first")
    parser.add_argument("--trivial", type=int, default=2000, help="points of no time")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    if min(options.points, options.rounds, options.trivial) < 1:
        parser.error("--points, --rounds and --trivial must be at least 1.")
    rows = {"loop": [], "cold": [], "warm": []}
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        chapter = write_chapter(folder, "import torch" if options.torch else "")
        print(f"{options.points} points of 1 s, {usable_cores()} cores")
        for turn in range(options.rounds):
            n, where = options.points, folder / str(turn)
            where.mkdir()
            rows["loop"].append(seconds_of_loop(chapter, where / "loop", n))
            for way in ("cold", "warm"):
                warm = way == "warm"
                taken = seconds_of_sweep(chapter, where / way, n, warm=warm)
                rows[way].append(taken)
        print(f"{'way':<22}{'s':>8}{'s a point':>11}{'ratio':>8}")
        titles = {
            "loop": "papermill in a loop",
            "cold": "sweep, new kernels",
            "warm": "sweep, forked kernels",
        }
        loop = statistics.median(rows["loop"])
        for way, taken in rows.items():
            middle = statistics.median(taken)
            print(
                f"{titles[way]:<22}{middle:>8.1f}{middle / options.points:>11.2f}"
                f"{loop / middle:>8.1f}"
            )
        spent = milliseconds_of_scheduling(chapter, folder / "trivial", options.trivial)
        print(f"scheduling: {spent:.2f} ms a point, {options.trivial} trivial points")
    if options.json:
        found = {"seconds": rows, "points": options.points, "scheduling_ms": spent}
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
