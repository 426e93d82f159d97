"""The kernels of one process, and what the points of a sweep have in common."""

from __future__ import annotations

import functools
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from jupyter_client import AsyncKernelManager

from spectral_book.budget import Budget
from spectral_book.kernels import kernel_manager
from spectral_book.sweeps.errors import SweepError
from spectral_book.sweeps.warm import ForkServer, can_fork, warm_manager


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
    token
        What sets this call apart from others that share its workers.
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
    token: str = ""
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
    """The kernels of a sweep in this process, and what they are forked from.

    When the library changes, the next kernels come from a new warm process; the old one
    ends with the last of its kernels.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[AsyncKernelManager, ForkServer | None] = {}
        self._server: ForkServer | None = None  # for the next kernel
        self._made_for: object = None
        self._used = time.monotonic()
        self.is_closed = False

    def manager(self, job: Job, library: str, folder: Path) -> AsyncKernelManager:
        """Return a manager for a new kernel; see :meth:`forget`."""
        with self._lock:
            if self.is_closed:
                raise RuntimeError("the sweep is being ended")
            server = self._warm(job, library)
            if server is None:
                manager = kernel_manager(folder)
            else:
                manager = warm_manager(folder, server)
            self._running[manager] = server
        return manager

    def forget(self, manager: AsyncKernelManager) -> None:
        """Let go of a kernel that has ended."""
        with self._lock:
            self._end_unused(self._running.pop(manager, None))
            self._used = time.monotonic()

    def close(self) -> None:
        """End all kernels at once; the points they run fail, and no more can start."""
        with self._lock:
            self.is_closed = True
            for server in {self._server, *self._running.values()}:
                if server is not None:
                    server.close()
            for manager in self._running:
                process = getattr(manager.provisioner, "process", None)
                if process is not None:
                    process.kill()

    def cool(self, seconds: float = 60) -> None:
        """End the warm process if there was no kernel for some time."""
        with self._lock:
            if not self._running and time.monotonic() - self._used > seconds:
                idle, self._server = self._server, None
                self._end_unused(idle)

    def _warm(self, job: Job, library: str) -> ForkServer | None:
        """Return a warm process for this state of the library; None to do without."""
        if job.imports is None or not can_fork():
            return None
        wanted = (job.imports, job.environment(), library)
        if (
            self._server is None
            or wanted != self._made_for
            or not self._server.is_alive()
        ):
            old = self._server
            self._server = ForkServer(job.imports, job.environment())
            self._made_for = wanted
            self._end_unused(old)
        return self._server

    def _end_unused(self, server: ForkServer | None) -> None:
        """End a warm process that no running kernel came from and no new one will."""
        users = (self._server, *self._running.values())
        if server is not None and server not in users:
            server.close()


@functools.cache
def _sweeps() -> dict[str, Kernels]:
    """The kernels of each sweep that this process, a worker, has had points of."""
    return {}


def worker_kernels(token: str) -> Kernels:
    """Return the kernels of a sweep here; warm processes that others left idle end."""
    for other, kernels in list(_sweeps().items()):
        if other != token:
            kernels.cool()
    return _sweeps().setdefault(token, Kernels())
