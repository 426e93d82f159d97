"""Where a figure or number comes from, in one line."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import yaml

from spectral_book.repository import checkout


@dataclass(frozen=True)
class Provenance:
    """What ran, on what, and from which commit.

    ``changed`` holds the parameters that differ from the notebook's defaults.
    """

    chapter: str
    profile: str
    seeds: Sequence[int]
    device: str
    changed: Mapping[str, Any]
    threads: int = field(default_factory=torch.get_num_threads)
    commit: str = field(default_factory=lambda: _commit())

    @property
    def command(self) -> str:
        """The papermill call with the same parameters, from the repository's root."""
        notebook = f"book/{self.chapter}.ipynb"
        words = ["papermill", "--cwd", "book", notebook, "out.ipynb"]
        if self.changed:
            changed = dict(self.changed)
            text = yaml.safe_dump(changed, default_flow_style=True, width=10**6)
            words += ["-y", text.strip()]
        return shlex.join(words)

    def line(
        self, seconds: float | None = None, seeds: Sequence[int] | None = None
    ) -> str:
        """The line under a figure: seconds and rising seeds are those of its runs.

        Without ``seeds`` it names the chapter's; with an empty list, none.
        """
        took = "" if seconds is None else f" · {seconds:.0f} s"
        named = self.seeds if seeds is None else seeds
        noun = "seed" if len(named) == 1 else "seeds"
        threads = "thread" if self.threads == 1 else "threads"
        grown = f"{noun} {_ranges(named)} · " if named else ""
        return (
            f"profile {self.profile} · {grown}{self.device} · "
            f"{self.threads} {threads}{took} · {self.commit}"
        )


def _commit() -> str:
    """Short hash of the repository's commit, with + where its code was changed."""
    try:
        commit, changed = checkout(Path(__file__).parents[2])
    except ValueError as error:
        if "dubious ownership" in str(error):
            return "commit unknown, as another user owns the checkout"
        return "not under version control"
    return commit[:7] + ("+" if changed else "")


def _ranges(seeds: Sequence[int]) -> str:
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
