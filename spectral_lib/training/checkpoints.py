"""Runs that survive: the state of a run in a file, written whole or not at all.

A file holds nothing but tensors, numbers and strings (`torch.load` reads it with
``weights_only``): the state, the fingerprint of the run it belongs to, and a hash.
"""

import hashlib
import json
import os
import platform
import re
import shutil
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from spectral_lib.training.fingerprints import (
    Fingerprint,
    differences,
    summary,
    tensor_digest,
)

State = Mapping[str, Any]
"""Tensors, numbers and strings by name, nested in mappings and lists."""

FOLDER = "SPECTRAL_CHECKPOINTS"
"""Environment variable: a folder for the checkpoints of all runs of a process."""

SHOWN = 12
"""Differences named when a checkpoint is refused."""

STALE = 600.0
"""Seconds without a change after which an unfinished file is a killed process's."""


@dataclass(frozen=True)
class Checkpoint:
    """Where and how often a run is saved.

    Attributes
    ----------
    path
        The file; replicas that train one after another have one each, numbered.
    seconds
        Least time between two saves; 0 saves after every epoch.
    share
        Largest share of the time that saves may take: the next one waits longer if
        the last one was slow.

    Raises
    ------
    ValueError
        If a number is out of range.
    """

    path: Path | str
    seconds: float = 60.0
    share: float = 0.05

    def __post_init__(self) -> None:
        if not self.seconds >= 0:
            raise ValueError(f"seconds is {self.seconds}; give 0 or more.")
        if not 0 < self.share <= 1:
            raise ValueError(f"share is {self.share}; give a number in (0, 1].")


class CheckpointFile:
    """The file of one run: loads what fits, refuses what does not, saves when due.

    ``path`` always holds the newest complete state; the one before is kept beside it
    as ``.previous``.
    """

    def __init__(
        self, path: Path, settings: Checkpoint, fingerprint: Fingerprint
    ) -> None:
        self.path, self.settings, self.fingerprint = path, settings, fingerprint
        self.previous = path.with_name(f"{path.name}.previous")
        writer = f"{platform.node()}-{os.getpid()}"
        self.partial = path.with_name(f"{path.name}.{writer}.partial")
        self.saved, self.cost = time.perf_counter(), 0.0

    def prepare(self, size: int) -> None:
        """Check that a state of ``size`` bytes can be saved and a file there fits.

        Raises
        ------
        ValueError
            If nothing can be written, space is short, or the file is another run's.
        """
        folder = self.path.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for left in folder.glob(f"{self.path.name}.*.partial"):
                if time.time() - left.stat().st_mtime > STALE:
                    left.unlink(missing_ok=True)
            _write(self.partial, lambda stream: stream.write(b"checkpoint"))
            self.partial.unlink()
            free = shutil.disk_usage(folder).free
        except OSError as problem:
            raise ValueError(
                f"checkpoints cannot be written to {folder} ({problem}); give a folder "
                "that can be written, or train without checkpoints."
            ) from problem
        if free < 2 * size:
            raise ValueError(
                f"{folder} has {free / 1e6:.0f} MB left and two checkpoints need "
                f"{2 * size / 1e6:.0f} MB; make room, give another folder, or train "
                "without checkpoints."
            )
        if self.path.is_dir():
            raise ValueError(f"{self.path} is a folder; name a file for checkpoints.")
        try:
            there = _read(self.path, mmap=True)
        except _DamagedError:
            return  # `load` sees to that
        # A damaged fingerprint must not look like another run's.
        if there and there["fingerprint"] != self.fingerprint and _is_intact(there):
            raise ValueError(self._refusal(self.path, there["fingerprint"]))

    def load(self) -> State | None:
        """The newest state that is intact, or None; damaged files are set aside.

        Raises
        ------
        ValueError
            If a file is another run's.
        """
        for path in (self.path, self.previous):
            try:
                there = _read(path)
                if there and not _is_intact(there):
                    raise _DamagedError("its content does not match its hash")
            except _DamagedError as problem:
                self._set_aside(path, problem)
                continue
            if there is None:
                continue
            if there["fingerprint"] != self.fingerprint:
                raise ValueError(self._refusal(path, there["fingerprint"]))
            if path == self.previous:
                _warn(f"going on from the older checkpoint {path}.")
            return there["state"]
        return None

    def epoch(self) -> int:
        """Last epoch that the file holds, read without a check; 0 without one."""
        try:
            there = _read(self.path, mmap=True)
            return int(there["state"]["epoch"]) if there else 0
        except (_DamagedError, LookupError, TypeError):
            return 0  # `load` sees to that

    def due(self) -> bool:
        """Whether enough time has passed since the last save."""
        wait = max(self.settings.seconds, self.cost / self.settings.share - self.cost)
        return time.perf_counter() - self.saved >= wait

    def save(self, state: State) -> None:
        """Replace the file by a new state; a failure is a warning, not an error."""
        began = time.perf_counter()
        content = {"fingerprint": self.fingerprint, "state": _on_cpu(state)}
        content["digest"] = _digest(content)
        try:
            _write(self.partial, lambda stream: torch.save(content, stream))
            self._keep_previous()
            os.replace(self.partial, self.path)
        except (OSError, RuntimeError) as problem:  # torch's for a full disk is either
            _warn(f"{self.path} could not be saved; training goes on ({problem}).")
        finally:
            self.partial.unlink(missing_ok=True)
        self.saved = time.perf_counter()
        self.cost = self.saved - began

    def _keep_previous(self) -> None:
        if not self.path.exists():
            return
        self.previous.unlink(missing_ok=True)
        try:
            os.link(self.path, self.previous)  # so that `path` is never missing
        except OSError:  # a file system without links
            os.replace(self.path, self.previous)

    def _set_aside(self, path: Path, problem: Exception) -> None:
        aside = path.with_name(f"{path.name}.damaged")
        os.replace(path, aside)
        older = path == self.path and self.previous.exists()
        then = f"trying {self.previous.name}" if older else "training starts anew"
        _warn(
            f"the checkpoint {path} is damaged ({problem}) and now called "
            f"{aside.name}; {then}."
        )

    def _refusal(self, path: Path, old: Fingerprint) -> str:
        lines = differences(old, self.fingerprint)
        if len(lines) > SHOWN:
            lines[SHOWN:] = [f"and {len(lines) - SHOWN} more"]
        return "\n  ".join(
            [
                f"{path} is the checkpoint of another run; it differs in",
                *lines,
                "Change this back to go on with that run, give another path, or delete "
                f"the file and {self.previous.name} to start anew.",
            ]
        )


