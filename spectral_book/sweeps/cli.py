"""The command `spectral-batch`."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from spectral_book.readable import InputError, SweepStopped
from spectral_book.sweeps.collect import collect, status, write_table
from spectral_book.sweeps.html import write_book
from spectral_book.sweeps.page import write_page
from spectral_book.sweeps.run import checked_points, run_sweep
from spectral_book.sweeps.work import Settings
from spectral_book.sweeps.workers import load_cluster

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130

_EPILOGUE = """\
exit status: 0 all points are done, 1 some failed or the sweep broke off,
2 wrong input and nothing was started, 130 interrupted
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    options = vars(_parser().parse_args(arguments))
    command = options.pop("command")
    # A batch system ends its jobs with SIGTERM; kernels must end with us then too.
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        return command(**options) or 0
    except (InputError, SweepStopped) as error:
        print(f"spectral-batch: {error}", file=sys.stderr)
        return BAD_INPUT if isinstance(error, InputError) else FAILED
    except KeyboardInterrupt:
        print("spectral-batch: interrupted; the same command goes on", file=sys.stderr)
        return INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _run(sweep: Path, out: Path, **settings: Any) -> int:
    state = run_sweep(sweep, out, **settings)
    print(state.text())
    return FAILED if state.counts["done"] < state.counts.total() else 0


def _check(sweep: Path, **settings: Any) -> None:
    _, points = checked_points(sweep, Settings(**settings))
    print("\n".join(point.id for point in points))


def _status(out: Path) -> None:
    print(status(out).text())


def _collect(out: Path, file: Path) -> None:
    table = collect(out)
    write_table(table, file)
    print(f"{len(table)} rows in {file}")


def _page(out: Path, dir: Path | None) -> None:
    print(write_page(out, dir))


def _to_book(out: Path, dir: Path) -> None:
    print(write_book(out, dir))


def _job_script(cluster: Path) -> None:
    print(load_cluster(cluster).job().job_script())


_COMMANDS = {
    "run": (_run, "run what is missing of a sweep"),
    "check": (_check, "check a sweep and list its points"),
    "status": (_status, "how far a sweep has come"),
    "collect": (_collect, "all claims as one table, a .csv or .parquet file"),
    "page": (_page, "a Markdown page with figures; by default in OUT/page"),
    "to-book": (_to_book, "an HTML book of the run notebooks"),
    "job-script": (_job_script, "the script that a cluster file makes"),
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="spectral-batch",
        description="Run a chapter over many parameters.",
        epilog=_EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    made = {}
    for name, (command, text) in _COMMANDS.items():
        made[name] = commands.add_parser(name, help=text)
        made[name].set_defaults(command=command)
    for name in ("run", "check"):
        made[name].add_argument("sweep", type=Path, help="see book/batch.md")
        made[name].add_argument("--scheduler", default="", help="a Dask address")
        text = "a file for Slurm, PBS or their like"
        made[name].add_argument("--cluster", type=Path, help=text)
    for name in ("run", "status", "collect", "page", "to-book"):
        made[name].add_argument("out", type=Path, help="the output folder")
    made["collect"].add_argument("file", type=Path)
    made["page"].add_argument("dir", type=Path, nargs="?")
    made["to-book"].add_argument("dir", type=Path)
    made["job-script"].add_argument("cluster", type=Path)
    run = made["run"]
    run.add_argument("--jobs", type=int, default=0, help="points at a time (all cores)")
    run.add_argument("--threads", type=int, help="threads a point (1)")
    for part in ("cell", "point"):
        name, dest = f"--{part}-timeout", f"{part}_seconds"
        run.add_argument(name, dest=dest, type=float, default=0, metavar="SECONDS")
    text = "repeat points done with older code"
    run.add_argument("--rerun-stale", action="store_true", help=text)
    return parser


if __name__ == "__main__":
    sys.exit(main())
