"""How far a sweep has come, and how long it may still take."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from spectral_book.sweeps.lock import is_locked
from spectral_book.sweeps.manifest import Row, open_manifest
from spectral_lib.code_hash import code_hash


@dataclass(frozen=True)
class Status:
    """The state of a sweep.

    Attributes
    ----------
    counts
        Points in each state.
    stale
        Done points whose chapter (as of the last call) or library has changed since.
    seconds_left
        From the pace of the last call so far; None before its first point has ended.
    failures
        The failed points.
    """

    counts: Counter[str]
    stale: int
    seconds_left: float | None
    failures: list[Row]

    def text(self) -> str:
        """Return it as lines of text."""
        total = self.counts.total()
        states = ("done", "failed", "submitted", "pending")
        parts = [f"{self.counts[name]} {name}" for name in states]
        lines = [f"{total} points: {', '.join(parts)}"]
        open_points = self.counts["submitted"] + self.counts["pending"]
        if open_points and self.seconds_left is not None:
            lines.append(f"time left at this pace: {_duration(self.seconds_left)}")
        if self.stale:
            lines.append(
                f"{self.stale} done with an older chapter or library; "
                "run --rerun-stale repeats them"
            )
        for row in self.failures:
            where = f"cell {row.cell}" if row.cell else "outside of its cells"
            lines.append(f"failed: {row.id}, {where}: {row.error}")
        return "\n".join(lines)


def status(out: Path, now: float | None = None) -> Status:
    """Return how far the sweep of a folder has come, also while it runs.

    Raises
    ------
    SweepError
        If there is no sweep in the folder.
    """
    now = time.time() if now is None else now
    with open_manifest(out) as manifest:
        rows, facts = manifest.rows(), manifest.facts()
    started = facts.get("started", now)
    chapter = str(facts.get("code", "")).partition("-")[0]
    code = f"{chapter}-{code_hash()}"
    counts = Counter(str(row.state) for row in rows)
    if not is_locked(out):
        # Whoever submitted them has ended.
        counts["pending"] += counts.pop("submitted", 0)
    ended = [r for r in rows if r.state in ("done", "failed")]
    recent = [r.changed for r in ended if r.changed and r.changed >= started]
    left = None
    if recent:
        left = (counts.total() - len(ended)) * (max(recent) - started) / len(recent)
    return Status(
        counts=counts,
        stale=sum(row.state == "done" and row.code != code for row in rows),
        seconds_left=left,
        failures=[row for row in rows if row.state == "failed"],
    )


def _duration(seconds: float) -> str:
    """Return a time as people say it."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
