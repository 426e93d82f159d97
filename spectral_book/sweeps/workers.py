"""Where points run: the workers of Dask, here, at an address, or by a batch system."""

import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from distributed import Client, LocalCluster, Security, Status
from tqdm.auto import tqdm

from spectral_book.readable import InputError, SweepStopped
from spectral_book.sweeps.results import storing
from spectral_book.sweeps.work import Settings
from spectral_book.yaml_files import read_yaml
from spectral_lib.threads import usable_cores

_CONNECT_SECONDS = 10
# Dask's own pages would be on all interfaces, and on one port for all sweeps.
_ON_LOOPBACK = {"dashboard_address": "127.0.0.1:0", "dashboard": False}


def gpus_here() -> list[str]:
    """Return the GPUs of this machine that CUDA_VISIBLE_DEVICES lets through."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        import torch  # takes seconds, and most sweeps need no GPU

        visible = ",".join(map(str, range(torch.cuda.device_count())))
    gpus = [part.strip() for part in visible.split(",") if part.strip()]
    if not gpus:
        raise InputError("points ask for device 'cuda', but this machine shows no GPU")
    return gpus


@contextmanager
def workers(
    settings: Settings, out: Path, points: int, gpus: Sequence[str], needs_gpu: bool
) -> Iterator[Client]:
    """The workers that the settings ask for, each for one point at a time.

    Those of this machine and of a batch system end with the block. A batch system's
    find their keys in `out`.
    """
    cluster: AbstractContextManager[Any]
    if settings.cluster is not None:
        cluster = batch_workers(load_cluster(settings.cluster), out)
    elif settings.scheduler:
        if not settings.scheduler.startswith("tls:"):
            print(
                f"{settings.scheduler} is not encrypted and asks for no key: whoever "
                "reaches it can run code as you; see book/batch.md for tls://",
                file=sys.stderr,
            )
        with connected(settings.scheduler) as client:
            look_for_workers(client, needs_gpu)
            yield client
            return
    else:
        places = len(gpus) or max(1, usable_cores() // settings.threads_here())
        cluster = LocalCluster(
            n_workers=min(settings.jobs or places, points),
            host="127.0.0.1",
            threads_per_worker=1,
            memory_limit=0,
            preload=["spectral_book.sweeps.work"],
            dashboard_address=None,
            scheduler_kwargs=_ON_LOOPBACK,
            silence_logs=logging.CRITICAL,
        )
    with cluster as started, connected(started) as client:
        yield client


def look_for_workers(client: Client, needs_gpu: bool) -> None:
    """Say that no worker is there yet, and refuse to wait for a GPU none offers."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    if not workers:
        print("no Dask worker is there yet; the points wait for one", file=sys.stderr)
    elif needs_gpu and not any(worker["resources"].get("GPU") for worker in workers):
        raise InputError(
            f"points ask for device 'cuda', but none of the {len(workers)} workers "
            "offers a GPU; start them with: dask worker --resources GPU=1"
        )


@contextmanager
def connected(where: Any) -> Iterator[Client]:
    """A client of a cluster, or of the scheduler at an address."""
    log = logging.getLogger("distributed.client")
    level = log.level
    # A lost scheduler is said in a sentence; Dask's own words are tracebacks.
    log.setLevel(logging.CRITICAL)
    try:
        if str(where).startswith("tcp:"):
            _look_for_dask(where)
        client = Client(where, set_as_default=False, timeout=_CONNECT_SECONDS)
    except (OSError, TypeError, ValueError) as error:  # no keys: TypeError
        raise SweepStopped(f"no Dask scheduler answers at {where}: {error}") from error
    try:
        yield client
    finally:
        client.close(timeout=5)
        log.setLevel(level)


def _look_for_dask(address: str) -> None:
    """Raise an OSError if what listens at an address is no scheduler of Dask's.

    A scheduler speaks first, a short message after its length. For that of another
    program, such as its own pages of HTTP, Dask would wait without end.
    """
    place = urlsplit(address)
    listener = (place.hostname, place.port)
    with socket.create_connection(listener, _CONNECT_SECONDS) as connection:
        length = int.from_bytes(connection.recv(8), "little")
    if not 0 < length < 2**20:
        raise OSError("another program listens there")


