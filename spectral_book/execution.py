"""Execution of the book's chapters, several at a time, one kernel process each."""

from __future__ import annotations

import asyncio
import copy
import re
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbclient.exceptions import (
    CellExecutionError,
    CellTimeoutError,
    DeadKernelError,
)
from nbformat import NotebookNode

from spectral_book.kernels import ChapterClient, kernel_manager

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_STARTUP_SECONDS = 180


@dataclass(frozen=True)
class Chapter:
    """A notebook of the book: its document name and its file.

    Its kernel works in ``folder``, by default that of the file.
    """

    docname: str
    path: Path
    folder: Path | None = None


@dataclass(frozen=True)
class Failure:
    """Where and how a chapter failed.

    Attributes
    ----------
    cell
        Number of the cell in the notebook, the first one being 1; 0 if the
        chapter failed outside of its cells.
    source
        The code of that cell.
    error
        One line: the kind of error and its message.
    traceback
        The traceback as text, empty if there is none.
    """

    cell: int
    source: str
    error: str
    traceback: str

    def describe(self, docname: str) -> str:
        """Return a message that names the chapter, the cell and its first lines."""
        where = f"cell {self.cell}" if self.cell else "outside of its cells"
        head = f"chapter {docname} failed, {where}: {self.error}"
        if self.traceback.strip() == self.error:
            return head  # an error in words for the user, whom no code would help
        lines = [line for line in self.source.splitlines() if line.strip()]
        shown = [f"    {line}" for line in lines[:3]] + ["    ..."] * (len(lines) > 3)
        return "\n".join([head, *shown, *([self.traceback] if self.traceback else [])])


@dataclass(frozen=True)
class Run:
    """A chapter that has been executed, to its end or to its failure."""

    docname: str
    notebook: NotebookNode
    seconds: float
    failure: Failure | None


def execute_chapters(
    chapters: Sequence[Chapter],
    *,
    jobs: int,
    environment: Mapping[str, str],
    timeout: int,
    on_finish: Callable[[Run], None],
) -> list[Run]:
    """Execute notebooks in new kernels, `jobs` at a time, started in the given order.

    A failing chapter does not stop the others. The files are only read.

    Parameters
    ----------
    chapters
        What to execute.
    jobs
        How many kernels may run at the same time.
    environment
        The environment variables of the kernels.
    timeout
        Seconds that one cell may take; 0 or less for no limit.
    on_finish
        Called with each chapter's result as it becomes ready.

    Returns
    -------
    list of Run
        In the order of `chapters`.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C, when all kernels have been ended.
    """

    async def run_all() -> list[Run]:
        places = asyncio.Semaphore(jobs)

        async def run_one(chapter: Chapter) -> Run:
            async with places:
                run = await _execute(chapter, environment, timeout)
            on_finish(run)
            return run

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(run_one(chapter)) for chapter in chapters]
        return [task.result() for task in tasks]

    return asyncio.run(run_all())


async def _execute(
    chapter: Chapter, environment: Mapping[str, str], timeout: int
) -> Run:
    """Execute one notebook; whatever goes wrong is this chapter's failure."""
    started = time.monotonic()
    notebook = nbformat.v4.new_notebook()
    client, path = None, chapter.path
    try:
        notebook = without_outputs(nbformat.read(path, as_version=4))
        with tempfile.TemporaryDirectory(prefix="chapter-") as folder:
            client = ChapterClient(
                notebook,
                kernel_manager(Path(folder)),
                resources={"metadata": {"path": str(chapter.folder or path.parent)}},
                timeout=timeout if timeout > 0 else None,
                startup_timeout=_STARTUP_SECONDS,
                # Times in the executed file would make two equal builds differ.
                record_timing=False,
            )
            await client.async_execute(env=dict(environment))
        failure = None
    except Exception as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            # nbclient reports a cancelled cell (Ctrl-C) as a dead kernel.
            raise asyncio.CancelledError from error
        cell = None if client is None else client.current_cell
        failure = _failure(notebook, cell, error, timeout)
        if client is not None and client.widget_state:
            client.set_widgets_metadata()
        _show_failure(notebook, failure)
    return Run(chapter.docname, notebook, time.monotonic() - started, failure)


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

    An error in a cell tagged `raises-exception` is meant and does not count.
    """
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type != "code":
            continue
        if "raises-exception" in cell.metadata.get("tags", []):
            continue
        for output in cell.outputs:
            if output.output_type == "error":
                traceback = _ANSI.sub("", "\n".join(output.traceback))
                error = f"{output.ename}: {output.evalue}"
                return Failure(number, cell.source, error, traceback)
    return None


def _failure(
    notebook: NotebookNode, index: int | None, error: Exception, timeout: int
) -> Failure:
    """Return what went wrong, and in which cell."""
    number, source = 0, ""
    if index is not None:
        number, source = index + 1, notebook.cells[index].source
    if isinstance(error, CellExecutionError):
        stored = stored_failure(notebook)
        if stored is not None and stored.cell == number:
            return stored
        text = _ANSI.sub("", error.traceback)
        return Failure(number, source, f"{error.ename}: {error.evalue}", text)
    if isinstance(error, CellTimeoutError):
        message = f"CellTimeoutError: the cell took more than {timeout} s"
    elif isinstance(error, DeadKernelError):
        message = "DeadKernelError: the kernel process died"
    else:
        message = f"{type(error).__name__}: {error}"
    return Failure(number, source, message, "")


def _show_failure(notebook: NotebookNode, failure: Failure) -> None:
    """Make sure that the page of a failed chapter shows the error."""
    if not failure.cell:
        notebook.cells.append(nbformat.v4.new_code_cell())
    cell = notebook.cells[failure.cell - 1]
    # A tag such as remove-output would keep the error off the page.
    tags = cell.metadata.get("tags", [])
    cell.metadata["tags"] = [t for t in tags if not t.startswith(("hide", "remove"))]
    if not any(output.output_type == "error" for output in cell.outputs):
        # A timeout or a dead kernel leaves no output of its own.
        ename, _, evalue = failure.error.partition(": ")
        output = nbformat.v4.new_output(
            "error", ename=ename, evalue=evalue, traceback=[failure.error]
        )
        cell.outputs.append(output)
