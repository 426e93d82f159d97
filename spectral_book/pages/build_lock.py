"""One build at a time in a folder: a second would mix its pages with the first's."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from filelock import FileLock, Timeout
from sphinx.errors import ConfigError

from spectral_book.files import write_atomic


def lock_folder(folder: Path) -> FileLock:
    """Hold a folder for this process; the system lets go of it when the process ends.

    Raises
    ------
    ConfigError
        If another build holds it; the message names its process.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock, note = FileLock(folder / ".lock"), folder / ".builder"
    try:
        lock.acquire(blocking=False)
    except Timeout:
        holder = note.read_text("utf-8") if note.is_file() else "one just begun"
        raise ConfigError(
            f"another build writes to {folder}: {holder}; wait until it ends, or end it"
        ) from None
    write_atomic(note, f"process {os.getpid()} on {platform.node()}")
    return lock
