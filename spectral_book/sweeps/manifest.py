"""The manifest of a sweep: every point with its state, in a file of SQLite.

One process writes it, the one that holds the folder's lock; others may read. A point
counts as done if its two files are there; the manifest is brought in line with them
each time a sweep starts.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from spectral_book.sweeps.errors import StorageError, SweepError, unwritable
from spectral_book.sweeps.results import are_there, finished
from spectral_book.sweeps.sweep import Point

State = Literal["pending", "submitted", "done", "failed"]
NAME = "manifest.sqlite"

_TABLES = """
CREATE TABLE IF NOT EXISTS points (
    id TEXT PRIMARY KEY,
    place INTEGER NOT NULL,    -- in the sweep
    parameters TEXT NOT NULL,  -- JSON
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    seconds REAL,
    host TEXT,
    code TEXT,                 -- hashes of the chapter and of the library
    cell INTEGER,              -- in which it failed
    error TEXT,
    traceback TEXT,
    changed REAL               -- when, in seconds since 1970
);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT);
"""


@dataclass(frozen=True)
class Outcome:
    """How the run of a point ended.

    Attributes
    ----------
    id, state, seconds, host
        Which point; `unstored` if its results could not be written.
    code
        The hashes of the chapter and of the library it ran with.
    cell
        Number of the cell it failed in, in the chapter's file; 0 for none.
    error
        One line: the kind of error and its message.
    traceback
        The last lines of its traceback.
    """

    id: str
    state: Literal["done", "failed", "unstored"]
    seconds: float
    host: str
    code: str
    cell: int = 0
    error: str = ""
    traceback: str = ""


@dataclass(frozen=True)
class Row:
    """A point as the manifest knows it."""

    id: str
    parameters: dict[str, Any]
    state: State
    attempts: int
    seconds: float | None
    host: str | None
    code: str | None
    cell: int | None
    error: str | None
    traceback: str | None
    changed: float | None


@dataclass
class Manifest:
    """An open manifest; see :func:`open_manifest`."""

    path: Path
    connection: sqlite3.Connection = field(repr=False)

    def enter(self, points: Iterable[Point]) -> None:
        """Make the manifest hold these points, and those done before.

        The files decide what is done. What was under way when an earlier sweep was
        ended is pending again; what an earlier sweep asked for, never finished and
        this one does not ask for is forgotten.
        """
        known = {row.id: row for row in self.rows()}
        wanted = {point.id: point for point in points}
        out = self.path.parent
        with self._writing():
            for place, (name, point) in enumerate(wanted.items()):
                self.connection.execute(
                    "INSERT INTO points (id, place, parameters, state) "
                    "VALUES (?, ?, ?, 'pending') "
                    "ON CONFLICT (id) DO UPDATE SET place = excluded.place",
                    (name, place, json.dumps(point.parameters)),
                )
            for name in wanted.keys() | known.keys():
                was = known[name].state if name in known else "pending"
                if was == "done" and are_there(out, name):
                    continue
                record = finished(out, name)
                if record is not None:
                    self.connection.execute(
                        "UPDATE points SET state = 'done', seconds = ?, host = ?, "
                        "code = ?, cell = NULL, error = NULL, traceback = NULL "
                        "WHERE id = ?",
                        (record["seconds"], record["host"], record["code"], name),
                    )
                elif name not in wanted:
                    self.connection.execute("DELETE FROM points WHERE id = ?", (name,))
                elif was != "failed":
                    self._set_pending([name])

    def reset(self, names: Iterable[str]) -> None:
        """Make points pending again, whatever they were."""
        with self._writing():
            self._set_pending(names)

    def submit(self, name: str) -> None:
        """Note that a point was handed to the engine."""
        with self._writing():
            self.connection.execute(
                "UPDATE points SET state = 'submitted', attempts = attempts + 1, "
                "changed = ? WHERE id = ?",
                (time.time(), name),
            )

    def conclude(self, outcome: Outcome) -> None:
        """Note how a point ended.

        Raises
        ------
        StorageError
            If the manifest cannot be written.
        """
        with self._writing():
            self.connection.execute(
                "UPDATE points SET state = ?, seconds = ?, host = ?, code = ?, "
                "cell = ?, error = ?, traceback = ?, changed = ? WHERE id = ?",
                (
                    outcome.state,
                    outcome.seconds,
                    outcome.host,
                    outcome.code,
                    outcome.cell or None,
                    outcome.error or None,
                    outcome.traceback or None,
                    time.time(),
                    outcome.id,
                ),
            )

    def rows(self) -> list[Row]:
        """Return all points in the order of the sweep."""
        cursor = self.connection.execute(
            "SELECT id, parameters, state, attempts, seconds, host, code, cell, "
            "error, traceback, changed FROM points ORDER BY place, id"
        )
        return [Row(i, json.loads(text), *rest) for i, text, *rest in cursor]

    def names(self) -> list[str]:
        """Return the ids of all points."""
        return [name for (name,) in self.connection.execute("SELECT id FROM points")]

    def facts(self) -> dict[str, Any]:
        """Return what is noted about the sweep as a whole."""
        cursor = self.connection.execute("SELECT name, value FROM facts")
        return {name: json.loads(value) for name, value in cursor}

    def note(self, facts: Mapping[str, Any]) -> None:
        """Note facts about the sweep as a whole."""
        with self._writing():
            self.connection.executemany(
                "INSERT OR REPLACE INTO facts VALUES (?, ?)",
                [(name, json.dumps(value)) for name, value in facts.items()],
            )

    def _set_pending(self, names: Iterable[str]) -> None:
        self.connection.executemany(
            "UPDATE points SET state = 'pending', seconds = NULL, cell = NULL, "
            "error = NULL, traceback = NULL WHERE id = ?",
            [(name,) for name in names],
        )

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Write in one transaction."""
        with _storing(self.path), self.connection:
            yield


