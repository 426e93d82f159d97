"""Where points run: on this machine, or on the workers of a Dask scheduler.

An engine is an executor in the sense of :mod:`concurrent.futures`, and what to do when
a sweep is broken off.
"""

from __future__ import annotations

import logging
import queue
import re
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from spectral_book.sweeps.errors import EngineLost, SweepError
from spectral_book.sweeps.manifest import Outcome
from spectral_book.sweeps.points import run_point
from spectral_book.sweeps.pool import Job, Kernels, worker_kernels
from spectral_book.sweeps.sweep import Point

_CONNECT_SECONDS = 10


class Engine(Protocol):
    """Something that runs points.

    Attributes
    ----------
    window
        How many points to have submitted at a time.
    """

    window: int

    def submit(self, job: Job, point: Point, *, gpu: bool) -> Future[Outcome]:
        """Start a point, or put it in the queue."""

    def abort(self) -> None:
        """End everything that runs, without its results."""


@dataclass(frozen=True)
class LocalPlan:
    """How many points run at once on this machine.

    Attributes
    ----------
    jobs
        Points at a time.
    gpus
        The GPUs they share; each sees one of them, none if this is empty.
    """

    jobs: int
    gpus: tuple[str, ...] = ()


def plan_local(
    cores: int,
    *,
    jobs: int,
    threads: int,
    needs_gpu: bool,
    environ: Mapping[str, str],
    devices: Path = Path("/dev"),
) -> LocalPlan:
    """Return how many points to run at once.

    Without a number of jobs, it is one for every `threads` cores; where points need a
    GPU, one for each GPU. More jobs than GPUs share them.

    Raises
    ------
    SweepError
        If a point needs a GPU and there is none.
    """
    if not needs_gpu:
        return LocalPlan(jobs or max(1, cores // threads))
    visible = environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        numbers = (
            re.fullmatch(r"nvidia(\d+)", path.name) for path in devices.iterdir()
        )
        gpus = tuple(sorted((m[1] for m in numbers if m), key=int))
    else:
        gpus = tuple(part.strip() for part in visible.split(",") if part.strip())
    if not gpus:
        raise SweepError("points ask for device 'cuda', but this machine shows no GPU")
    return LocalPlan(jobs or len(gpus), gpus)


class LocalEngine:
    """Points on this machine: a thread waits for each, its kernel is a process."""

    def __init__(self, plan: LocalPlan) -> None:
        self.window = plan.jobs
        self._kernels = Kernels()
        self._executor = ThreadPoolExecutor(plan.jobs, "point")
        self._gpus: queue.SimpleQueue[str] = queue.SimpleQueue()
        for place in range(plan.jobs if plan.gpus else 0):
            self._gpus.put(plan.gpus[place % len(plan.gpus)])

    def submit(self, job: Job, point: Point, *, gpu: bool) -> Future[Outcome]:
        """Start a point, or put it in the queue."""
        return self._executor.submit(self._run, job, point, gpu)

    def abort(self) -> None:
        """End everything that runs, without its results."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._kernels.close()
        self._executor.shutdown(wait=True)

    def close(self) -> None:
        """End the threads and the warm process, when all points have ended."""
        self._executor.shutdown(wait=True)
        self._kernels.close()

    def _run(self, job: Job, point: Point, gpu: bool) -> Outcome:
        if not gpu:
            return run_point(job, point, self._kernels)
        device = self._gpus.get()
        try:
            extra = {"CUDA_VISIBLE_DEVICES": device}
            return run_point(job, point, self._kernels, extra)
        finally:
            self._gpus.put(device)


class DaskEngine:
    """Points on the workers of a Dask scheduler, which share the output folder."""

    # The scheduler keeps what is submitted in memory; more is submitted as points end.
    window = 500

    def __init__(self, client: Any) -> None:
        self._client = client
        self._tokens: set[str] = set()
        self._executor: Executor = client.get_executor(pure=False)
        self._with_gpu: Executor = client.get_executor(pure=False, resources={"GPU": 1})

    def submit(self, job: Job, point: Point, *, gpu: bool) -> Future[Outcome]:
        """Put a point in the scheduler's queue; a GPU point waits for a GPU."""
        self._tokens.add(job.token)
        executor = self._with_gpu if gpu else self._executor
        return executor.submit(run_point, job, point)

    def abort(self) -> None:
        """Take back what waits, and end what runs on the workers."""
        if self._client.status != "running":
            return
        for executor in (self._executor, self._with_gpu):
            executor.shutdown(wait=False)  # Dask's own version cancels by itself
        for token in self._tokens:
            self._client.run(_close_kernels, token, on_error="ignore")


def _check_workers(client: Any, *, needs_gpu: bool) -> None:
    """Say if there are no workers yet; refuse some that never can run a GPU point."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    if not workers:
        print("no Dask worker is there yet; the points wait for one", file=sys.stderr)
    elif needs_gpu and not any(worker["resources"].get("GPU") for worker in workers):
        raise SweepError(
            f"points ask for device 'cuda', but none of the {len(workers)} workers "
            "offers a GPU; start them with: dask worker --resources GPU=1"
        )


def _close_kernels(token: str) -> None:
    """End the kernels of a sweep on a worker; those of other sweeps go on."""
    worker_kernels(token).close()


@contextmanager
def local_engine(plan: LocalPlan) -> Iterator[LocalEngine]:
    """An engine on this machine, ended with the block."""
    engine = LocalEngine(plan)
    try:
        yield engine
    finally:
        engine.close()


@contextmanager
def dask_engine(address: str | Any, *, needs_gpu: bool) -> Iterator[DaskEngine]:
    """An engine on a running scheduler, given by its address or as a cluster object.

    Raises
    ------
    SweepError
        If dask is not installed, or a GPU is needed and no worker offers one.
    EngineLost
        If no scheduler answers there.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise SweepError(
            "a Dask scheduler needs more packages: "
            "pip install 'spectral-bias-book[batch]'"
        ) from error
    log = logging.getLogger("distributed.client")
    level = log.level
    # A lost scheduler is told in a sentence; Dask's own words are tracebacks.
    log.setLevel(logging.CRITICAL)
    try:
        client = Client(address, set_as_default=False, timeout=_CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise EngineLost(f"no Dask scheduler answers at {address}: {error}") from error
    try:
        _check_workers(client, needs_gpu=needs_gpu)
        yield DaskEngine(client)
    finally:
        client.close(timeout=5)
        log.setLevel(level)
