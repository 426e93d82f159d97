"""Figures over a sweep: where a claim holds, and where it stops holding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from spectral_book.chapter.figures import COLOURS, SEQUENTIAL

if TYPE_CHECKING:
    from pandas import DataFrame

# A verdict must be told apart without its colour: each has its own marker as well.
LOOKS: Mapping[str, tuple[str, str]] = {
    "replicated": (COLOURS["control"], "o"),
    "direction only": (COLOURS["small"], "^"),
    "not replicated": (COLOURS["high"], "X"),
    "inconclusive": (COLOURS["reference"], "s"),
    "not comparable": (COLOURS["reference"], "_"),
}
_STYLES = ("-", "--", ":", "-.")
_MOST_LINES = 6


def values_of(table: DataFrame, name: str) -> list[Any]:
    """Return the values of a swept parameter: numbers rising, others as they come."""
    values = list(dict.fromkeys(table[name].tolist()))
    return sorted(values) if all(map(_is_number, values)) else values


def shares(table: DataFrame, name: str) -> DataFrame:
    """Return the share of points at which each claim is replicated.

    Rows are claims, columns the values of one parameter; the other parameters are
    taken all together.
    """
    is_replicated = table["verdict"].eq("replicated")
    grouped = is_replicated.groupby([table["claim"], table[name]], sort=False)
    wide = grouped.mean().unstack()
    return wide.reindex(
        index=list(dict.fromkeys(table["claim"])), columns=values_of(table, name)
    )


def draw_shares(table: DataFrame, name: str) -> Figure:
    """Draw for each claim and value of a parameter how often it is replicated."""
    wide = shares(table, name)
    rows, columns = wide.shape
    size = (2.6 + min(0.62 * columns, 9), 1.1 + 0.27 * rows)
    figure, axes = plt.subplots(figsize=size)
    picture = axes.imshow(
        wide.to_numpy(float), cmap=SEQUENTIAL, vmin=0, vmax=1, aspect="auto"
    )
    axes.set_xticks(range(columns), [label(value) for value in wide.columns])
    axes.set_yticks(range(rows), list(wide.index), fontsize=8)
    axes.tick_params(axis="x", labelrotation=45 if columns > 8 else 0)
    axes.set(xlabel=name)
    axes.grid(False)
    if rows * columns <= 400:
        for row, column in np.ndindex(rows, columns):
            share = wide.iat[row, column]
            if np.isfinite(share):
                colour = "black" if share > 0.6 else "white"
                spot = axes.text(column, row, f"{share:.0%}", color=colour, size=7)
                spot.set(ha="center", va="center")
    figure.colorbar(picture, ax=axes, label="share of points: replicated")
    return figure


def draw_estimates(
    table: DataFrame, claim: str, name: str, others: Sequence[str]
) -> Figure:
    """Draw a claim's estimate with its interval against a parameter.

    There is a line for each combination of the other parameters, the first few of
    them; the marker and its colour say the verdict.
    """
    mine = table[table["claim"] == claim]
    places = {label(v): i for i, v in enumerate(values_of(table, name))}
    figure, axes = plt.subplots(figsize=(7, 3))
    groups = [((), mine)] if not others else list(mine.groupby(list(others)))
    for number, (key, part) in enumerate(groups[:_MOST_LINES]):
        spread = 0.06 * (number - (min(len(groups), _MOST_LINES) - 1) / 2)
        x = np.array([places[label(v)] for v in part[name]]) + spread
        order = np.argsort(x)
        part, x = part.iloc[order], x[order]
        y = part["estimate"].to_numpy(float)
        text = ", ".join(f"{n} = {label(v)}" for n, v in zip(others, key, strict=True))
        style = _STYLES[number % len(_STYLES)]
        shade = COLOURS["general"] if number < len(_STYLES) else COLOURS["reference"]
        axes.plot(x, y, style, color=shade, lw=0.9, label=text or None, zorder=1)
        low, high = (part[end].to_numpy(float) for end in ("ci_low", "ci_high"))
        axes.vlines(x, low, high, color=shade, lw=0.9, zorder=1)
        for verdict in dict.fromkeys(part["verdict"]):
            colour, marker = LOOKS[verdict]
            chosen = (part["verdict"] == verdict).to_numpy()
            axes.scatter(x[chosen], y[chosen], color=colour, marker=marker, zorder=2)
    for verdict, (colour, marker) in LOOKS.items():
        if verdict in set(mine["verdict"]):
            axes.scatter([], [], color=colour, marker=marker, label=verdict)
    axes.set_xticks(range(len(places)), list(places))
    axes.set(xlabel=name, ylabel="estimate")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def label(value: Any) -> str:
    """Return a parameter's value as it is shown."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)