def checkpoint_files(
    checkpoint: Checkpoint | None, label: str, fingerprints: Sequence[Fingerprint]
) -> list[CheckpointFile]:
    """The file of each run of a list.

    With a checkpoint its path, numbered if there are several runs; without one, files
    named by label and fingerprint in the folder of `FOLDER`.
    """
    if checkpoint is None:
        checkpoint = Checkpoint(Path(os.environ[FOLDER]))
        slug = re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")[:40]
        names = [f"{slug}-{summary(found)}.pt" for found in fingerprints]
        paths = [Path(checkpoint.path) / name for name in names]
    elif len(fingerprints) == 1:
        paths = [Path(checkpoint.path)]
    else:
        path = Path(checkpoint.path)
        paths = [
            path.with_name(f"{path.stem}.{r}{path.suffix}")
            for r in range(len(fingerprints))
        ]
    pairs = zip(paths, fingerprints, strict=True)
    return [CheckpointFile(path, checkpoint, found) for path, found in pairs]


def portions_begun(file: CheckpointFile, replicas: int) -> int:
    """In how many portions a run was begun whose file this would be; 0 for none.

    Raises
    ------
    ValueError
        If files lie there that cannot all be of one run of so many replicas.
    """
    stem, suffix = re.escape(file.path.stem), re.escape(file.path.suffix)
    form = re.compile(rf"{stem}\.(\d+)of(\d+){suffix}(\.previous)?")
    folder = file.path.parent
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    found = {name: match for name in names if (match := form.fullmatch(name))}
    parts = [(int(match[1]), int(match[2])) for match in found.values()]
    whole = [path.name for path in (file.path, file.previous) if path.exists()]
    if not parts:
        return 1 if whole else 0
    counts = {count for _, count in parts}
    fits = all(1 <= i <= count and 2 <= count <= replicas for i, count in parts)
    if whole or len(counts) > 1 or not fits:
        raise ValueError(
            f"{folder} holds {', '.join([*whole, *found])}, which are not of one run "
            f"of {replicas} replicas; delete those of other runs, or give another path."
        )
    return counts.pop()


def in_portions(
    file: CheckpointFile, fingerprints: Sequence[Fingerprint]
) -> list[CheckpointFile]:
    """The files of a run's portions, named by the run's own file: ``run.1of2.pt``."""
    path, count = file.path, len(fingerprints)
    return [
        CheckpointFile(
            path.with_name(f"{path.stem}.{i}of{count}{path.suffix}"),
            file.settings,
            found,
        )
        for i, found in enumerate(fingerprints, 1)
    ]


class _DamagedError(Exception):
    """A file that cannot be read, or not as it was written."""


def _read(path: Path, mmap: bool = False) -> dict[str, Any] | None:
    """Content of a file, or None if there is none."""
    if not path.exists():
        return None
    try:
        there = torch.load(path, "cpu", weights_only=True, mmap=mmap)
    except Exception as problem:  # what a damaged file raises is not specified
        raise _DamagedError(str(problem).partition("\n")[0]) from problem
    if not isinstance(there, dict) or not there.keys() >= {"fingerprint", "digest"}:
        raise ValueError(f"{path} is not a checkpoint of a run; give another path.")
    return there


def _write(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file and wait until the disk has it."""
    with path.open("wb") as stream:
        write(stream)
        stream.flush()
        os.fsync(stream.fileno())


def _on_cpu(value: Any) -> Any:
    """The same, with all tensors on the CPU."""
    if isinstance(value, Mapping):
        return {name: _on_cpu(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_on_cpu(part) for part in value]
    return value.detach().cpu() if isinstance(value, Tensor) else value


def _digest(content: Mapping[str, Any]) -> str:
    """Hash of everything but the entry of that name."""

    def hashed(tensor: Tensor) -> list[object]:
        return [str(tensor.dtype), list(tensor.shape), tensor_digest(tensor)]

    rest = {name: part for name, part in content.items() if name != "digest"}
    text = json.dumps(rest, default=hashed, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _is_intact(content: Mapping[str, Any]) -> bool:
    try:
        return content["digest"] == _digest(content)
    except TypeError:  # something that no checkpoint holds
        return False


def _warn(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=5)