@contextmanager
def open_manifest(out: Path, *, write: bool = False) -> Iterator[Manifest]:
    """Open the manifest of an output folder, to read or to write.

    Raises
    ------
    SweepError
        If it is to be read and there is none, or it is damaged or cannot be read.
    StorageError
        If it is to be written and cannot be.
    """
    path = out.absolute() / NAME
    if not write and not path.is_file():
        raise SweepError(f"{out} holds no sweep")
    with _storing(path):
        mode = "rwc" if write else "ro"
        connection = sqlite3.connect(f"{path.as_uri()}?mode={mode}", uri=True)
    try:
        if write:
            with _storing(path):
                _prepare(path, connection)
        yield Manifest(path, connection)
    except sqlite3.Error as error:  # of reading; what writes says so by itself
        raise _unreadable(path, error) from error
    finally:
        connection.close()


def _prepare(path: Path, connection: sqlite3.Connection) -> None:
    """Make the tables, if they are not there yet."""
    # No waiting for the disk, which would take longer than all the rest: a process
    # that is killed loses nothing, and after a power cut the points' files tell.
    try:
        connection.execute("PRAGMA synchronous = OFF")
        sound = connection.execute("PRAGMA quick_check").fetchone() == ("ok",)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        sound = False
    if not sound:
        raise _unreadable(path, sqlite3.DatabaseError())
    with connection:
        connection.executescript(_TABLES)


def _unreadable(path: Path, error: sqlite3.Error) -> SweepError:
    """Return what to tell of an error while reading."""
    if isinstance(error, sqlite3.OperationalError):  # another process holds it
        return SweepError(f"{path} cannot be read now: {error}; try again")
    return SweepError(
        f"{path} is damaged; remove it and run the sweep again: what is done is known "
        "from the files in points/"
    )


@contextmanager
def _storing(path: Path) -> Iterator[None]:
    """Turn an error of SQLite into one with advice."""
    try:
        yield
    except sqlite3.Error as error:
        raise StorageError(unwritable(path, error)) from error
