"""A sweep from its file to its results, on the workers of Dask."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from distributed import Client, Future, as_completed
from tqdm.auto import tqdm

from spectral_book.files import write_atomic
from spectral_book.readable import SweepStopped
from spectral_book.runner import Failure, usable_cores
from spectral_book.sweeps import results, workers
from spectral_book.sweeps.check import check_points
from spectral_book.sweeps.collect import Status, collect, status
from spectral_book.sweeps.points import (
    Point,
    SweptChapter,
    load_sweep,
    points_of,
    read_chapter,
)
from spectral_book.sweeps.results import PointRecord
from spectral_book.sweeps.work import Settings, Work, new_record, run_point

if TYPE_CHECKING:
    from pandas import DataFrame

_WINDOW = 500  # points at a time with the scheduler, which keeps them in memory


def run_sweep(
    sweep: Mapping[str, Any] | str | Path,
    out: Path | str,
    *,
    progress: bool = True,
    **settings: Any,
) -> DataFrame:
    """Run what is missing or failed of a sweep, and return its table.

    Parameters
    ----------
    sweep
        A sweep file, or its content; then the chapter's path is relative to the
        current folder.
    out
        The output folder.
    progress
        Whether to show a progress bar.
    **settings
        Fields of :class:`Settings`.

    Raises
    ------
    InputError
        If the sweep cannot run as asked for; nothing is started then.
    SweepStopped
        If it breaks off: results cannot be stored, or the scheduler is gone.
    """
    execute_sweep(sweep, out, Settings(**settings), progress=progress)
    return collect(Path(out))


def execute_sweep(
    sweep: Mapping[str, Any] | str | Path,
    out: Path | str,
    settings: Settings,
    *,
    progress: bool = True,
) -> Status:
    """Run what is missing of a sweep and return its state; see :func:`run_sweep`."""
    out = Path(out).absolute()
    chapter, points = checked_points(sweep, settings, results.stored_ids(out))
    code = f"{chapter.code}-{results.library_code()}"
    with results.locked(out):
        ids = [point.id for point in points]
        results.write_request(out, chapter.name, chapter.code, ids)
        records = {name: results.read_record(out, name) for name in ids}
        todo = [p for p in points if not _is_done(records[p.id], settings, code)]
        # What runs is a copy: an edit meanwhile does not change it.
        source = out / "source" / f"{chapter.name}-{chapter.code}.ipynb"
        with results.storing(out):
            write_atomic(source, nbformat.writes(chapter.notebook) + "\n")
        if todo:
            needs_gpu = any(point.needs_gpu for point in todo)
            gpus = workers.gpus_here() if needs_gpu and not settings.elsewhere else []
            with (
                _workers(settings, todo, gpus) as client,
                results.running(out) as token,
                tqdm(total=len(todo), unit="point", disable=not progress) as bar,
            ):
                place = (out, chapter.name, chapter.path.parent, source, chapter.code)
                work = Work(*place, token, settings, gpus)
                for _ in run_points(client, work, todo):
                    bar.update()
        return status(out)


def checked_points(
    sweep: Mapping[str, Any] | str | Path,
    settings: Settings,
    known_ids: Iterable[str] = (),
) -> tuple[SweptChapter, list[Point]]:
    """Return a sweep's chapter and its points, all of which can run.

    Raises
    ------
    InputError
        If the sweep, a point or the cluster file cannot be used.
    """
    asked = load_sweep(Path(sweep) if isinstance(sweep, str) else sweep)
    chapter = read_chapter(asked.chapter)
    points = points_of(asked, chapter, known_ids)
    check_points(chapter, points, elsewhere=settings.elsewhere)
    if settings.cluster is not None:
        workers.load_cluster(settings.cluster)
    return chapter, points


def run_points(
    client: Client, work: Work, points: Iterable[Point]
) -> Iterator[PointRecord]:
    """Run points, a few hundred at a time, and yield their records as they end.

    Raises
    ------
    SweepStopped
        If a result cannot be stored, or the scheduler is gone.
    """
    waiting, running = iter(points), {}

    def submit(count: int) -> list[Future]:
        started = []
        for point in itertools.islice(waiting, count):
            on_gpu = work.settings.scheduler and point.needs_gpu
            needed = {"GPU": 1} if on_gpu else None
            future = client.submit(run_point, work, point, pure=False, resources=needed)
            running[future] = point
            started.append(future)
        return started

    ended = as_completed(submit(_WINDOW), loop=client.loop)
    for future in ended:
        yield _record(future, work, running.pop(future))
        ended.update(submit(1))


def _record(future: Future, work: Work, point: Point) -> PointRecord:
    """Return a point's record, stored here if no worker could."""
    try:
        return future.result()
    except SweepStopped:
        raise
    except CancelledError as error:
        raise SweepStopped(
            "the scheduler is gone, and with it what was running; start it again and "
            "run the same command: what is done will not be repeated"
        ) from error
    except Exception as error:
        # Dask gives up on a point after several workers have died of it.
        failure = Failure(0, "", f"{type(error).__name__}: {error}", "")
        record = new_record(work, point, failure)
        results.store(work.out, record, nbformat.v4.new_notebook())
        return record


def _is_done(record: PointRecord | None, settings: Settings, code: str) -> bool:
    """Return whether a point need not run."""
    if record is None or record["state"] != "done":
        return False
    return record["code"] == code or not settings.rerun_stale


def _workers(
    settings: Settings, points: Sequence[Point], gpus: Sequence[str]
) -> AbstractContextManager[Client]:
    """The workers that the settings ask for, ended with the block."""
    if settings.cluster is not None:
        return workers.batch_workers(workers.load_cluster(settings.cluster))
    if settings.scheduler:
        needs_gpu = any(point.needs_gpu for point in points)
        return workers.workers_at(settings.scheduler, needs_gpu=needs_gpu)
    places = len(gpus) or max(1, usable_cores() // settings.threads_here())
    return workers.local_workers(min(settings.jobs or places, len(points)))
