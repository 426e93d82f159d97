"""The output folder of a sweep: the files of its points, which alone say what is done.

A point has two files in `points`: the executed notebook, and a record whose checksum is
over both. Each appears whole or not at all, the record last.
"""

import errno
import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from spectral_book.files import lock, remove_all, write_atomic
from spectral_book.readable import InputError, SweepStopped

PointRecord = dict[str, Any]
"""A point's id, state (`done` or `failed`), parameters, code, seconds, host, the time
it finished, its claims and scalars, and where and how it failed."""

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Raise SweepStopped with advice in place of an error of the file system."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        is_full = error.errno in _FULL
        hint = "free some space" if is_full else "choose a folder that can be written"
        raise SweepStopped(
            f"cannot write to {path}: {reason}; {hint} and run the same command again: "
            "what is done will not be repeated"
        ) from error


def now() -> str:
    """Return the time as a record holds it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def notebook_path(out: Path, name: str) -> Path:
    """Return where the executed notebook of a point is kept."""
    return out / "points" / f"{name}.ipynb"


def store(out: Path, record: Mapping[str, Any], notebook: NotebookNode) -> None:
    """Write a point's notebook and then its record."""
    text = nbformat.writes(notebook) + "\n"
    whole = {**record, "sha256": _checksum(record, text.encode())}
    path = notebook_path(out, record["id"])
    with storing(out):
        write_atomic(path, text)
        content = json.dumps(whole, allow_nan=False, indent=1)
        write_atomic(path.with_suffix(".json"), content + "\n")


def read_record(out: Path, name: str) -> PointRecord | None:
    """Return a point's record, or None if it or its notebook is not as stored."""
    path = notebook_path(out, name)
    try:
        record = json.loads(path.with_suffix(".json").read_text("utf-8"))
        checksum = record.pop("sha256")
        is_whole = checksum == _checksum(record, path.read_bytes())
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return None
    return record if is_whole and record["id"] == name else None


def stored_ids(out: Path) -> list[str]:
    """Return the ids of all points that have a record, whole or not."""
    return sorted(path.stem for path in (out / "points").glob("[!.]*.json"))


def records_of(out: Path) -> Iterator[tuple[str, PointRecord | None]]:
    """Return the points of the last call, and those done before, with their records."""
    wanted = read_request(out)["points"]
    for name in wanted:
        yield name, read_record(out, name)
    for name in sorted(set(stored_ids(out)) - set(wanted)):
        record = read_record(out, name)
        if record is not None and record["state"] == "done":
            yield name, record


def write_request(out: Path, chapter: str, code: str, ids: Sequence[str]) -> None:
    """Write what the folder is asked for: points, always of the same chapter."""
    request = {"chapter": chapter, "code": code, "started": now(), "points": ids}
    path = out / "sweep.json"
    if path.is_file() and (held := read_request(out)["chapter"]) != chapter:
        raise InputError(
            f"{out} holds points of {held!r}; choose another folder for {chapter!r}"
        )
    with storing(out):
        write_atomic(path, json.dumps(request, indent=1) + "\n")


def read_request(out: Path) -> dict[str, Any]:
    """Return what the last call asked for."""
    path = out / "sweep.json"
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise InputError(f"{out} holds no sweep") from None
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read ({error}); remove it and run the sweep again: what "
            "is done is known from the files in points/"
        ) from error


@contextmanager
def hold(out: Path) -> Iterator[str]:
    """Keep other sweeps out of a folder as long as this one runs.

    The points of this sweep, here and on other machines, run as long as `.running` has
    the token that is returned.
    """
    running, token = out / ".running", uuid.uuid4().hex
    with storing(out):
        try:
            held = lock(out)
        except BlockingIOError as holder:
            raise InputError(
                f"{out} is in use by another sweep: {holder}; wait for it, or choose "
                "another folder"
            ) from None
    try:
        with storing(out):
            # What processes left that were ended while writing.
            remove_all([*(out / "points").glob(".*"), *out.glob(".keys-*")])
            write_atomic(running, token)
        yield token
    finally:
        running.unlink(missing_ok=True)
        held.release()


def is_running(out: Path, token: str) -> bool:
    """Return whether the sweep with a token still runs."""
    try:
        return (out / ".running").read_text("utf-8") == token
    except FileNotFoundError:
        return False
    except OSError:  # a network file system may stumble
        return True


def _checksum(record: Mapping[str, Any], notebook: bytes) -> str:
    text = json.dumps(record, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode() + b"\0" + notebook).hexdigest()
