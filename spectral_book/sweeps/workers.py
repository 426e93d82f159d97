"""Where points run: the workers of Dask, here, at an address, or by a batch system."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distributed import Client, LocalCluster, Status

from spectral_book.readable import InputError, SweepStopped
from spectral_book.yaml_files import read_yaml

_CONNECT_SECONDS = 10
# Schedulers of several sweeps may run side by side.
_ANY_PORT = {"dashboard_address": ":0"}


def gpus_here() -> list[str]:
    """Return the GPUs of this machine that CUDA_VISIBLE_DEVICES lets through.

    Raises
    ------
    InputError
        If there is none.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        import torch  # takes seconds, and most sweeps need no GPU

        visible = ",".join(map(str, range(torch.cuda.device_count())))
    gpus = [part.strip() for part in visible.split(",") if part.strip()]
    if not gpus:
        raise InputError("points ask for device 'cuda', but this machine shows no GPU")
    return gpus


@contextmanager
def local_workers(jobs: int) -> Iterator[Client]:
    """Processes of this machine, each of which runs one point at a time."""
    with (
        LocalCluster(
            n_workers=jobs,
            threads_per_worker=1,
            memory_limit=0,
            preload=["spectral_book.sweeps.work"],
            dashboard_address=None,
            scheduler_kwargs=_ANY_PORT,
            silence_logs=logging.CRITICAL,
        ) as cluster,
        _connected(cluster) as client,
    ):
        yield client


@contextmanager
def workers_at(address: str, *, needs_gpu: bool) -> Iterator[Client]:
    """The workers of a scheduler that runs already.

    Raises
    ------
    InputError
        If a GPU is needed and there are workers, but none offers one.
    SweepStopped
        If no scheduler answers there.
    """
    with _connected(address) as client:
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
        if not workers:
            print(
                "no Dask worker is there yet; the points wait for one", file=sys.stderr
            )
        elif needs_gpu and not any(
            worker["resources"].get("GPU") for worker in workers
        ):
            raise InputError(
                f"points ask for device 'cuda', but none of the {len(workers)} workers "
                "offers a GPU; start them with: dask worker --resources GPU=1"
            )
        yield client


@contextmanager
def _connected(where: Any) -> Iterator[Client]:
    log = logging.getLogger("distributed.client")
    level = log.level
    # A lost scheduler is said in a sentence; Dask's own words are tracebacks.
    log.setLevel(logging.CRITICAL)
    try:
        client = Client(where, set_as_default=False, timeout=_CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise SweepStopped(f"no Dask scheduler answers at {where}: {error}") from error
    try:
        yield client
    finally:
        client.close(timeout=5)
        log.setLevel(level)


@dataclass(frozen=True)
class BatchSystem:
    """What a cluster file says.

    Attributes
    ----------
    cluster
        dask-jobqueue's class for the batch system.
    jobs
        The most jobs to have in it at a time; they come and go with the work.
    keywords
        What the class takes.
    """

    cluster: Any
    jobs: int
    keywords: dict[str, Any]

    def job(self, address: str = "tcp://scheduler:8786") -> Any:
        """Return one job, whose workers look for a scheduler at an address."""
        return self.cluster.job_cls(address, "workers", **self.keywords)


def _dask_jobqueue() -> Any:
    """Import dask-jobqueue, which as it is imported takes Ctrl-C for itself."""
    handler = signal.getsignal(signal.SIGINT)
    import dask_jobqueue

    signal.signal(signal.SIGINT, handler)
    return dask_jobqueue


def load_cluster(path: Path) -> BatchSystem:
    """Read a cluster file: `scheduler`, `jobs`, and dask-jobqueue's own keywords.

    The cores of a job are shared by its processes, of which each runs one point at a
    time; by default there is one.

    Raises
    ------
    InputError
        If the file is not there or dask-jobqueue cannot make a job of it.
    """
    if not path.is_file():
        raise InputError(f"there is no cluster file {path}")
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise InputError(f"{path} must hold a mapping with 'scheduler' and 'jobs'")
    keywords = {"processes": 1, "job_name": "spectral-batch", **content}
    kind, jobs = str(keywords.pop("scheduler", "")), keywords.pop("jobs", 1)
    cluster = getattr(_dask_jobqueue(), f"{kind.upper()}Cluster", None)
    if cluster is None:
        raise InputError(f"{path}: scheduler = {kind!r}; use slurm, pbs, sge or lsf")
    if not isinstance(jobs, int) or jobs < 1:
        raise InputError(f"{path}: jobs = {jobs!r}; give a whole number of at least 1")
    batch = BatchSystem(cluster, jobs, keywords)
    try:
        threads = batch.job().worker_process_threads
    except Exception as error:  # dask-jobqueue's own, of whatever kind
        raise InputError(f"{path}: {error}") from error
    if threads < 1:
        raise InputError(f"{path}: there are more processes than cores in a job")
    prologue = keywords.get("job_script_prologue", [])
    arguments = keywords.get("worker_extra_args", [])
    keywords["job_script_prologue"] = [f"export SPECTRAL_THREADS={threads}", *prologue]
    # The last counts: the cores are for the threads of the one point of a worker.
    keywords["worker_extra_args"] = ["--nthreads", "1", *arguments]
    return batch


@contextmanager
def batch_workers(batch: BatchSystem) -> Iterator[Client]:
    """Workers of jobs, with their scheduler here; the jobs end with the block.

    Raises
    ------
    InputError
        If the first job is refused; the message is that of the batch system.
    """
    first: Future[str] = Future()
    command = batch.cluster.job_cls.submit_command

    def report(refusal: str) -> None:
        if not first.done():
            first.set_result(refusal)
        elif refusal:
            print(f"{command} refused a job: {refusal}", file=sys.stderr)

    job = reporting_job(batch.cluster.job_cls, report)
    with batch.cluster(
        job_cls=job, scheduler_options=_ANY_PORT, **batch.keywords
    ) as cluster:
        cluster.adapt(minimum_jobs=1, maximum_jobs=batch.jobs)
        if refusal := first.result():
            raise InputError(
                f"{command} refused the first job: {refusal}; change the cluster file, "
                "whose script `spectral-batch job-script` shows"
            )
        with _connected(cluster) as client:
            yield client


def reporting_job(job: Any, report: Callable[[str], None]) -> Any:
    """Return a kind of job that reports why it was refused, or `""` if it was not.

    Dask by itself logs a refusal and waits for the workers for ever.
    """

    class ReportingJob(job):  # type: ignore[misc]
        async def start(self) -> None:
            refusal = ""
            try:
                await super().start()
            except (OSError, RuntimeError, ValueError) as error:
                text = str(error)
                said = text.rpartition("stderr:")[2].split() or text.split()
                refusal = " ".join(said)
                # Not raised: Dask would print a traceback and could not be closed.
                self.status = Status.running
            report(refusal)

    return ReportingJob
