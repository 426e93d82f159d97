"""What can stop a sweep as a whole; a point that fails does not."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class SweepError(ValueError):
    """A sweep that cannot start as it was asked for; its text is one message."""


class StorageError(OSError):
    """The output folder cannot be written; nothing was marked as done for it."""


class EngineLost(RuntimeError):
    """The processes or machines that ran the points are gone."""


_FULL = (errno.ENOSPC, errno.EDQUOT)


def unwritable(path: Path, error: Exception) -> str:
    """Return what to tell of an error while writing to a path."""
    reason = getattr(error, "strerror", None) or str(error)
    full = getattr(error, "errno", None) in _FULL or "is full" in reason
    hint = "free some space" if full else "choose a folder that can be written"
    return (
        f"cannot write to {path}: {reason}; {hint} and run the same command again: "
        "what is done will not be repeated"
    )


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turn an error of the file system into a :class:`StorageError` with advice."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(unwritable(path, error)) from error
