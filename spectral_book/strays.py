"""Errors of threads and asyncio tasks: they end no cell, so a kernel notes them."""

import atexit
import gc
import json
import logging
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

_FILE = "strays.jsonl"
_CELL = re.compile(r"Cell In\[(\d+)\]")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def show(cells: Sequence[NotebookNode], folder: Path) -> None:
    """Put what the kernel of a folder has noted among the outputs of the cells it ran.

    An error belongs to the cell that ran then, or the outermost one of its traceback.
    """
    file = folder / _FILE
    for line in file.read_text("utf-8").splitlines() if file.exists() else ():
        error = json.loads(line)
        named = _CELL.search(_COLOUR.sub("", "\n".join(error["traceback"])))
        number = error.pop("cell") or (int(named[1]) if named else len(cells))
        cells[number - 1].outputs.append(nbformat.v4.new_output("error", **error))


def load_ipython_extension(shell: Any) -> None:
    """Note from now on what goes wrong in this kernel beside its cells, a line each.

    The number of the cell is that of the running or last one, or 0 for a task that was
    kept to the end of the notebook and never asked for its result.
    """
    from ipykernel.connect import get_connection_file

    file = Path(get_connection_file()).with_name(_FILE)
    tasks = logging.getLogger("asyncio")
    running = 0

    def begin(cell: Any) -> None:
        nonlocal running
        # Versions of IPython raise their own counter before or after this.
        running += cell.store_history

    def note(kind: Any, error: BaseException | None, traceback: Any) -> None:
        shown = shell.InteractiveTB.structured_traceback(
            kind, error, traceback, tb_offset=0
        )
        output = {"ename": kind.__name__, "evalue": str(error), "traceback": shown}
        with file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"cell": running, **output}) + "\n")

    def in_thread(found: threading.ExceptHookArgs) -> None:
        if found.exc_type is not SystemExit:  # which ends a thread without a word
            note(found.exc_type, found.exc_value, found.exc_traceback)

    def in_task(record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[0]:
            note(*record.exc_info)
        return True

    def end() -> None:
        nonlocal running
        running = 0
        shell.reset(new_session=False)  # lets go of the tasks that cells still hold
        gc.collect()
        threading.excepthook = threading.__excepthook__
        tasks.removeFilter(in_task)

    tasks.addFilter(in_task)  # event loops log what they know of a task that is gone
    threading.excepthook = in_thread
    shell.events.register("pre_run_cell", begin)
    atexit.register(end)
