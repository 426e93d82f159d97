"""Small curves for the front page: what is missing at each frequency."""

from __future__ import annotations

from dataclasses import dataclass

from spectral_book.claims.ledger import ChapterRun

WIDTH, HEIGHT = 200, 80
"""The size of a curve, in units of its drawing."""


@dataclass(frozen=True)
class Drawn:
    """A curve as templates draw it, and the page it leads to."""

    page: str
    title: str
    about: str
    label: str
    points: str
    spoken: str


def drawn(run: ChapterRun) -> Drawn:
    """Return the curve that a chapter handed over: frequency to the right."""
    panel = run["panel"]
    x, y = panel["x"], panel["missing"]
    low, high = min(x), max(x)
    top = max(1.0, *y)
    points = " ".join(
        f"{WIDTH * (a - low) / ((high - low) or 1):.1f},{HEIGHT * (1 - b / top):.1f}"
        for a, b in zip(x, y, strict=True)
    )
    spoken = (
        f"{panel['title']}. Missing from the lowest to the highest frequency: "
        f"{y[0]:.2f} to {y[-1]:.2f}"
    )
    title, about, label = panel["title"], panel["about"], panel["label"]
    return Drawn(run["page"], title, about, label, points, spoken)
