"""A page on a sweep: where each claim holds, and where it stops holding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from spectral_book.chapter.figures import COLOURS, use_house_style
from spectral_book.files import write_atomic
from spectral_book.readable import InputError, without_html
from spectral_book.sweeps.collect import collect, status
from spectral_book.sweeps.results import read_request, storing

if TYPE_CHECKING:
    from pandas import DataFrame

# Verdicts differ without their colours: each has its own marker as well.
LOOKS: Mapping[str, tuple[str, str]] = {
    "replicated": (COLOURS["control"], "o"),
    "weaker than claimed": (COLOURS["small"], "^"),
    "not replicated": (COLOURS["high"], "X"),
    "inconclusive": (COLOURS["reference"], "s"),
    "not comparable": (COLOURS["reference"], "_"),
    "holds": (COLOURS["low"], "o"),
    "does not hold": (COLOURS["large"], "X"),
    "open": (COLOURS["reference"], "D"),
    "done": (COLOURS["low"], "o"),
}


def write_page(out: Path, target: Path | None = None) -> Path:
    """Write a Markdown page with figures over the sweep, and return its path.

    It is `index.md` in the folder `target`, by default `page` in `out`.
    """
    target = target or out / "page"
    table, chapter = collect(out), read_request(out)["chapter"]
    if table.empty:
        raise InputError(f"no point in {out} has ended yet")
    columns, judged = list(table.columns), "claim" in table
    names = columns[1 : columns.index("claim" if judged else "state")]
    parts, page = [f"# Sweep of `{chapter}`"], target / "index.md"
    parts.append(_summary(out, table, names))
    with storing(target), mpl.rc_context():
        use_house_style()
        (target / "figures").mkdir(parents=True, exist_ok=True)
        if judged:
            parts += _changing(target, table, names) if names else []
            parts += ["## All verdicts", _verdicts(table)]
        else:
            parts += _recorded(target, table, names) if names else []
            parts.append(_points(table))
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


def values_of(table: DataFrame, name: str) -> list[Any]:
    """Return the values of a swept parameter: numbers rising, others as they come."""
    values = list(dict.fromkeys(table[name].tolist()))
    numbers = all(isinstance(v, int | float) for v in values)
    return sorted(values) if numbers else values


def label(value: Any) -> str:
    """Return a parameter's value as it is shown."""
    return f"{value:g}" if isinstance(value, float) else without_html(str(value))


def draw_estimates(table: DataFrame, claim: str, names: Sequence[str]) -> Figure:
    """Draw a claim's estimates with their intervals against each parameter.

    Marker and colour say the verdict. Points with the same value stand side by side,
    in the order of the sweep.
    """
    mine = table[table["claim"] == claim]
    size = (3.5 * len(names) + 1.5, 3)
    figure, panels = plt.subplots(
        1, len(names), figsize=size, sharey=True, squeeze=False
    )
    y, low, high = (mine[k].to_numpy(float) for k in ("estimate", "ci_low", "ci_high"))
    for axes, name in zip(panels[0], names, strict=True):
        places = {label(value): i for i, value in enumerate(values_of(table, name))}
        order = mine.groupby(name).cumcount().to_numpy()
        x = np.array([places[label(value)] for value in mine[name]])
        x = x + 0.5 * (order / (order.max() + 1) - 0.25)
        axes.vlines(x, low, high, color=COLOURS["general"], lw=0.9, zorder=1)
        for verdict, (colour, marker) in LOOKS.items():
            chosen = (mine["verdict"] == verdict).to_numpy()
            if chosen.any():
                style = {"color": colour, "marker": marker, "label": verdict}
                axes.scatter(x[chosen], y[chosen], zorder=2, **style)
        axes.set_xticks(range(len(places)), list(places))
        axes.set(xlabel=name)
    panels[0][0].set(ylabel="estimate")
    panels[0][-1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _summary(out: Path, table: DataFrame, names: Sequence[str]) -> str:
    """Return how far the sweep has come, and what was swept."""
    lines = status(out).text().partition("\nfailed:")[0].splitlines()
    for name in names:
        values = [label(v) for v in values_of(table, name)]
        lines.append(f"`{name}`: {', '.join(values)}")
    return "\n".join(f"- {line}" for line in lines)


def _changing(target: Path, table: DataFrame, names: Sequence[str]) -> list[str]:
    """Return a section for each claim whose verdict is not everywhere the same."""
    verdicts = table.groupby("claim", sort=False)["verdict"].nunique()
    changing = [str(claim) for claim in verdicts[verdicts > 1].index]
    if not changing:
        return ["No claim's verdict changes over this sweep."]
    parts = ["## Claims whose verdict changes"]
    for claim in changing:
        mine = table[table["claim"] == claim]
        parts += [f"### {claim}", without_html(str(mine["statement"].iloc[0]))]
        parts.append("\n".join(f"- {sentence(table, claim, n)}" for n in names))
        alt = f"Estimates of {claim} with their intervals against {', '.join(names)}."
        parts.append(f"![{alt}](figures/{claim}.svg)")
        figure = draw_estimates(table, claim, names)
        figure.savefig(target / "figures" / f"{claim}.svg")
        plt.close(figure)
    return parts


def _recorded(target: Path, table: DataFrame, names: Sequence[str]) -> list[str]:
    """Return a figure for each number that points without claims have handed out."""
    handed_out = table.iloc[:, table.columns.get_loc("stale") + 1 :]
    parts = []
    for place, (name, values) in enumerate(handed_out.select_dtypes("number").items()):
        numbers = dict.fromkeys(("ci_low", "ci_high"), np.nan) | {"estimate": values}
        rows = table.assign(claim=name, verdict=table["state"], **numbers)
        figure = draw_estimates(rows, str(name), names)
        figure.axes[0].set(ylabel=name)
        figure.savefig(target / "figures" / f"recorded_{place}.svg")
        plt.close(figure)
        alt = f"{without_html(str(name))} against {', '.join(names)}."
        parts.append(f"![{alt}](figures/recorded_{place}.svg)")
    return parts


def _verdicts(table: DataFrame) -> str:
    """Return a Markdown table of how often each claim has which verdict."""
    counts = (
        table.groupby(["claim", "verdict"], sort=False).size().unstack(fill_value=0)
    )
    rows = [[f"`{claim}`", *map(str, row)] for claim, row in counts.iterrows()]
    return _markdown(["claim", *counts.columns], rows)


def _points(table: DataFrame) -> str:
    """Return a Markdown table of points that have no claims."""
    rows = []
    for row in table.itertuples(index=False):
        shown = [
            "-" if value is None or value != value else label(value) for value in row
        ]
        rows.append([text.replace("|", "\\|").replace("\n", " ") for text in shown])
    return _markdown(list(table.columns), rows)


def _markdown(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
