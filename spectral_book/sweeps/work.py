"""What a worker does: run a point and store what came of it."""

import asyncio
import os
import re
import signal
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from distributed import Worker, get_worker

from spectral_book.budget import Budget
from spectral_book.claims.ledger import claims_of
from spectral_book.failures import Failure
from spectral_book.readable import InputError
from spectral_book.repository import chapter_code
from spectral_book.runner import Execution, NotebookJob, execute
from spectral_book.sweeps import results
from spectral_book.sweeps.points import Point
from spectral_book.sweeps.scalars import scalars_of
from spectral_lib.threads import usable_cores, variable

_LINES = 12  # of a traceback, in a record
_ADDRESS = re.compile(r"(tcp|tls)://[^\s/]+:\d{1,5}")


@dataclass(frozen=True)
class Settings:
    """How a sweep runs; what runs is in :class:`~spectral_book.sweeps.points.Sweep`.

    `jobs` are the points at a time on this machine, 0 for one a core (or GPU).
    `threads` are those of a point: 0 for the cores divided by `jobs`, None for what
    SPECTRAL_THREADS says where it runs, or else one. `scheduler` is the address of a
    Dask scheduler, `cluster` a file that says how a batch system starts workers. Limits
    of 0 seconds are none. With `rerun_stale`, points done with other code than today's
    run again.
    """

    jobs: int = 0
    threads: int | None = None
    scheduler: str = ""
    cluster: Path | None = None
    cell_seconds: float = 0
    point_seconds: float = 0
    rerun_stale: bool = False

    def __post_init__(self) -> None:
        for name in ("jobs", "threads", "cell_seconds", "point_seconds"):
            if (getattr(self, name) or 0) < 0:
                raise InputError(f"{name} = {getattr(self, name)}; give 0 or more")
        if self.scheduler and self.cluster:
            raise InputError("a scheduler and a cluster are given; leave one")
        if self.scheduler and not _ADDRESS.fullmatch(self.scheduler):
            raise InputError(
                f"scheduler = {self.scheduler!r} is no address; give what `dask "
                "scheduler` prints, such as tcp://10.0.0.1:8786"
            )

    @property
    def elsewhere(self) -> bool:
        """Whether the points run on other machines than this one."""
        return bool(self.scheduler or self.cluster)

    def threads_here(self) -> int:
        """Return the threads for a point on the machine that asks."""
        asked, cores = self.threads, usable_cores()
        if asked is None:
            try:
                asked = variable("SPECTRAL_THREADS", os.environ, unset=1)
            except ValueError as error:
                raise InputError(str(error)) from None
        jobs = 0 if self.elsewhere else self.jobs
        return asked or max(1, cores // (jobs or cores))


@dataclass(frozen=True)
class Work:
    """What the points of one call have in common.

    `out` is the same folder for all machines; the kernels run the notebook of
    `chapter`, a copy, of the hash `code`. `token` is valid as long as the call lasts.
    The workers of this machine share `gpus`, each using one.
    """

    out: Path
    chapter: NotebookJob
    code: str
    token: str
    settings: Settings
    gpus: Sequence[str] = ()

    def environment(self) -> dict[str, str]:
        """Return the environment of a kernel of the worker that asks."""
        # Dask sets this for its own memory; it makes allocations of torch slow.
        base = {k: v for k, v in os.environ.items() if k != "MALLOC_TRIM_THRESHOLD_"}
        if self.gpus:
            place = int(get_worker().name) % len(self.gpus)
            base["CUDA_VISIBLE_DEVICES"] = self.gpus[place]
        return Budget(1, self.settings.threads_here()).kernel_environment(base)


def dask_setup(worker: Worker) -> None:
    """Leave Ctrl-C to the process that has started this one, and ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def run_point(work: Work, point: Point) -> None:
    """Run a point and store what came of it.

    A point that is there already, since a worker ended after it had stored it and
    before it could say so, is not run again. It is cancelled when its sweep has ended.
    """
    code = f"{work.code}-{chapter_code()}"
    stored = results.read_record(work.out, point.id)
    if stored and stored["state"] == "done" and stored["code"] == code:
        return
    started = time.monotonic()
    execution = asyncio.run(_execute_while_wanted(work, point))
    failure, claims = execution.failure, []
    if failure is None:
        try:
            claims = claims_of(work.chapter.name, execution.notebook)
        except ValueError as error:
            failure = Failure(0, "", f"ValueError: {error}", "")
    found = {"claims": claims, "scalars": scalars_of(execution.notebook)}
    seconds = round(time.monotonic() - started, 3)
    record = new_record(work, point, failure, code=code, seconds=seconds, **found)
    results.store(work.out, record, execution.notebook)


def new_record(
    work: Work, point: Point, failure: Failure | None, **found: Any
) -> results.PointRecord:
    """Return the record of a point that has just ended, with what came of it."""
    record: results.PointRecord = {
        "id": point.id,
        "state": "done",
        "chapter": work.chapter.name,
        "parameters": point.parameters,
        "host": socket.gethostname(),
        "finished": results.now(),
        **{"code": work.code, "seconds": 0.0, "claims": [], "scalars": {}},
        **found,
    }
    if failure is not None:
        ending = "\n".join(failure.traceback.splitlines()[-_LINES:])
        error = " ".join(failure.error.split())
        record |= {"state": "failed", "place": failure.place()}
        record |= {"error": error, "traceback": ending}
    return record


async def _execute_while_wanted(work: Work, point: Point) -> Execution:
    """Execute a point's notebook, but no longer than its sweep lasts."""
    execution = execute(
        replace(work.chapter, parameters=point.parameters),
        work.environment(),
        work.settings.cell_seconds,
        work.settings.point_seconds,
    )
    task = asyncio.create_task(execution)
    while not task.done():
        if not results.is_running(work.out, work.token):
            task.cancel()
        await asyncio.wait([task], timeout=1)
    return task.result()
