"""Where a figure or number comes from, in one line."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from spectral_book.repository import checkout
from spectral_lib.training.devices import device_name


@dataclass(frozen=True)
class Provenance:
    """What ran, on what, and the command that runs it again."""

    chapter: str
    profile: str
    seeds: tuple[int, ...]
    device: str
    threads: int
    commit: str
    command: str

    def line(
        self, seconds: float | None = None, seeds: Sequence[int] | None = None
    ) -> str:
        """The line under a figure: seconds and rising seeds are those of its runs.

        Without ``seeds`` it names the chapter's; with an empty list, none.
        """
        took = "" if seconds is None else f" · {seconds:.0f} s"
        named = self.seeds if seeds is None else tuple(seeds)
        noun = "seed" if len(named) == 1 else "seeds"
        grown = f"{noun} {_ranges(named)} · " if named else ""
        return (
            f"profile {self.profile} · {grown}{self.device} · "
            f"{_count(self.threads, 'thread')}{took} · {self.commit}"
        )


def provenance(
    chapter: str,
    profile: str,
    seeds: Sequence[int],
    device: torch.device,
    changed: Mapping[str, Any],
) -> Provenance:
    """Collect the provenance of a running chapter.

    ``changed`` holds the parameters that differ from the notebook's defaults.
    """
    return Provenance(
        chapter,
        profile,
        tuple(seeds),
        device_name(device),
        torch.get_num_threads(),
        _commit(),
        _command(chapter, changed),
    )


def _command(chapter: str, changed: Mapping[str, Any]) -> str:
    """The papermill call with the same parameters, run from the repository's root."""
    words = ["papermill", "--cwd", "book", f"book/{chapter}.ipynb", "out.ipynb"]
    if changed:
        text = yaml.safe_dump(dict(changed), default_flow_style=True, width=10**6)
        words += ["-y", text.strip()]
    return shlex.join(words)


def _commit() -> str:
    """Short hash of the repository's commit, with + where its code was changed."""
    try:
        commit, changed = checkout(Path(__file__).parents[2])
    except ValueError as error:
        if "dubious ownership" in str(error):
            return "commit unknown, as another user owns the checkout"
        return "not under version control"
    return commit[:7] + ("+" if changed else "")


def _ranges(seeds: tuple[int, ...]) -> str:
    """Seeds as a list, three or more in a row by their ends."""
    rows: list[list[int]] = []
    for seed in seeds:
        if rows and seed == rows[-1][-1] + 1:
            rows[-1].append(seed)
        else:
            rows.append([seed])
    return ", ".join(
        f"{row[0]} to {row[-1]}" if len(row) > 2 else ", ".join(map(str, row))
        for row in rows
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
