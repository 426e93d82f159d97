"""Runs that survive: the state of a run in a file, written whole or not at all.

A file holds nothing but tensors, numbers and strings (`torch.load` reads it with
``weights_only``): the state, the key of the run it belongs to, and a hash.
"""

import hashlib
import json
import os
import re
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from spectral_lib.training.run_keys import Key, differences, summary, tensor_digest

State = Mapping[str, Any]
"""Tensors, numbers and strings by name, nested in mappings and lists."""

FOLDER = "SPECTRAL_CHECKPOINTS"
"""Environment variable: a folder for the checkpoints of all runs of a process."""


@dataclass(frozen=True)
class Checkpoint:
    """Where and how often a run is saved.

    Attributes
    ----------
    path
        The file; replicas that train one after another have one each, numbered.
    seconds
        Least time between two saves; 0 saves after every epoch.

    Raises
    ------
    ValueError
        If seconds is negative.
    """

    path: Path | str
    seconds: float = 60.0

    def __post_init__(self) -> None:
        if not self.seconds >= 0:
            raise ValueError(f"seconds is {self.seconds}; give 0 or more.")


class CheckpointFile:
    """The file of one run: loads what fits, refuses what does not, saves when due.

    ``path`` holds the newest complete state; the one before is kept beside it as
    ``.previous``, and is all there is for a moment of each save.
    """

    def __init__(self, path: Path, seconds: float, key: Key) -> None:
        self.path, self.seconds, self.key = path, seconds, key
        self.previous = path.with_name(f"{path.name}.previous")
        self.partial = path.with_name(f"{path.name}.partial")
        self.saved = time.perf_counter()

    def load(self) -> State | None:
        """The newest state that is intact, or None; damaged files are set aside.

        What was read is printed.

        Raises
        ------
        ValueError
            If nothing can be written there, or a file is another run's.
        """
        if self.path.is_dir():
            raise ValueError(f"{self.path} is a folder; name a file for checkpoints.")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.partial.write_bytes(b"checkpoint")
            self.partial.unlink()
        except OSError as problem:
            raise ValueError(
                f"checkpoints cannot be written to {self.path.parent} ({problem}); "
                "give a folder that can be written, or train without checkpoints."
            ) from problem
        for path in filter(Path.exists, (self.path, self.previous)):
            try:
                content = _read(path)
            except _DamagedError as problem:
                aside = path.with_name(f"{path.name}.damaged")
                os.replace(path, aside)
                _warn(f"{path} is damaged ({problem}) and now called {aside.name}.")
                continue
            if content["key"] != self.key:
                changes = "\n  ".join(differences(content["key"], self.key))
                raise ValueError(
                    f"{path} is the checkpoint of another run; it differs in\n  "
                    f"{changes}\nChange this back to go on with that run, give another "
                    f"path, or delete the file and {self.previous.name} to start anew."
                )
            state = content["state"]
            print(f"read from {path}, epoch {state['epoch']} of {state['epochs']}")
            return state
        return None

    def due(self) -> bool:
        """Whether enough time has passed since the last save."""
        return time.perf_counter() - self.saved >= self.seconds

    def save(self, state: State) -> None:
        """Replace the file by a new state; a failure is a warning, not an error."""
        content: dict[str, Any] = {"key": self.key, "state": state}
        content["digest"] = _digest(content)
        try:
            with self.partial.open("wb") as stream:
                torch.save(content, stream)
                stream.flush()
                os.fsync(stream.fileno())
            if self.path.exists():
                os.replace(self.path, self.previous)
            os.replace(self.partial, self.path)
        except (OSError, RuntimeError) as problem:  # torch's for a full disk is either
            _warn(f"{self.path} could not be saved; training goes on ({problem}).")
        finally:
            self.partial.unlink(missing_ok=True)
        self.saved = time.perf_counter()


def checkpoint_files(
    checkpoint: Checkpoint | None, label: str, keys: Sequence[Key]
) -> list[CheckpointFile]:
    """The file of each run of a list.

    With a checkpoint its path, numbered if there are several runs; without one, files
    named by label and key in the folder of `FOLDER`.
    """
    if checkpoint is None:
        checkpoint = Checkpoint(Path(os.environ[FOLDER]))
        slug = re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")[:40]
        paths = [Path(checkpoint.path) / f"{slug}-{summary(key)}.pt" for key in keys]
    else:
        path = Path(checkpoint.path)
        paths = [path]
        if len(keys) > 1:
            names = [f"{path.stem}.{i}{path.suffix}" for i in range(len(keys))]
            paths = [path.with_name(name) for name in names]
    pairs = zip(paths, keys, strict=True)
    return [CheckpointFile(path, checkpoint.seconds, key) for path, key in pairs]


class _DamagedError(Exception):
    """A file that cannot be read, or not as it was written."""


def _read(path: Path) -> dict[str, Any]:
    """Content of a file that is what was written."""
    try:
        content = torch.load(path, "cpu", weights_only=True)
    except Exception as problem:  # what a damaged file raises is not specified
        raise _DamagedError(str(problem).partition("\n")[0]) from problem
    if not isinstance(content, dict) or not content.keys() >= {"key", "digest"}:
        raise ValueError(f"{path} is not a checkpoint of a run; give another path.")
    try:
        intact = content["digest"] == _digest(content)
    except (TypeError, AttributeError):  # something that no checkpoint holds
        intact = False
    if not intact:
        raise _DamagedError("its content does not match its hash")
    return content


def _digest(content: Mapping[str, Any]) -> str:
    """Hash of everything but the entry of that name."""
    rest = {name: part for name, part in content.items() if name != "digest"}
    text = json.dumps(rest, default=tensor_digest, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _warn(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=5)
