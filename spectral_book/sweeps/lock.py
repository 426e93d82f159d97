"""One sweep at a time in an output folder."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from spectral_book.sweeps.errors import SweepError, storing

_PATIENCE_SECONDS = 0.5


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder for this process; the system lets go of it when the process ends.

    The lock works between machines where the file system passes `flock` on, as NFS
    does since version 4.

    Raises
    ------
    SweepError
        If another sweep holds it; the message names its machine and process.
    StorageError
        If the folder cannot be made or written.
    """
    with storing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = open(folder / ".lock", "a+", encoding="utf-8")  # noqa: SIM115
    with file:
        try:
            _take(file)
        except BlockingIOError:
            raise SweepError(
                f"{folder} is in use by another sweep{_holder(file.name)}; wait for "
                "it, or choose another folder"
            ) from None
        except OSError as error:
            raise SweepError(
                f"{folder} is on a file system without locks ({error.strerror}); "
                "choose a folder on another one"
            ) from error
        holder = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "since": time.strftime("%Y-%m-%d %H:%M:%S"),
        }
        with storing(folder):
            file.truncate(0)
            file.write(json.dumps(holder))
            file.flush()
        yield


def is_locked(folder: Path) -> bool:
    """Return whether a sweep holds a folder now."""
    try:
        with open(folder / ".lock", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _take(file: IO[str]) -> None:
    """Take the lock, past those who look for a moment whether it is held.

    Raises
    ------
    BlockingIOError
        If it is held for longer.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _holder(name: str) -> str:
    """Return who holds a lock, as far as its file says."""
    try:
        holder = json.loads(Path(name).read_text("utf-8"))
        return f": process {holder['pid']} on {holder['host']} since {holder['since']}"
    except (OSError, ValueError, KeyError):  # the file is just being written
        return ""
