"""Numbers that a notebook hands out: columns in the table of a sweep over it.

They travel in the notebook's outputs, in the form of the package scrapbook: what its
`glue` hands out is read as well.
"""

import math
from typing import Any

from IPython.display import display
from nbformat import NotebookNode

MIME_TYPE = "application/scrapbook.scrap.json+json"


def record(**values: Any) -> None:
    """Hand out numbers, texts or truth values, each by its name.

    One that is not finite is an empty place in the table. TypeError for something else,
    such as a list.
    """
    for name, value in values.items():
        scalar = value.item() if hasattr(value, "item") else value  # NumPy's, torch's
        if not _is_scalar(scalar):
            kind = type(value).__name__
            raise TypeError(f"{name} is {kind}; record numbers, texts, true or false")
        data = {"name": name, "data": _finite(scalar), "encoder": "json", "version": 1}
        display({MIME_TYPE: data, "text/plain": f"{name} = {scalar}"}, raw=True)


def scalars_of(notebook: NotebookNode) -> dict[str, Any]:
    """Return what an executed notebook handed out; the last of a name counts."""
    found: dict[str, Any] = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {}).get(MIME_TYPE)
            if isinstance(data, dict) and "data" in data and _is_scalar(data["data"]):
                found[str(data.get("name"))] = _finite(data["data"])
    return found


def _is_scalar(value: object) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


def _finite(value: Any) -> Any:
    """Return None for what JSON has no number for."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
