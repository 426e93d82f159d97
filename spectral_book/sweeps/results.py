"""The two files of a finished point, each whole or absent."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from spectral_book.files import write_atomic
from spectral_book.sweeps.errors import storing

Record = dict[str, Any]
"""What is kept of a point: id, parameters, code, seconds, host and its claims."""


def notebook_path(out: Path, name: str) -> Path:
    """Return where the executed notebook of a point is kept."""
    return out / "points" / f"{name}.ipynb"


def record_path(out: Path, name: str) -> Path:
    """Return where the record of a point is kept."""
    return out / "points" / f"{name}.json"


def failed_path(out: Path, name: str) -> Path:
    """Return where the notebook of a failed point is kept, as far as it came."""
    return out / "failed" / f"{name}.ipynb"


def store(out: Path, record: Mapping[str, Any], notebook: NotebookNode) -> None:
    """Write a point's notebook and then its record, which marks it as finished.

    Raises
    ------
    StorageError
        If a file cannot be written; then there is no record.
    """
    text = nbformat.writes(notebook) + "\n"
    digest = hashlib.sha256(text.encode()).hexdigest()
    name = record["id"]
    line = json.dumps({**record, "notebook_sha256": digest}, allow_nan=False, indent=1)
    with storing(out):
        write_atomic(notebook_path(out, name), text)
        write_atomic(record_path(out, name), line + "\n")
        failed_path(out, name).unlink(missing_ok=True)


def store_failed(out: Path, name: str, notebook: NotebookNode) -> None:
    """Keep the notebook of a failed point, to look at.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    with storing(out):
        write_atomic(failed_path(out, name), nbformat.writes(notebook) + "\n")


def stored_names(out: Path) -> list[str]:
    """Return the ids of the points that have a record."""
    return [path.stem for path in (out / "points").glob("[!.]*.json")]


def read_record(out: Path, name: str) -> Record | None:
    """Return the record of a point, or None if there is none that can be read."""
    try:
        record = json.loads(record_path(out, name).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def are_there(out: Path, name: str) -> bool:
    """Return whether both files of a point exist."""
    return notebook_path(out, name).is_file() and record_path(out, name).is_file()


def finished(out: Path, name: str) -> Record | None:
    """Return the record of a point if both its files are there and belong together."""
    record = read_record(out, name)
    if record is None:
        return None
    try:
        content = notebook_path(out, name).read_bytes()
    except OSError:
        return None
    same = record.get("notebook_sha256") == hashlib.sha256(content).hexdigest()
    return record if same else None


def remove_leftovers(out: Path) -> None:
    """Remove the temporary files of processes that were ended while writing.

    Raises
    ------
    StorageError
        If one cannot be removed.
    """
    with storing(out):
        for folder in (out / "points", out / "failed"):
            for path in _hidden(folder):
                path.unlink(missing_ok=True)


def _hidden(folder: Path) -> Iterator[Path]:
    """Files as :func:`write_atomic` names them before they take their place."""
    return (path for path in folder.glob(".*") if path.is_file())