@dataclass(frozen=True)
class BatchSystem:
    """What a cluster file says: dask-jobqueue's class, and the keywords it takes.

    `jobs` are the most to have at a time; they come and go with the work.
    """

    kind: Any
    jobs: int
    keywords: dict[str, Any]

    def job(self) -> Any:
        """Return one job as it is submitted, but for the scheduler's address."""
        return self.kind.job_cls("tcp://scheduler:8786", "workers", **self.keywords)


def load_cluster(path: Path) -> BatchSystem:
    """Read a cluster file: `scheduler`, `jobs`, and dask-jobqueue's own keywords.

    The cores of a job are shared by its processes, of which each runs one point at a
    time; by default there is one.
    """
    if not path.is_file():
        raise InputError(f"there is no cluster file {path}")
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise InputError(f"{path} must hold a mapping with 'scheduler' and 'jobs'")
    keywords = {"processes": 1, "job_name": "spectral-batch", **content}
    name, jobs = str(keywords.pop("scheduler", "")), keywords.pop("jobs", 1)
    handler = signal.getsignal(signal.SIGINT)
    import dask_jobqueue  # takes Ctrl-C for itself

    signal.signal(signal.SIGINT, handler)
    kinds = {known.lower(): kind for known, kind in vars(dask_jobqueue).items()}
    kind = kinds.get(f"{name.lower()}cluster")  # SLURMCluster, HTCondorCluster
    if kind is None:
        known = "slurm, pbs, sge, lsf, oar or htcondor"
        raise InputError(f"{path}: scheduler = {name!r}; use {known}")
    if not isinstance(jobs, int) or jobs < 1:
        raise InputError(f"{path}: jobs = {jobs!r}; give a whole number of at least 1")
    batch = BatchSystem(kind, jobs, keywords)
    try:
        threads = batch.job().worker_process_threads
    except Exception as error:  # dask-jobqueue's own, of whatever kind
        raise InputError(f"{path}: {error}") from error
    if threads < 1:
        raise InputError(f"{path}: there are more processes than cores in a job")
    prologue = keywords.get("job_script_prologue", [])
    arguments = keywords.get("worker_extra_args", [])
    keywords["job_script_prologue"] = [f"export SPECTRAL_THREADS={threads}", *prologue]
    pages = ["--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
    # The last counts: the cores are for the threads of the one point of a worker.
    keywords["worker_extra_args"] = [*pages, "--nthreads", "1", *arguments]
    return batch


@contextmanager
def batch_workers(batch: BatchSystem, out: Path) -> Iterator[Any]:
    """A cluster of jobs, with its scheduler here; the jobs end with the block.

    Scheduler and workers know each other by a key made for this call, which the jobs
    read from a private folder in `out`: whoever reached them could run code otherwise.
    If the first job is refused, the error holds the batch system's message.
    """
    first: Future[str] = Future()
    with (
        _keys(out) as security,
        batch.kind(
            job_cls=_reporting_job(batch.kind.job_cls, first),
            scheduler_options=_ON_LOOPBACK,
            security=security,
            **batch.keywords,
        ) as cluster,
    ):
        cluster.adapt(minimum_jobs=1, maximum_jobs=batch.jobs)
        if refusal := first.result():
            raise InputError(
                f"{refusal}; change the cluster file, whose script `spectral-batch "
                "job-script` shows"
            )
        yield cluster


@contextmanager
def _keys(out: Path) -> Iterator[Security]:
    """A key and a certificate for one call; those of the workers lie in `out`."""
    security = Security.temporary()
    with storing(out):
        folder = TemporaryDirectory(prefix=".keys-", dir=out)  # for its owner alone
    with folder:
        for name in ("tls_ca_file", "tls_worker_key", "tls_worker_cert"):
            path = Path(folder.name, f"{name}.pem")
            with storing(out):
                path.write_text(getattr(security, name), "utf-8")
            setattr(security, name, str(path))
        yield security


def _reporting_job(job: Any, first: Future[str]) -> Any:
    """Return a kind of job that says why it was refused; the `first` in the future.

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
                refusal = f"{job.submit_command} refused a job: {' '.join(said)}"
                # Not raised: Dask would print a traceback and could not be closed.
                self.status = Status.running
            if not first.done():
                first.set_result(refusal)
            elif refusal:
                # A progress bar may be there; this has a line of its own.
                tqdm.write(refusal, file=sys.stderr)

    return ReportingJob
