"""Execute notebooks, each in a new kernel process, and look at all that came out."""

from __future__ import annotations

import asyncio
import copy
import os
import re
import sys
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import nbformat
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from spectral_book import strays
from spectral_book.kernel_folders import kernel_folder
from spectral_book.readable import InputError
from spectral_book.working_time import WorkingTime
from spectral_lib.threads import variable, whole_number

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_STARTUP_SECONDS = 180
_POLL_SECONDS = 1.0  # between two looks at the limits of a running cell

OnCell = Callable[[str, int, int], None]
"""Is told a notebook's name, the number of the cell that begins, and of all cells."""


@dataclass(frozen=True)
class Budget:
    """How many notebooks run at the same time, and how many threads each may use."""

    jobs: int
    threads: int

    def kernel_environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of a kernel: `base` with this budget written in.

        Set before the process starts, since the numerical libraries read these
        variables once, when they are first imported.
        """
        libraries = ("SPECTRAL", "OMP_NUM", "MKL_NUM", "OPENBLAS_NUM")
        threads = {f"{name}_THREADS": str(self.threads) for name in libraries}
        return {**base, **threads, "SPECTRAL_BUILD": "1"}


def resolve_budget(
    jobs: object, threads: object, environ: Mapping[str, str], cores: int
) -> Budget:
    """Return the budget that the configuration and the environment ask for.

    `SPECTRAL_JOBS` and `SPECTRAL_THREADS` in `environ` go before the configured values.
    0 jobs are one for each of the usable `cores`, 0 threads the cores divided by jobs.

    Raises
    ------
    ValueError
        If a value is not a whole number of at least 0; the message names it.
    """
    asked_jobs = whole_number("spectral_jobs", jobs)
    asked_threads = whole_number("spectral_threads", threads)
    n_jobs = variable("SPECTRAL_JOBS", environ, asked_jobs) or cores
    at_most = max(1, cores // n_jobs)
    n_threads = variable("SPECTRAL_THREADS", environ, asked_threads) or at_most
    return Budget(n_jobs, n_threads)


@dataclass(frozen=True)
class NotebookJob:
    """A notebook to execute: what messages call it, and its file, which is only read.

    Its kernel works in `folder`, by default the file's. `parameters` are what papermill
    puts into a cell after the one tagged `parameters`; None for no such cell.
    """

    name: str
    path: Path
    folder: Path | None = None
    parameters: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Failure:
    """Where and how a notebook failed.

    `cell` is the cell's number in the notebook's file, the first one being 1, and
    `source` its code; 0 if the notebook failed outside of its cells. `error` is one
    line, the kind of error and its message, and `traceback` may be empty.
    """

    cell: int
    source: str
    error: str
    traceback: str

    def describe(self, name: str) -> str:
        """Return a message that names the chapter, the cell and its first lines."""
        head = f"chapter {name} failed, {self.place()}: {self.error}"
        if self.traceback.strip() == self.error:
            return head  # an error in words for the user, whom no code would help
        lines = [line for line in self.source.splitlines() if line.strip()]
        shown = [f"    {line}" for line in lines[:3]] + ["    ..."] * (len(lines) > 3)
        return "\n".join([head, *shown, *([self.traceback] if self.traceback else [])])

    def place(self) -> str:
        """Return `cell 3`, or that it was outside of the cells."""
        return f"cell {self.cell}" if self.cell else "outside of its cells"


@dataclass(frozen=True)
class Execution:
    """A notebook that was executed, to its end or to its failure."""

    name: str
    notebook: NotebookNode
    seconds: float
    failure: Failure | None


def execute_notebooks(
    jobs: Sequence[NotebookJob],
    *,
    at_once: int,
    environment: Mapping[str, str],
    cell_seconds: float = 0,
    on_cell: OnCell = lambda name, cell, cells: None,
    on_finish: Callable[[Execution], None] = lambda execution: None,
) -> list[Execution]:
    """Execute notebooks in new kernels, `at_once` at a time, in the given order.

    One that fails does not stop the others. `environment` is that of the kernels; a
    cell may work `cell_seconds`, 0 being no limit; `on_cell` is told of each cell that
    begins, `on_finish` of each execution as it ends.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C, when all kernels have been ended.
    """

    async def run_all() -> list[Execution]:
        places = asyncio.Semaphore(at_once)

        async def run_one(job: NotebookJob) -> Execution:
            async with places:
                execution = await execute(
                    job, environment, cell_seconds, on_cell=on_cell
                )
            on_finish(execution)
            return execution

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(run_one(job)) for job in jobs]
        return [task.result() for task in tasks]

    return asyncio.run(run_all())


async def execute(
    job: NotebookJob,
    environment: Mapping[str, str],
    cell_seconds: float = 0,
    total_seconds: float = 0,
    on_cell: OnCell = lambda name, cell, cells: None,
) -> Execution:
    """Execute one notebook; whatever goes wrong is its failure.

    `cell_seconds` count as `working_time` says, `total_seconds` as they pass; 0 is no
    limit. When the task is cancelled, the kernel ends with it.
    """
    started = time.monotonic()
    notebook = nbformat.v4.new_notebook()
    client, raised = None, None
    try:
        notebook = _prepared(job)
        with kernel_folder() as folder:
            client = _Client(
                notebook,
                kernel_manager(folder),
                cell_seconds or float("inf"),
                total_seconds or float("inf"),
                lambda index: on_cell(job.name, index + 1, len(notebook.cells)),
                resources={"metadata": {"path": str(job.folder or job.path.parent)}},
                startup_timeout=_STARTUP_SECONDS,
                # On a busy machine a figure comes late, and would be lost unseen.
                iopub_timeout=_STARTUP_SECONDS,
                raise_on_iopub_timeout=True,
                # Times in the executed file would make two equal builds differ.
                record_timing=False,
            )
            try:
                await client.async_execute(env=_without_user_setup(environment, folder))
            finally:
                strays.show([c for c in notebook.cells if _runs(c)], folder)
    except Exception as error:
        raised = error
    failure = stored_failure(notebook)
    if failure is None and raised is not None:
        index = None if client is None else client.current_cell
        failure = _failure(notebook, index, raised)
    if failure is None:
        failure = _skipped(notebook)
    if failure is not None:
        if client is not None and client.widget_state:
            client.set_widgets_metadata()
        _show_failure(notebook, failure)
    return Execution(job.name, notebook, time.monotonic() - started, failure)


def kernel_manager(folder: Path) -> AsyncKernelManager:
    """Return a manager for one kernel of this interpreter.

    Kernels talk over Unix sockets in a private folder where the system has them:
    TCP ports can be taken by another process between their choice and their use.
    """
    # A socket's path may have about a hundred bytes.
    is_short = len(os.fsencode(folder)) < 80
    transport = "ipc" if sys.platform != "win32" and is_short else "tcp"
    return AsyncKernelManager(
        kernel_name="python3",
        kernel_spec_manager=_ThisPython(),
        transport=transport,
        connection_file=str(folder / "kernel.json"),
    )


def without_outputs(notebook: NotebookNode) -> NotebookNode:
    """Return a copy of a notebook with no result of an earlier run in it.

    nbclient clears a cell when it starts it, so that the cells after a failure
    would otherwise show what they gave some other time.
    """
    clean = copy.deepcopy(notebook)
    clean.metadata.pop("widgets", None)
    for cell in clean.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return clean


def stored_failure(notebook: NotebookNode) -> Failure | None:
    """Return the first error among a notebook's stored outputs, if there is one.

    The kernel calls a cell well whose value could not be shown; the error is among
    the outputs alone. One in a cell tagged `raises-exception` is meant.
    """
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type != "code" or "raises-exception" in _tags(cell):
            continue
        for output in cell.outputs:
            if output.output_type == "error":
                traceback = _ANSI.sub("", "\n".join(output.traceback))
                error = f"{output.ename}: {output.evalue}"
                return Failure(_number(notebook, index), cell.source, error, traceback)
    return None


class _ThisPython(KernelSpecManager):
    """Kernel specifications with one entry: this process's interpreter.

    A `python3` kernel that the user has installed elsewhere would come first in
    Jupyter's search and lack the book's packages.
    """

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return KernelSpec(
            argv=[
                sys.executable,
                *("-m", "ipykernel_launcher", "-f", "{connection_file}"),
                *("--ext", strays.__name__),
            ],
            display_name="Python 3",
            language="python",
        )


class _Client(NotebookClient):
    """A notebook client that watches the running cell and always ends its kernel."""

    current_cell: int | None = None

    def __init__(
        self,
        notebook: NotebookNode,
        kernel: AsyncKernelManager,
        cell_seconds: float,
        total_seconds: float,
        on_cell: Callable[[int], None],
        **kw: Any,
    ) -> None:
        super().__init__(notebook, km=kernel, **kw)
        self.kernel, self.on_cell = kernel, on_cell
        self.cell_seconds, self.total_seconds = cell_seconds, total_seconds
        self.deadline = time.monotonic() + total_seconds

    @asynccontextmanager
    async def async_setup_kernel(self, **kwargs: Any) -> AsyncGenerator[None, None]:
        """Start a kernel, and end it on every way out, Ctrl-C included.

        nbclient's own version installs handlers for Ctrl-C in the event loop,
        where a second notebook's handler would replace the first one's.
        """
        finished = False
        try:
            await self.async_start_new_kernel(**kwargs)
            await self.async_start_new_kernel_client()
            yield
            finished = True
        finally:
            try:
                # A cell past its time may be deep in native code and deaf to
                # requests, so only a notebook that went well may end by itself.
                await self.kernel.shutdown_kernel(now=not finished)
            finally:
                if self.kc is not None:
                    self.kc.stop_channels()

    async def async_execute_cell(
        self, cell: NotebookNode, cell_index: int, *args: Any, **kwargs: Any
    ) -> NotebookNode:
        """Execute one cell as long as the limits allow; remember which one it is.

        Raises
        ------
        CellTimeoutError
            If a limit is passed.
        """
        self.on_cell(cell_index)
        execution = super().async_execute_cell(cell, cell_index, *args, **kwargs)
        if cell.cell_type != "code":
            return await execution
        self.current_cell = cell_index
        pid: int = self.kernel.provisioner.pid  # type: ignore[union-attr]
        time_worked = WorkingTime(pid)
        work = asyncio.create_task(execution)
        try:
            while not work.done():
                self._check_limits(time_worked.seconds())
                left = max(0, self.deadline - time.monotonic())
                await asyncio.wait([work], timeout=min(_POLL_SECONDS, left))
        except BaseException:
            work.cancel()
            # nbclient calls a cancelled cell a dead kernel; it is none.
            await asyncio.gather(work, return_exceptions=True)
            raise
        result = work.result()
        self.current_cell = None
        return result

    def _check_limits(self, worked: float) -> None:
        """Raise a CellTimeoutError once the cell or the notebook took too long."""
        if time.monotonic() >= self.deadline:
            raise CellTimeoutError(
                f"the notebook took more than {self.total_seconds:g} s"
            )
        if worked >= self.cell_seconds:
            raise CellTimeoutError(f"the cell took more than {self.cell_seconds:g} s")


def _prepared(job: NotebookJob) -> NotebookNode:
    """Read a job's notebook, without old results and with its parameters."""
    given = job.parameters
    if given is None:
        notebook = without_outputs(nbformat.read(job.path, as_version=4))
    else:
        notebook = without_outputs(load_notebook_node(str(job.path)))
    kernel = notebook.metadata.get("kernelspec", {})
    written = notebook.metadata.get("language_info", {})
    language = kernel.get("language") or written.get("name") or kernel.get("name")
    if not (language or "python").lower().startswith(("python", "ipython")):
        raise InputError(
            f"{job.path} is written in {language}; the book runs Python, so translate "
            "its cells and choose a Python kernel for it."
        )
    if given is None:
        return notebook
    return parameterize_notebook(
        notebook, dict(given), kernel_name="python3", language="python"
    )


