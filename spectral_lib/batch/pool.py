"""The kernels of one process, and what the points of a sweep have in common."""

from __future__ import annotations

import functools
import os
import threading
from dataclasses import dataclass
from pathlib import Path

from jupyter_client import AsyncKernelManager

from spectral_lib.batch.errors import SweepError
from spectral_lib.batch.warm import ForkServer, can_fork, warm_manager
from spectral_lib.book.budget import Budget
from spectral_lib.book.kernels import kernel_manager


@dataclass(frozen=True)
class Job:
    """What the points of a sweep have in common.

    Attributes
    ----------
    out
        The output folder, absolute and the same for all machines.
    chapter
        The chapter's name.
    folder
        Where the kernels work: the chapter's folder.
    source
        The copy of the notebook that this sweep runs.
    code
        The hash of the chapter.
    imports
        What a warm process imports before it forks kernels; None for kernels that
        are started anew.
    threads
        Threads for each point; 0 for as many as the worker's SPECTRAL_THREADS says.
    cell_seconds, point_seconds
        Time limits; 0 for none.
    """

    out: Path
    chapter: str
    folder: Path
    source: Path
    code: str
    imports: tuple[str, ...] | None
    threads: int = 0
    cell_seconds: float = 0
    point_seconds: float = 0

    def environment(self) -> dict[str, str]:
        """Return the environment of the kernels on this machine."""
        budget = Budget(jobs=1, threads=self.threads or thread_budget())
        return budget.kernel_environment(os.environ)


def thread_budget() -> int:
    """Return the threads for a point on this machine: SPECTRAL_THREADS, or one.

    Raises
    ------
    SweepError
        If the variable is no whole number of at least one.
    """
    text = os.environ.get("SPECTRAL_THREADS", "1")
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise SweepError(f"SPECTRAL_THREADS is {text!r}; give a whole number >= 1")
    return int(text)


class Kernels:
    """The kernels of this process, and the warm process that they are forked from."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[AsyncKernelManager] = set()
        self._server: ForkServer | None = None
        self._made_for: object = None
        self.is_closed = False

    def manager(self, job: Job, library: str, folder: Path) -> AsyncKernelManager:
        """Return a manager for a new kernel; see :meth:`forget`."""
        with self._lock:
            if self.is_closed:
                raise RuntimeError("the sweep is being ended")
            if job.imports is None or not can_fork():
                manager = kernel_manager(folder)
            else:
                manager = warm_manager(folder, self._warm(job, library))
            self._running.add(manager)
        return manager

    def forget(self, manager: AsyncKernelManager) -> None:
        """Let go of a kernel that has ended."""
        with self._lock:
            self._running.discard(manager)

    def close(self) -> None:
        """End all kernels at once; the points they run fail, and no more can start."""
        with self._lock:
            self.is_closed = True
            if self._server is not None:
                self._server.close()
            for manager in self._running:
                process = getattr(manager.provisioner, "process", None)
                if process is not None:
                    process.kill()

    def _warm(self, job: Job, library: str) -> ForkServer:
        """Return a warm process for this job and this state of the library."""
        wanted = (job.imports, job.environment(), library)
        if self._server is not None and (
            wanted != self._made_for or not self._server.is_alive()
        ):
            self._server.close()
            self._server = None
        if self._server is None:
            assert job.imports is not None
            self._server = ForkServer(job.imports, job.environment())
            self._made_for = wanted
        return self._server


@functools.cache
def process_kernels() -> Kernels:
    """Return the kernels of this process, for workers that know no other place."""
    return Kernels()
