"""A page on a sweep: where each claim holds, and where it stops holding."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from spectral_book.chapter.figures import use_house_style
from spectral_book.files import write_atomic
from spectral_book.sweeps.collect import collect, swept
from spectral_book.sweeps.errors import SweepError, storing
from spectral_book.sweeps.manifest import open_manifest
from spectral_book.sweeps.status import status
from spectral_book.sweeps.sweep_figures import (
    draw_estimates,
    draw_shares,
    label,
    values_of,
)

if TYPE_CHECKING:
    from pandas import DataFrame

_MOST_CLAIMS = 30  # with a figure of their own


def write_page(out: Path, target: Path | None = None) -> Path:
    """Write a Markdown page with figures over the sweep, and return its path.

    Parameters
    ----------
    out
        The folder of the sweep.
    target
        The folder for `index.md` and its figures; by default `page` in `out`.

    Raises
    ------
    SweepError
        If no point has given a claim yet.
    StorageError
        If the folder cannot be written.
    """
    target = target or out / "page"
    table = collect(out)
    if table.empty:
        raise SweepError(f"no point in {out} has given a claim yet")
    with open_manifest(out) as manifest:
        rows = [row for row in manifest.rows() if row.state == "done"]
        chapter = str(manifest.facts()["chapter"])
    names = swept(row.parameters for row in rows)
    parts = [f"# Sweep of `{chapter}`", _summary(out, table, names)]
    with storing(target), mpl.rc_context():
        use_house_style()
        (target / "figures").mkdir(parents=True, exist_ok=True)
        if len(names) > 0:
            parts += ["## Where each claim holds", *_overviews(target, table, names)]
            parts += _changing(target, table, names)
        parts += ["## All verdicts", _verdicts(table)]
        page = target / "index.md"
        write_atomic(page, "\n\n".join(parts) + "\n")
    return page


def sentence(table: DataFrame, claim: str, name: str) -> str:
    """Return which verdicts a claim has at which values of a parameter."""
    mine = table[table["claim"] == claim]
    places: dict[str, list[str]] = {}
    for value in values_of(mine, name):
        verdicts = dict.fromkeys(mine[mine[name] == value]["verdict"])
        places.setdefault(" or ".join(sorted(verdicts)), []).append(label(value))
    parts = [f"{found} at {', '.join(values)}" for found, values in places.items()]
    return f"`{name}`: {'; '.join(parts)}."


def _summary(out: Path, table: DataFrame, names: list[str]) -> str:
    """Return what was swept, and what is missing."""
    now = status(out)
    points = table["point"].nunique()
    lines = [f"{points} points, {table['claim'].nunique()} claims each."]
    for name in names:
        values = [label(v) for v in values_of(table, name)]
        lines.append(f"- `{name}`: {', '.join(values)}")
    missing = now.counts.total() - now.counts["done"]
    if missing:
        lines.append(f"\n**Incomplete:** {missing} points failed or have not run.")
    if now.stale:
        lines.append(f"\n**{now.stale} points** ran with older code than today's.")
    return "\n".join([lines[0], "", *lines[1:]])


def _overviews(target: Path, table: DataFrame, names: list[str]) -> list[str]:
    """Draw all claims over each parameter."""
    return [
        _save(
            *(target, f"by-{name}", draw_shares(table, name)),
            f"Heat map: for each claim and value of {name} the share of points at "
            "which the claim is replicated.",
        )
        for name in names
    ]


def _changing(target: Path, table: DataFrame, names: list[str]) -> list[str]:
    """Return a section for each claim whose verdict is not everywhere the same."""
    verdicts = table.groupby("claim", sort=False)["verdict"].nunique()
    changing = [str(claim) for claim in verdicts[verdicts > 1].index]
    if not changing:
        return ["No claim's verdict changes over this sweep."]
    parts = ["## Claims whose verdict changes"]
    for claim in changing[:_MOST_CLAIMS]:
        mine = table[table["claim"] == claim]
        parts += [f"### {claim}", str(mine["statement"].iloc[0])]
        parts.append("\n".join(f"- {sentence(table, claim, n)}" for n in names))
        decisive = {name: _decides(mine, name) for name in names}
        first = max(names, key=decisive.__getitem__)
        others = [name for name in names if name != first]
        figure = draw_estimates(table, claim, first, others)
        alt = f"Estimate of {claim} with its interval against {first}."
        parts.append(_save(target, f"claim-{claim}", figure, alt))
    if len(changing) > _MOST_CLAIMS:
        rest = ", ".join(f"`{claim}`" for claim in changing[_MOST_CLAIMS:])
        parts.append(f"Without a figure: {rest}.")
    return parts


def _decides(mine: DataFrame, name: str) -> float:
    """Return how far a parameter alone decides the verdict of one claim.

    That is the share of points with the most frequent verdict of their value.
    """
    counts = mine.groupby([name, "verdict"]).size().unstack(fill_value=0)
    return float(counts.max(axis=1).sum() / len(mine))


def _verdicts(table: DataFrame) -> str:
    """Return a Markdown table of how often each claim has which verdict."""
    counts = table.groupby(["claim", "verdict"], sort=False).size().unstack()
    head: list[Any] = ["claim", *counts.columns]
    lines = [head, ["---"] * len(head)]
    for claim, row in counts.iterrows():
        cells = ["" if value != value else f"{value:.0f}" for value in row]
        lines.append([f"`{claim}`", *cells])
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _save(target: Path, name: str, figure: Figure, alt: str) -> str:
    """Save a figure and return the Markdown that shows it."""
    figure.savefig(target / "figures" / f"{name}.svg")
    plt.close(figure)
    return f"![{alt}](figures/{name}.svg)"
