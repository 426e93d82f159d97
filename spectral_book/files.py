"""Files that appear whole or not at all, and folders that one process holds."""

import os
import platform
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from filelock import FileLock, Timeout


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never half.

    The content, a text as UTF-8, goes to a temporary file in the same folder, which
    then takes the place of `path`. Missing parent folders are made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = content.encode() if isinstance(content, str) else content
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(raw)
        # mkstemp makes files private; a page must be readable by a web server.
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def lock(folder: Path) -> FileLock:
    """Hold a folder for this process; the system lets go of it when that ends.

    BlockingIOError if another one holds it; the text says which.
    """
    folder.mkdir(parents=True, exist_ok=True)
    held, note = FileLock(folder / ".lock"), folder / ".holder"
    try:
        held.acquire(blocking=False)
    except Timeout:
        holder = note.read_text("utf-8") if note.is_file() else "one just begun"
        raise BlockingIOError(holder) from None
    write_atomic(note, f"process {os.getpid()} on {platform.node()}")
    return held


def remove_all(paths: Iterable[Path]) -> None:
    """Remove files and folders, those that exist; OSError for what stays."""
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
