"""What went wrong in an executed notebook: which cell, and in which words."""

import re
from dataclasses import dataclass

import nbformat
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import NotebookNode

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


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


def raised_failure(
    notebook: NotebookNode, index: int | None, error: Exception
) -> Failure:
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


def skipped(notebook: NotebookNode) -> Failure | None:
    """Return that a cell did not run, as after `exit()` in the one before."""
    for index, cell in enumerate(notebook.cells):
        if runs(cell) and not cell.execution_count:
            message = "RuntimeError: the cell did not run"
            return Failure(_number(notebook, index), cell.source, message, "")
    return None


def show_failure(notebook: NotebookNode, failure: Failure) -> None:
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


def _tags(cell: NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def runs(cell: NotebookNode) -> bool:
    """Return whether nbclient sends a cell to the kernel."""
    is_code = cell.cell_type == "code" and bool(cell.source.strip())
    return is_code and "skip-execution" not in _tags(cell)


def _number(notebook: NotebookNode, index: int) -> int:
    """Return the number in the file of a cell; papermill's own has that before it."""
    cells = notebook.cells[: index + 1]
    return index + 1 - sum("injected-parameters" in _tags(cell) for cell in cells)
