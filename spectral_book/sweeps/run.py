"""A sweep from its file to its results."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from tqdm.auto import tqdm

from spectral_book.budget import usable_cores
from spectral_book.files import write_atomic
from spectral_book.sweeps.chapter_files import ChapterFile, read_chapter
from spectral_book.sweeps.dispatch import run_points
from spectral_book.sweeps.engines import Engine, dask_engine, local_engine, plan_local
from spectral_book.sweeps.errors import SweepError, storing
from spectral_book.sweeps.lock import locked
from spectral_book.sweeps.manifest import Manifest, Outcome, open_manifest
from spectral_book.sweeps.pool import Job, thread_budget
from spectral_book.sweeps.results import remove_leftovers, stored_names
from spectral_book.sweeps.sweep import (
    Point,
    Sweep,
    load_sweep,
    make_sweep,
    points_of,
    with_known_ids,
)
from spectral_book.sweeps.validation import asks_gpu, check_points
from spectral_lib.code_hash import code_hash

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class Settings:
    """How a sweep runs; what runs is in :class:`~spectral_book.sweeps.sweep.Sweep`.

    Attributes
    ----------
    jobs
        Points at a time on this machine; 0 for as many as there are cores (or GPUs).
    threads
        Threads for each point; 0 for what the environment variable SPECTRAL_THREADS
        says where the point runs, or else one.
    scheduler
        The address of a Dask scheduler to run on.
    cluster
        A file that says how to start workers with Slurm, PBS or SGE.
    cell_seconds, point_seconds
        Time limits; 0 for none.
    warm
        Whether kernels are forked from a process that has imported what the chapter
        imports.
    rerun_stale
        Whether points done with other code than today's are run again.
    """

    jobs: int = 0
    threads: int = 0
    scheduler: str = ""
    cluster: Path | None = None
    cell_seconds: float = 0
    point_seconds: float = 0
    warm: bool = True
    rerun_stale: bool = False

    def __post_init__(self) -> None:
        if self.jobs < 0 or self.threads < 0:
            raise SweepError(
                f"jobs = {self.jobs}, threads = {self.threads}; "
                "give 0 (automatic) or more"
            )
        if self.cell_seconds < 0 or self.point_seconds < 0:
            raise SweepError("a time limit is less than 0; give seconds, or 0 for none")
        if self.scheduler and self.cluster:
            raise SweepError("a scheduler and a cluster are given; leave one")

    @property
    def elsewhere(self) -> bool:
        """Whether the points run on other machines than this one."""
        return bool(self.scheduler or self.cluster)


@dataclass(frozen=True)
class Summary:
    """What a sweep's call came to.

    Attributes
    ----------
    total, done, failed
        Points of the sweep, and how many of them are in which state now.
    ran
        Points that ended during this call.
    stale
        Done points whose chapter or library has changed since.
    """

    total: int
    done: int
    failed: int
    ran: int
    stale: int

    def line(self) -> str:
        """Return it as a sentence."""
        text = f"{self.done} of {self.total} points done, {self.failed} failed"
        if self.stale:
            text += (
                f"; {self.stale} of them with older code (--rerun-stale repeats them)"
            )
        return text


OnOutcome = Callable[[Outcome], None]


def run_sweep(
    sweep: Sweep | Mapping[str, Any] | str | Path,
    out: Path | str,
    *,
    progress: bool = True,
    **settings: Any,
) -> DataFrame:
    """Run what is missing of a sweep and return all its claims as one table.

    Parameters
    ----------
    sweep
        A sweep, a mapping as in a sweep file, or the path of such a file.
    out
        The output folder; it may hold a part of the results already.
    progress
        Whether to show a bar.
    settings
        As in :class:`Settings`.

    Raises
    ------
    SweepError
        If the sweep cannot run as it was asked for; nothing was started.
    StorageError
        If the output folder cannot be written.
    EngineLost
        If the scheduler is gone.
    """
    from spectral_book.sweeps.collect import collect

    execute_sweep(sweep, out, Settings(**settings), progress=progress)
    return collect(Path(out))


def execute_sweep(
    sweep: Sweep | Mapping[str, Any] | str | Path,
    out: Path | str,
    settings: Settings,
    *,
    progress: bool = True,
    on_outcome: OnOutcome = lambda outcome: None,
) -> Summary:
    """Run what is missing of a sweep; see :func:`run_sweep`.

    `on_outcome` is called with each point's outcome as it becomes known.
    """
    out = Path(out).absolute()
    chapter, points = prepare(sweep)
    check_points(chapter, points, elsewhere=settings.elsewhere)
    code = f"{chapter.code}-{code_hash()}"
    with locked(out), open_manifest(out, write=True) as manifest:
        _claim_folder(manifest, chapter, out)
        remove_leftovers(out)
        points = with_known_ids(points, [*manifest.names(), *stored_names(out)])
        manifest.enter(points)
        rows = {row.id: row for row in manifest.rows()}
        todo = [
            point
            for point in points
            if rows[point.id].state != "done"
            or (settings.rerun_stale and rows[point.id].code != code)
        ]
        manifest.reset(point.id for point in todo)
        manifest.note({"started": time.time(), "code": code})
        job = make_job(chapter, out, settings)
        ran = 0
        if todo:
            gpu = any(map(asks_gpu, todo))
            with (
                _engine(settings, gpu) as engine,
                tqdm(total=len(todo), unit="point", disable=not progress) as bar,
            ):
                for outcome in run_points(engine, job, todo, manifest):
                    ran += 1
                    bar.update()
                    on_outcome(outcome)
            remove_leftovers(out)
        mine = {point.id for point in points}
        rows_now = [row for row in manifest.rows() if row.id in mine]
    done = [row for row in rows_now if row.state == "done"]
    return Summary(
        total=len(points),
        done=len(done),
        failed=sum(row.state == "failed" for row in rows_now),
        ran=ran,
        stale=sum(row.code != code for row in done),
    )


def prepare(
    sweep: Sweep | Mapping[str, Any] | str | Path,
) -> tuple[ChapterFile, list[Point]]:
    """Return a sweep's chapter and its points.

    Raises
    ------
    SweepError
        If there is no such chapter, or the sweep contradicts itself.
    """
    if isinstance(sweep, str | Path):
        sweep = load_sweep(Path(sweep))
    elif not isinstance(sweep, Sweep):
        sweep = make_sweep(sweep)
    chapter = read_chapter(sweep.chapter)
    return chapter, points_of(sweep, chapter)


def make_job(chapter: ChapterFile, out: Path, settings: Settings) -> Job:
    """Keep a copy of the chapter's notebook and return what the points share.

    The copy is what runs: an edit while the sweep is under way does not change it.
    """
    source = out / "source" / f"{chapter.name}-{chapter.code}.ipynb"
    with storing(out):
        write_atomic(source, nbformat.writes(chapter.notebook) + "\n")
    return Job(
        out=out,
        chapter=chapter.name,
        folder=chapter.path.parent,
        source=source,
        code=chapter.code,
        imports=chapter.imports() if settings.warm else None,
        token=uuid.uuid4().hex,
        threads=settings.threads,
        cell_seconds=settings.cell_seconds,
        point_seconds=settings.point_seconds,
    )


@contextmanager
def _engine(settings: Settings, needs_gpu: bool) -> Iterator[Engine]:
    """The engine that the settings ask for, ended with the block."""
    with ExitStack() as stack:
        if settings.cluster is not None:
            from spectral_book.sweeps.cluster import load_cluster, started

            file = load_cluster(settings.cluster, needs_gpu=needs_gpu)
            cluster = stack.enter_context(started(file))
            yield stack.enter_context(dask_engine(cluster, needs_gpu=False))
        elif settings.scheduler:
            engine = dask_engine(settings.scheduler, needs_gpu=needs_gpu)
            yield stack.enter_context(engine)
        else:
            plan = plan_local(
                usable_cores(),
                jobs=settings.jobs,
                threads=settings.threads or thread_budget(),
                needs_gpu=needs_gpu,
                environ=os.environ,
            )
            yield stack.enter_context(local_engine(plan))


def _claim_folder(manifest: Manifest, chapter: ChapterFile, out: Path) -> None:
    """Keep one chapter to a folder.

    Raises
    ------
    SweepError
        If the folder holds the points of another chapter.
    """
    held = manifest.facts().get("chapter")
    if held not in (None, chapter.name):
        raise SweepError(
            f"{out} holds points of {held!r}; choose another folder for "
            f"{chapter.name!r}"
        )
    manifest.note({"chapter": chapter.name, "defaults": chapter.defaults})
