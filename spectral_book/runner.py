"""Execute notebooks, each in a new kernel process, and look at all that came out."""

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError
from nbformat import NotebookNode
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from spectral_book import strays
from spectral_book.failures import (
    Failure,
    raised_failure,
    runs,
    show_failure,
    skipped,
    stored_failure,
)
from spectral_book.kernels import kernel_folder, kernel_manager, without_user_setup
from spectral_book.readable import InputError
from spectral_book.working_time import WorkingTime

_STARTUP_SECONDS = 180
_POLL_SECONDS = 1.0  # between two looks at a running cell
_LEFT = re.compile(r"\[[\d:]+(?:<|&lt;)([\d:]+),")  # in the text of tqdm's bars

OnCell = Callable[[str, int, int, str], None]
"""Is told a notebook's name, the running cell's number, that of all, and its bar."""


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
    on_cell: OnCell = lambda name, cell, cells, bar: None,
    on_finish: Callable[[Execution], None] = lambda execution: None,
) -> list[Execution]:
    """Execute notebooks in new kernels, `at_once` at a time, in the given order.

    One that fails does not stop the others. `environment` is that of the kernels; a
    cell may work `cell_seconds`, 0 being no limit; `on_cell` is told of each cell that
    begins and, every second, what its progress bar shows; `on_finish` of each execution
    as it ends. After Ctrl-C, KeyboardInterrupt when all kernels have been ended.
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
    on_cell: OnCell = lambda name, cell, cells, bar: None,
) -> Execution:
    """Execute one notebook; whatever goes wrong is its failure.

    `cell_seconds` count as `working_time` says, `total_seconds` as they pass; 0 is no
    limit. When the task is cancelled, the kernel ends with it.
    """
    started = time.monotonic()
    notebook = nbformat.v4.new_notebook()
    client, raised = None, None
    limit = asyncio.timeout(total_seconds or None)
    try:
        notebook = _prepared(job)
        with kernel_folder() as folder:
            client = _Client(
                notebook,
                kernel_manager(folder),
                cell_seconds or float("inf"),
                lambda index, bar: on_cell(
                    job.name, index + 1, len(notebook.cells), bar
                ),
                resources={"metadata": {"path": str(job.folder or job.path.parent)}},
                startup_timeout=_STARTUP_SECONDS,
                # On a busy machine a figure comes late, and would be lost unseen.
                iopub_timeout=_STARTUP_SECONDS,
                raise_on_iopub_timeout=True,
                # Times in the executed file would make two equal builds differ.
                record_timing=False,
            )
            try:
                async with limit:
                    environment = without_user_setup(environment, folder)
                    await client.async_execute(env=environment)
            finally:
                strays.show([c for c in notebook.cells if runs(c)], folder)
    except Exception as error:
        raised = error
    if limit.expired():
        raised = CellTimeoutError(f"the notebook took more than {total_seconds:g} s")
    failure = stored_failure(notebook)
    if failure is None and raised is not None:
        index = None if client is None else client.current_cell
        failure = raised_failure(notebook, index, raised)
    if failure is None:
        failure = skipped(notebook)
    if failure is not None:
        if client is not None and client.widget_state:
            client.set_widgets_metadata()
        show_failure(notebook, failure)
    return Execution(job.name, notebook, time.monotonic() - started, failure)


def bar_of(widgets: Iterable[Mapping[str, Any]]) -> str:
    """Return what the last progress bar among widgets shows; empty if there is none.

    Such a bar has a text at its left, with the share done, and one at its right, with
    the time taken and left.
    """
    texts = [w.get("value", "") for w in widgets if w.get("_model_name") == "HTMLModel"]
    found = _LEFT.search(texts[-1]) if len(texts) > 1 else None
    return "" if found is None else f"{' '.join(texts[-2].split())}, {found[1]} left"


class _Client(NotebookClient):
    """A notebook client that watches the running cell and always ends its kernel."""

    current_cell: int | None = None

    def __init__(
        self,
        notebook: NotebookNode,
        kernel: AsyncKernelManager,
        cell_seconds: float,
        on_cell: Callable[[int, str], None],
        **kw: Any,
    ) -> None:
        super().__init__(notebook, km=kernel, **kw)
        self.kernel, self.on_cell = kernel, on_cell
        self.cell_seconds = cell_seconds

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
        """Execute one cell as long as the limits allow; remember which one it is."""
        self.on_cell(cell_index, "")
        execution = super().async_execute_cell(cell, cell_index, *args, **kwargs)
        if cell.cell_type != "code":
            return await execution
        self.current_cell = cell_index
        pid: int = self.kernel.provisioner.pid  # type: ignore[union-attr]
        time_worked = WorkingTime(pid)
        before = len(self.widget_state)  # those of earlier cells
        work = asyncio.create_task(execution)
        try:
            while not work.done():
                if time_worked.seconds() >= self.cell_seconds:
                    raise CellTimeoutError(
                        f"the cell took more than {self.cell_seconds:g} s"
                    )
                await asyncio.wait([work], timeout=_POLL_SECONDS)
                shown = islice(self.widget_state.values(), before, None)
                self.on_cell(cell_index, bar_of(shown))
        except BaseException:
            work.cancel()
            # nbclient calls a cancelled cell a dead kernel; it is none.
            await asyncio.gather(work, return_exceptions=True)
            raise
        result = work.result()
        self.current_cell = None
        return result


def _prepared(job: NotebookJob) -> NotebookNode:
    """Read a job's notebook, without old results and with its parameters."""
    given = job.parameters
    if given is None:
        notebook = nbformat.read(job.path, as_version=4)
    else:
        notebook = load_notebook_node(str(job.path))
    # nbclient clears a cell when it starts it, so that the cells after a failure would
    # show what they gave some other time.
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
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
