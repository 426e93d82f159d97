"""The command `spectral-batch`."""

import argparse
import shlex
import signal
import sys
from collections.abc import Sequence
from json import dumps
from pathlib import Path
from types import FrameType
from typing import Any

from spectral_book import __version__
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
    if state.counts["done"] < state.counts.total():
        print(f"the notebooks are in {out / 'points'}; the same command runs the rest")
        return FAILED
    name = shlex.quote(str(out))
    print(f"the results are in {out}; next: spectral-batch page {name}")
    return 0


def _check(sweep: Path, **settings: Any) -> None:
    _, points = checked_points(sweep, Settings(**settings))
    print("\n".join(point.id for point in points))
    print(f"{len(points)} points can run")


def _status(out: Path, json: bool) -> None:
    state = status(out)
    print(dumps(vars(state), indent=1) if json else state.text())


def _collect(out: Path, file: Path, json: bool) -> None:
    table = collect(out)
    write_table(table, file)
    said = {"rows": len(table), "file": str(file)}
    print(dumps(said) if json else f"{len(table)} rows in {file}")


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
    "collect": (_collect, "all claims as one table: .csv, .parquet or .nc"),
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
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    made = {}
    for name, (command, text) in _COMMANDS.items():
        made[name] = commands.add_parser(name, help=text, description=text)
        made[name].set_defaults(command=command)

    def argument(commands: str, name: str, text: str, **more: Any) -> None:
        for command in commands.split():
            made[command].add_argument(name, help=text, **more)

    argument("run check", "sweep", "the sweep file, see book/batch.md", type=Path)
    argument("run status collect page to-book", "out", "the output folder", type=Path)
    argument("collect", "file", "the table: .csv, .parquet or .nc", type=Path)
    argument("page", "dir", "where to write it (OUT/page)", type=Path, nargs="?")
    argument("to-book", "dir", "where to write it, a new folder", type=Path)
    argument("job-script", "cluster", "the cluster file", type=Path)
    text = "of a Dask scheduler, such as tcp://10.0.0.1:8786"
    argument("run check", "--scheduler", text, default="", metavar="ADDRESS")
    text = "a cluster file, for Slurm, PBS or their like"
    argument("run check", "--cluster", text, type=Path, metavar="FILE")
    argument("run", "--jobs", "points at a time (all cores)", type=int, default=0)
    argument("run", "--threads", "threads a point (1)", type=int)
    for part in ("cell", "point"):
        more = {"type": float, "default": 0, "metavar": "SECONDS"}
        text = f"how long a {part} may take (no limit)"
        argument("run", f"--{part}-timeout", text, dest=f"{part}_seconds", **more)
    text = "repeat points done with older code"
    argument("run", "--rerun-stale", text, action="store_true")
    argument("status collect", "--json", "say it as JSON", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
