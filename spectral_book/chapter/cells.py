"""Which cell is running, where a reader's front end says so."""

from typing import Any, NamedTuple

from IPython.core.getipython import get_ipython


class Cell(NamedTuple):
    """A cell, by the name that its front end gives it, and one of its runs."""

    name: str
    run: str


def running_cell() -> Cell | None:
    """Return the running cell; None where nobody names it.

    A front end with cells, such as JupyterLab, names one in the message that runs it,
    which nbclient, papermill and nbval do not.
    """
    # An IPython without a kernel knows of no messages.
    message: dict[str, Any] = getattr(get_ipython(), "get_parent", dict)()
    name = message.get("metadata", {}).get("cellId")
    return Cell(name, message["header"]["msg_id"]) if name else None


def runs_again(former: Cell | None, cell: Cell | None) -> bool:
    """Return whether a cell has run before, as the former one."""
    if former is None or cell is None:
        return False
    return former.name == cell.name and former.run != cell.run
