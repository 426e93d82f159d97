"""Workers that a batch system starts: Slurm, PBS or SGE, through dask-jobqueue."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from spectral_book.sweeps.errors import SweepError
from spectral_book.sweeps.readable import sentences
from spectral_book.sweeps.sweep import read_yaml

Count = Annotated[int, Field(ge=1)]

SUBMIT = {"slurm": "sbatch", "pbs": "qsub", "sge": "qsub"}
"""The command that submits a job, by batch system."""


class ClusterFile(BaseModel):
    """How a batch system starts the workers of a sweep.

    Attributes
    ----------
    scheduler
        The batch system.
    jobs
        The most jobs to have in it at a time; they come and go with the work.
    cores, memory
        What one job asks for, such as 4 and `16GB`.
    points
        Points that run at the same time in one job; each has its share of the cores.
    gpus
        Whether a job asks for a GPU, which its points share.
    queue, account, walltime
        As the batch system takes them.
    directives
        More lines for the head of the job script, without `#SBATCH` and the like.
    prologue
        Commands before the worker starts, such as `module load cuda`.
    interface
        The network interface between workers and scheduler, such as `ib0`.
    python
        The interpreter on the workers; by default this one.
    logs
        The folder for the batch system's output.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    scheduler: Literal["slurm", "pbs", "sge"]
    jobs: Count
    cores: Count
    memory: str
    points: Count = 1
    gpus: Literal[0, 1] = 0
    queue: str | None = None
    account: str | None = None
    walltime: str | None = None
    directives: list[str] = []
    prologue: list[str] = []
    interface: str | None = None
    python: str = sys.executable
    logs: str | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.points > self.cores:
            raise ValueError(
                f"{self.points} points need more than {self.cores} cores; "
                "use fewer points or more cores"
            )
        return self

    @property
    def threads(self) -> int:
        """Threads for each point."""
        return self.cores // self.points


def load_cluster(path: Path, *, needs_gpu: bool = False) -> ClusterFile:
    """Read a cluster file.

    Raises
    ------
    SweepError
        If it is not there, says what is not known, or has no GPU where one is needed.
    """
    if not path.is_file():
        raise SweepError(f"there is no cluster file {path}")
    try:
        file = ClusterFile.model_validate(read_yaml(path))
    except ValidationError as error:
        known = list(ClusterFile.model_fields)
        raise SweepError(f"{path}: {sentences(error, known)}") from None
    if needs_gpu and not file.gpus:
        raise SweepError(
            f"points ask for device 'cuda', but {path} asks for no GPU; add gpus: 1"
        )
    return file


def job_script(file: ClusterFile, address: str = "tcp://scheduler:8786") -> str:
    """Return the script that is submitted to start the workers of one job."""
    kind = _cluster_class(file).job_cls
    return kind(address, "workers", **_job_settings(file)).job_script()


@contextmanager
def started(file: ClusterFile) -> Iterator[Any]:
    """A Dask cluster with its scheduler here; its jobs are cancelled after the block.

    Jobs are submitted while points wait, and end when none do.

    Raises
    ------
    SweepError
        If jobs cannot be submitted from here, or the first one is refused.
    """
    command = SUBMIT[file.scheduler]
    if shutil.which(command) is None:
        raise SweepError(
            f"scheduler is {file.scheduler}, but there is no command {command!r} here; "
            "start the sweep where jobs are submitted, or leave out the cluster file"
        )
    first: Future[str] = Future()

    def tell(refusal: str) -> None:
        if not first.done():
            first.set_result(refusal)
        elif refusal:
            print(f"{command} refused a job: {refusal}", file=sys.stderr)

    kind = _cluster_class(file)
    job = _telling(kind.job_cls, tell)
    with kind(job_cls=job, **_job_settings(file)) as cluster:
        cluster.adapt(minimum_jobs=1, maximum_jobs=file.jobs)
        if refusal := first.result():
            raise SweepError(
                f"{command} refused the first job: {refusal}; change the cluster file, "
                "whose script `spectral-batch job-script` shows"
            )
        yield cluster


def _telling(job: Any, tell: Callable[[str], None]) -> Any:
    """Return a kind of job that tells why it was refused, or `""` if it was not.

    Dask by itself logs a refusal and waits for the workers for ever.
    """
    from distributed import Status

    class Telling(job):  # type: ignore[misc]
        async def start(self) -> None:
            refusal = ""
            try:
                await super().start()
            except (OSError, RuntimeError, ValueError) as error:
                refusal = _said(error)
                # Not raised: Dask would print a traceback and could not be closed.
                self.status = Status.running
            tell(refusal)

    return Telling


def _said(error: Exception) -> str:
    """What a command printed on its way out, or all that is known of it."""
    whole = str(error)
    return " ".join(whole.rpartition("stderr:")[2].split()) or " ".join(whole.split())


def _cluster_class(file: ClusterFile) -> Any:
    """Return dask-jobqueue's class for the batch system.

    Raises
    ------
    SweepError
        If dask-jobqueue is not installed.
    """
    try:
        import dask_jobqueue
    except ImportError as error:
        raise SweepError(
            "a batch system needs more packages: "
            "pip install 'spectral-bias-book[batch]'"
        ) from error
    return getattr(dask_jobqueue, f"{file.scheduler.upper()}Cluster")


def _job_settings(file: ClusterFile) -> dict[str, Any]:
    """Return the settings of one job, in dask-jobqueue's terms."""
    threads = str(file.threads)
    names = ("SPECTRAL_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    settings: dict[str, Any] = {
        # For dask-jobqueue these are threads of the workers, of which each runs one
        # point; the cores of the job are for the threads of the points.
        "cores": file.points,
        "memory": file.memory,
        "processes": file.points,
        "queue": file.queue,
        "walltime": file.walltime,
        "python": file.python,
        "interface": file.interface,
        "log_directory": file.logs,
        "job_name": "spectral-batch",
        "job_directives_skip": [],
        "job_extra_directives": [*_gpu_directives(file), *file.directives],
        "job_script_prologue": [f"export {n}={threads}" for n in names] + file.prologue,
        "worker_extra_args": ["--resources", "GPU=1"] if file.gpus else [],
    }
    settings["project" if file.scheduler == "sge" else "account"] = file.account
    if file.scheduler == "slurm":
        settings["job_cpu"] = file.cores
    elif file.scheduler == "pbs":
        gpus = f":ngpus={file.gpus}" if file.gpus else ""
        settings["resource_spec"] = (
            f"select=1:ncpus={file.cores}:mem={file.memory}{gpus}"
        )
    return settings


def _gpu_directives(file: ClusterFile) -> list[str]:
    """Return how the batch system is asked for a GPU, where it has a usual way."""
    usual = {"slurm": ["--gres=gpu:1"], "pbs": [], "sge": ["-l gpu=1"]}
    return usual[file.scheduler] if file.gpus else []
