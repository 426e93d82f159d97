"""A sweep from its file to its results, on the workers of Dask."""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import nbformat
from distributed import Client, as_completed
from tqdm.auto import tqdm

from spectral_book.failures import Failure
from spectral_book.files import write_atomic
from spectral_book.readable import SweepStopped
from spectral_book.repository import chapter_code
from spectral_book.runner import NotebookJob
from spectral_book.sweeps import results, workers
from spectral_book.sweeps.check import check_points
from spectral_book.sweeps.collect import Status, status
from spectral_book.sweeps.points import (
    Point,
    SweptChapter,
    load_sweep,
    points_of,
    read_chapter,
)
from spectral_book.sweeps.work import Settings, Work, new_record, run_point

_WINDOW = 500  # points at a time with the scheduler, which keeps them in memory


def run_sweep(
    sweep: Mapping[str, Any] | str | Path, out: Path | str, **options: Any
) -> Status:
    """Run what is missing or failed of a sweep in the folder `out`; return its state.

    `sweep` is a sweep file, or its content, and then the chapter's path is relative to
    the current folder. `options` are fields of :class:`Settings`.
    """
    out, settings = Path(out).absolute(), Settings(**options)
    chapter, points = checked_points(sweep, settings, results.stored_ids(out))
    code = f"{chapter.code}-{chapter_code()}"
    with results.hold(out) as token:
        results.write_request(out, chapter.name, chapter.code, [p.id for p in points])
        todo = [p for p in points if not _is_done(out, p, settings, code)]
        # What runs is a copy: an edit meanwhile does not change it.
        source = out / "source" / f"{chapter.name}-{chapter.code}.ipynb"
        with results.storing(out):
            write_atomic(source, nbformat.writes(chapter.notebook) + "\n")
        if todo:
            needs_gpu = any(point.needs_gpu for point in todo)
            gpus = workers.gpus_here() if needs_gpu and not settings.elsewhere else []
            copy = NotebookJob(chapter.name, source, chapter.path.parent)
            work = Work(out, copy, chapter.code, token, settings, gpus)
            with (
                workers.workers(settings, out, len(todo), gpus, needs_gpu) as client,
                tqdm(total=len(todo), unit="point") as bar,
            ):
                for _ in run_points(client, work, todo):
                    bar.update()
        return status(out)


def checked_points(
    sweep: Mapping[str, Any] | str | Path,
    settings: Settings,
    known_ids: Iterable[str] = (),
) -> tuple[SweptChapter, list[Point]]:
    """Return a sweep's chapter and its points, all of which can run."""
    asked = load_sweep(Path(sweep) if isinstance(sweep, str) else sweep)
    chapter = read_chapter(asked.chapter)
    points = points_of(asked, chapter, known_ids)
    check_points(chapter, points, elsewhere=settings.elsewhere)
    if settings.cluster is not None:
        workers.load_cluster(settings.cluster)
    return chapter, points


def run_points(client: Client, work: Work, points: Iterable[Point]) -> Iterator[Point]:
    """Run points, and yield each when it is stored, done or failed."""
    waiting, running = iter(points), {}
    ended = as_completed(loop=client.loop)

    def submit(count: int) -> None:
        for point in itertools.islice(waiting, count):
            on_gpu = work.settings.scheduler and point.needs_gpu
            needed = {"GPU": 1} if on_gpu else None
            future = client.submit(run_point, work, point, pure=False, resources=needed)
            running[future] = point
            ended.add(future)

    submit(_WINDOW)
    for future in ended:
        point = running.pop(future)
        try:
            future.result()
        except SweepStopped:
            raise
        except CancelledError as error:
            raise SweepStopped(
                "the scheduler is gone, and with it what was running; start it again "
                "and run the same command: what is done will not be repeated"
            ) from error
        except Exception as error:
            # Dask gives up on a point after several workers have died of it.
            failure = Failure(0, "", f"{type(error).__name__}: {error}", "")
            record = new_record(work, point, failure)
            results.store(work.out, record, nbformat.v4.new_notebook())
        yield point
        submit(1)


def _is_done(out: Path, point: Point, settings: Settings, code: str) -> bool:
    """Return whether a point need not run."""
    record = results.read_record(out, point.id)
    if record is None or record["state"] != "done":
        return False
    return record["code"] == code or not settings.rerun_stale
