"""The command `spectral-batch`."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from spectral_book.sweeps.errors import EngineLost, StorageError, SweepError
from spectral_book.sweeps.manifest import Outcome

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130

_EPILOGUE = """\
exit status: 0 all points are done, 1 some failed or the sweep broke off,
2 wrong input and nothing was started, 130 interrupted
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    # A batch system ends its jobs with SIGTERM; kernels must end with us then too.
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        return command(options)
    except SweepError as error:
        print(f"spectral-batch: {error}", file=sys.stderr)
        return BAD_INPUT
    except (StorageError, EngineLost) as error:
        print(f"spectral-batch: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("spectral-batch: interrupted; the same command goes on", file=sys.stderr)
        return INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="spectral-batch",
        description="Run a chapter over many parameters with papermill.",
        epilog=_EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="run what is missing of a sweep")
    run.add_argument("sweep", type=Path, help="a sweep file, see book/batch.md")
    run.add_argument("out", type=Path, help="the output folder")
    run.add_argument("--jobs", type=int, default=0, help="points at a time (all cores)")
    run.add_argument("--threads", type=int, default=0, help="threads a point (1)")
    _add_places(run)
    run.add_argument("--cell-timeout", type=float, default=0, metavar="SECONDS")
    run.add_argument("--point-timeout", type=float, default=0, metavar="SECONDS")
    run.add_argument("--cold", action="store_true", help="start each kernel anew")
    run.add_argument(
        "--rerun-stale", action="store_true", help="repeat points done with older code"
    )
    run.add_argument("--to-book", type=Path, metavar="DIR", help="then build a book")
    run.set_defaults(command=_run)

    check = commands.add_parser("check", help="check a sweep and list its points")
    check.add_argument("sweep", type=Path)
    _add_places(check)
    check.set_defaults(command=_check)

    state = commands.add_parser("status", help="how far a sweep has come")
    state.add_argument("out", type=Path)
    state.set_defaults(command=_status)

    table = commands.add_parser("collect", help="all claims as one table")
    table.add_argument("out", type=Path)
    table.add_argument("file", type=Path, help="a .csv or .parquet file to write")
    table.set_defaults(command=_collect)

    page = commands.add_parser("page", help="a Markdown page with figures")
    page.add_argument("out", type=Path)
    page.add_argument("dir", type=Path, nargs="?", help="default: OUT/page")
    page.set_defaults(command=_page)

    book = commands.add_parser("to-book", help="an HTML book of the run notebooks")
    book.add_argument("out", type=Path)
    book.add_argument("dir", type=Path)
    book.set_defaults(command=_to_book)

    script = commands.add_parser("job-script", help="the script a cluster file makes")
    script.add_argument("cluster", type=Path)
    script.set_defaults(command=_job_script)
    return parser


def _add_places(parser: argparse.ArgumentParser) -> None:
    """Add where points run, if not on this machine."""
    parser.add_argument("--scheduler", default="", help="address of a Dask scheduler")
    text = "a cluster file: Slurm, PBS or SGE"
    parser.add_argument("--cluster", type=Path, help=text)


def _run(options: argparse.Namespace) -> int:
    from spectral_book.sweeps.run import Settings, execute_sweep

    if options.to_book is not None:
        from spectral_book.sweeps.html import check_target

        check_target(options.to_book, options.out)
    settings = Settings(
        jobs=options.jobs,
        threads=options.threads,
        scheduler=options.scheduler,
        cluster=options.cluster,
        cell_seconds=options.cell_timeout,
        point_seconds=options.point_timeout,
        warm=not options.cold,
        rerun_stale=options.rerun_stale,
    )

    def tell(outcome: Outcome) -> None:
        if outcome.state == "failed":
            where = f"cell {outcome.cell}" if outcome.cell else "outside of its cells"
            print(
                f"failed: {outcome.id}, {where}: {outcome.error}",
                file=sys.stderr,
                flush=True,
            )

    summary = execute_sweep(options.sweep, options.out, settings, on_outcome=tell)
    print(summary.line())
    if options.to_book is not None and summary.done:
        _to_book(argparse.Namespace(out=options.out, dir=options.to_book))
    return FAILED if summary.done < summary.total else 0


def _check(options: argparse.Namespace) -> int:
    from spectral_book.sweeps.cluster import load_cluster
    from spectral_book.sweeps.run import Settings, prepare
    from spectral_book.sweeps.validation import asks_gpu, check_points

    settings = Settings(scheduler=options.scheduler, cluster=options.cluster)
    chapter, points = prepare(options.sweep)
    check_points(chapter, points, elsewhere=settings.elsewhere)
    if settings.cluster is not None:
        load_cluster(settings.cluster, needs_gpu=any(map(asks_gpu, points)))
    for point in points:
        print(point.id)
    return 0


def _status(options: argparse.Namespace) -> int:
    from spectral_book.sweeps.status import status

    print(status(options.out).text())
    return 0


def _collect(options: argparse.Namespace) -> int:
    from spectral_book.sweeps.collect import collect, write_table

    table = collect(options.out)
    write_table(table, options.file)
    print(f"{len(table)} rows in {options.file}")
    return 0


def _page(options: argparse.Namespace) -> int:
    from spectral_book.sweeps.page import write_page

    print(write_page(options.out, options.dir))
    return 0


def _to_book(options: argparse.Namespace) -> int:
    from spectral_book.sweeps.html import write_book

    print(write_book(options.out, options.dir))
    return 0


def _job_script(options: argparse.Namespace) -> int:
    from spectral_book.sweeps.cluster import job_script, load_cluster

    print(job_script(load_cluster(options.cluster)))
    return 0