def _without_user_setup(environment: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Return a kernel's environment without what its user set up for other work.

    IPython runs startup files, and matplotlib reads settings, which would change a
    notebook's results on one machine. `SPECTRAL_IPYTHONDIR` names a folder for
    IPython, to watch what happens in kernels.
    """
    ipython, drawing = folder / "ipython", folder / "matplotlib"
    ipython.mkdir()
    drawing.mkdir()
    # What matplotlib knows of the fonts; it would take long to find them each time.
    for fonts in Path(mpl.get_cachedir()).glob("fontlist-*.json"):
        (drawing / fonts.name).symlink_to(fonts)
    private = {
        "IPYTHONDIR": environment.get("SPECTRAL_IPYTHONDIR", str(ipython)),
        "MPLCONFIGDIR": str(drawing),
        # Another one would print figures as text.
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    }
    users = {"PYTHONSTARTUP", "MATPLOTLIBRC"}
    return {k: v for k, v in environment.items() if k not in users} | private


def _tags(cell: NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def _runs(cell: NotebookNode) -> bool:
    """Return whether nbclient sends a cell to the kernel."""
    is_code = cell.cell_type == "code" and bool(cell.source.strip())
    return is_code and "skip-execution" not in _tags(cell)


def _number(notebook: NotebookNode, index: int) -> int:
    """Return the number in the file of a cell; papermill's own has that before it."""
    cells = notebook.cells[: index + 1]
    return index + 1 - sum("injected-parameters" in _tags(cell) for cell in cells)


def _failure(notebook: NotebookNode, index: int | None, error: Exception) -> Failure:
    """Return what was raised, and in which cell."""
    message = f"{type(error).__name__}: {error}"
    if isinstance(error, CellExecutionError):
        message = f"{error.ename}: {error.evalue}"
    elif isinstance(error, DeadKernelError):
        message = "DeadKernelError: the kernel process died"
    if index is None:
        return Failure(0, "", message, "")
    source = notebook.cells[index].source
    return Failure(_number(notebook, index), source, message, "")


def _skipped(notebook: NotebookNode) -> Failure | None:
    """Return that a cell did not run, as after `exit()` in the one before."""
    for index, cell in enumerate(notebook.cells):
        if _runs(cell) and not cell.execution_count:
            message = "RuntimeError: the cell did not run"
            return Failure(_number(notebook, index), cell.source, message, "")
    return None


def _show_failure(notebook: NotebookNode, failure: Failure) -> None:
    """Make sure that the notebook shows the error, in its cell or in a new one."""
    numbers = [_number(notebook, index) for index in range(len(notebook.cells))]
    if failure.cell:
        cell = notebook.cells[numbers.index(failure.cell)]
    else:
        cell = nbformat.v4.new_code_cell()
        notebook.cells.append(cell)
    # A tag such as remove-output would keep the error off the page.
    cell.metadata["tags"] = [
        tag for tag in _tags(cell) if not tag.startswith(("hide", "remove"))
    ]
    if not any(output.output_type == "error" for output in cell.outputs):
        # A timeout or a dead kernel leaves no output of its own.
        ename, _, evalue = failure.error.partition(": ")
        output = nbformat.v4.new_output(
            "error", ename=ename, evalue=evalue, traceback=[failure.error]
        )
        cell.outputs.append(output)
