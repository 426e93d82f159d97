"""The run of one point: papermill with a kernel of its own, and what came of it."""

from __future__ import annotations

import asyncio
import re
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jupyter_client import AsyncKernelManager
from jupyter_core.utils import ensure_event_loop
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from papermill import PapermillExecutionError, execute_notebook
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import (
    NBClientEngine,
    NotebookExecutionManager,
    papermill_engines,
)
from papermill.execute import ERROR_MARKER_TAG

from spectral_book.claims.ledger import claims_of
from spectral_book.sweeps.errors import StorageError
from spectral_book.sweeps.manifest import Outcome
from spectral_book.sweeps.pool import Job, Kernels, worker_kernels
from spectral_book.sweeps.results import Record, finished, store, store_failed
from spectral_book.sweeps.sweep import Point
from spectral_lib.code_hash import code_hash

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_LINES = 12  # of a traceback, in the manifest
_ENGINE = "spectral-batch"


def run_point(
    job: Job,
    point: Point,
    kernels: Kernels | None = None,
    extra: Mapping[str, str] = {},
) -> Outcome:
    """Run a point and store its results; whatever goes wrong is in the outcome.

    A point whose results are there already, since a worker ended after it had stored
    them and before it could say so, is not run again.

    Parameters
    ----------
    job, point
        What to run.
    kernels
        Where its kernel comes from; those of the sweep in this process by default.
    extra
        More variables of its environment.
    """
    host = socket.gethostname()
    library = code_hash()
    code = f"{job.code}-{library}"
    record = finished(job.out, point.id)
    if record is not None and record["code"] == code:
        return Outcome(point.id, "done", record["seconds"], record["host"], code)
    started = time.monotonic()
    environment = {**job.environment(), **extra}
    run = _PointRun(job, point, environment)
    error: Exception | None = None
    try:
        notebook = run.execute(kernels or worker_kernels(job.token), library)
        claims = claims_of(job.chapter, notebook)
    except Exception as problem:
        error = problem
    seconds = round(time.monotonic() - started, 3)
    try:
        if error is None:
            new: Record = {
                "id": point.id,
                "chapter": job.chapter,
                "parameters": point.parameters,
                "code": code,
                "seconds": seconds,
                "host": host,
                "finished": time.strftime("%Y-%m-%d %H:%M:%S"),
                "claims": claims,
            }
            store(job.out, new, notebook)
            return Outcome(point.id, "done", seconds, host, code)
        if run.notebook is not None:
            store_failed(job.out, point.id, run.notebook)
    except StorageError as problem:
        return Outcome(point.id, "unstored", seconds, host, code, 0, str(problem))
    cell, message, traceback = run.describe(error)
    return Outcome(point.id, "failed", seconds, host, code, cell, message, traceback)


class _PointRun:
    """One run of a point: its notebook and the cell that is being executed."""

    def __init__(self, job: Job, point: Point, environment: Mapping[str, str]) -> None:
        self.job, self.point, self.environment = job, point, dict(environment)
        self.notebook: NotebookNode | None = None
        self.cell: int | None = None
        self.deadline = time.monotonic() + (job.point_seconds or float("inf"))

    def execute(self, kernels: Kernels, library: str) -> NotebookNode:
        """Execute the notebook with papermill, in memory."""
        papermill_engines.register(_ENGINE, _Engine)
        with _event_loop(), tempfile.TemporaryDirectory(prefix="point-") as folder:
            manager = kernels.manager(self.job, library, Path(folder))
            try:
                return execute_notebook(
                    # papermill takes braces in a path for places to fill in.
                    str(self.job.source).replace("{", "{{").replace("}", "}}"),
                    None,
                    self.point.given,
                    engine_name=_ENGINE,
                    progress_bar=False,
                    run=self,
                    manager=manager,
                )
            finally:
                kernels.forget(manager)

    def seconds_for_cell(self, cell: NotebookNode) -> float:
        """Return how long the next cell may take; 0 for no limit."""
        left = max(self.deadline - time.monotonic(), 0.01)
        limit = min(self.job.cell_seconds or float("inf"), left)
        return 0 if limit == float("inf") else limit

    def describe(self, error: Exception) -> tuple[int, str, str]:
        """Return the cell's number in the chapter's file, one line, the last lines."""
        lines: list[str] = []
        index = self.cell
        if isinstance(error, PapermillExecutionError):
            index = error.cell_index
            message = f"{error.ename}: {error.evalue}"
            lines = _ANSI.sub("", "\n".join(error.traceback)).splitlines()
        elif isinstance(error, CellTimeoutError):
            message = f"CellTimeoutError: {self._limit()}"
        elif isinstance(error, DeadKernelError):
            message = "DeadKernelError: the kernel process died"
        else:
            message = f"{type(error).__name__}: {error}"
        message = " ".join(message.split())
        return self._number(index), message, "\n".join(lines[-_LINES:])

    def _limit(self) -> str:
        if time.monotonic() >= self.deadline:
            return f"the point took more than {self.job.point_seconds:g} s"
        return f"the cell took more than {self.job.cell_seconds:g} s"

    def _number(self, index: int | None) -> int:
        """Return a cell's number without the cells that papermill has put in.

        `index` counts the cell with the parameters, but none that marks an error.
        """
        if index is None or self.notebook is None:
            return 0
        tags = [cell.metadata.get("tags", []) for cell in self.notebook.cells]
        unmarked = [found for found in tags if ERROR_MARKER_TAG not in found]
        added = sum("injected-parameters" in found for found in unmarked[:index])
        return index + 1 - added


@contextmanager
def _event_loop() -> Iterator[None]:
    """Close the event loop that Jupyter's clients make for each thread and keep."""
    loop = ensure_event_loop()
    try:
        yield
    finally:
        loop.close()
        asyncio.set_event_loop(None)


class _Engine(NBClientEngine):
    """papermill's engine with a given kernel, and without its traps.

    papermill by itself marks cells that never ran as completed when a cell takes too
    long, and leaves the kernel's environment to chance.
    """

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: NotebookExecutionManager,
        kernel_name: str,
        *,
        run: _PointRun,
        manager: AsyncKernelManager,
        **kwargs: Any,
    ) -> NotebookNode:
        """Execute the notebook; papermill looks for errors in it afterwards."""
        run.notebook = nb_man.nb
        client = _Client(
            nb_man,
            km=manager,
            run=run,
            timeout_func=run.seconds_for_cell,
            startup_timeout=180,
            # The results are here by then; nothing is gained by a slow farewell.
            shutdown_kernel="immediate",
            resources={"metadata": {"path": str(run.job.folder)}},
        )
        try:
            return client.execute(env=run.environment, cleanup_kc=True)
        except (CellTimeoutError, DeadKernelError):
            if run.cell is not None:
                cell = nb_man.nb.cells[run.cell]
                nb_man.cell_exception(cell, cell_index=run.cell)
            raise


class _Client(PapermillNotebookClient):
    """papermill's client, which tells the run which cell is being executed."""

    def __init__(
        self, nb_man: NotebookExecutionManager, run: _PointRun, **kwargs: Any
    ) -> None:
        super().__init__(nb_man, **kwargs)
        self.run = run

    def execute_cell(
        self, cell: NotebookNode, cell_index: int, *args: Any, **kwargs: Any
    ) -> NotebookNode:
        """Execute one cell and remember which one it is."""
        self.run.cell = cell_index
        result = super().execute_cell(cell, cell_index, *args, **kwargs)
        self.run.cell = None
        return result
