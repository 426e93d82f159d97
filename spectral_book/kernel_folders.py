"""Private folders of kernels, which do not outlive the process that made them by long.

A process that is killed cannot tidy up. Its folders bear its machine and number, and
the next one of the same user removes them.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil


def prefix(pid: int | None = None) -> str:
    """Return how the names of the folders begin, of this machine or of one process.

    Machines may share a folder for temporary files, and containers count processes
    each for itself. Names are short, since a socket's path must be.
    """
    machine = hashlib.sha256(platform.node().encode()).hexdigest()[:6]
    return f"kernel-{machine}-" if pid is None else f"kernel-{machine}-{pid}-"


def remove_abandoned() -> None:
    """Remove this user's folders of processes on this machine that are gone."""
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix()}*-*"):
        pid = folder.name.removeprefix(prefix()).partition("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)) and _is_ours(folder):
            # Another process may be doing the same.
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def kernel_folder() -> Iterator[Path]:
    """Give a new empty folder, and remove it afterwards."""
    remove_abandoned()
    with tempfile.TemporaryDirectory(prefix=prefix(os.getpid())) as name:
        yield Path(name)


def _is_ours(folder: Path) -> bool:
    try:
        return folder.lstat().st_uid == os.getuid()
    except FileNotFoundError:
        return False
