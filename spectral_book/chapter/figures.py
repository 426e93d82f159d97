"""One style for all figures, and the few plots that every chapter draws."""

import io
from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import ArrayLike
from PIL import Image

COLOURS: Mapping[str, str] = {
    "low": "#0072B2",
    "general": "#333333",
    "high": "#D55E00",
    "small": "#56B4E9",
    "large": "#8B3A8F",
    "control": "#009E73",
    "reference": "#999999",
}
"""Colours by meaning, the same in all chapters; distinct for colour-blind readers."""

SEQUENTIAL = "cividis"
"""Colour map of heat maps."""

LIGHTEST = 0.75
"""Where on that map lines end: what lies beyond is too pale on white."""


COLUMN = 8.2
"""How wide a page shows a figure at most, in inches."""

LEAST = 8.0
"""The smallest text that a page shows in a figure, in points."""


def ramp(number: int) -> list[tuple[float, float, float, float]]:
    """Return colours for `number` ordered lines, from dark to light."""
    places = np.linspace(0, LIGHTEST, number)
    return [mpl.colormaps[SEQUENTIAL](float(place)) for place in places]


def ordered_lines(number: int) -> list[dict[str, Any]]:
    """Return colour and dashes for `number` ordered lines; neighbours differ in both.

    Each is meant for matplotlib's ``plot(x, y, **look)``.
    """
    dashes = ("-", (0, (4, 1.5)), (0, (1, 1.2)))
    return [
        {"color": colour, "linestyle": dashes[place % len(dashes)]}
        for place, colour in enumerate(ramp(number))
    ]


def use_house_style() -> None:
    """Set matplotlib's parameters for the whole notebook, over its own defaults."""
    mpl.rcdefaults()
    mpl.rcParams.update(
        {
            "figure.dpi": 110,
            "figure.constrained_layout.use": True,
            "figure.facecolor": "white",
            "font.size": 10,
            # For lines to which a chapter gives no colour.
            "axes.prop_cycle": cycler(color=list(COLOURS.values())),
            "image.cmap": SEQUENTIAL,
            "axes.titlesize": 10,
            "axes.titlelocation": "left",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.color": "#e6e6e6",
            "axes.axisbelow": True,
            "legend.frameon": False,
            "legend.fontsize": 9,
            "lines.linewidth": 1.6,
        }
    )


def legible(figure: Figure) -> None:
    """Enlarge texts that a page would show in less than `LEAST` points.

    A page makes a figure smaller that is wider than its column.
    """
    least = LEAST * max(figure.get_figwidth() / COLUMN, 1)
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):  # some numbers are written later
            sizes = (
                label.get_fontsize() for label in axis.get_ticklabels(which="both")
            )
            axis.set_tick_params("both", labelsize=max([least, *sizes]))
    for text in figure.findobj(Text):
        text.set_fontsize(max(least, text.get_fontsize()))


def picture(
    figure: Figure, colours: int = 256, dpi: float | str = "figure", cut: bool = True
) -> bytes:
    """Render a legible figure as PNG with a palette, cut to what is drawn; close it."""
    legible(figure)
    raw, small = io.BytesIO(), io.BytesIO()
    edges = "tight" if cut else None
    try:
        figure.savefig(raw, format="png", dpi=dpi, bbox_inches=edges)
    finally:
        plt.close(figure)
    whole = Image.open(raw).convert("RGB")
    whole.quantize(colours, dither=Image.Dither.NONE).save(small, "png", optimize=True)
    return small.getvalue()


def mark_epoch(axes: Axes, epoch: float) -> None:
    """Draw a vertical line, dashed black and white: it shows on any heat map."""
    axes.axvline(epoch, color="white", lw=1.4)
    axes.axvline(epoch, color="black", lw=1.4, ls="--")


def over_seeds(
    axes: Axes,
    x: ArrayLike,
    y: ArrayLike,
    *,
    label: str,
    colour: str,
    style: str = "-",
) -> None:
    """Draw the geometric mean of y [T, R] over seeds, and the range of the seeds."""
    values = np.asarray(y, float)
    mean = np.exp(np.log(values).mean(1))
    axes.plot(np.asarray(x), mean, style, color=colour, label=label)
    axes.fill_between(
        np.asarray(x), values.min(1), values.max(1), color=colour, alpha=0.18, lw=0
    )


def mean_over_seeds(
    axes: Axes, x: ArrayLike, y: ArrayLike, label: str = "", **look: Any
) -> None:
    """Draw the mean of y [T, R] over seeds as a line, and the range of the seeds.

    ``look`` is matplotlib's, with a ``color``; see `ordered_lines`.
    """
    values, where = np.asarray(y, float), np.asarray(x)
    axes.plot(where, values.mean(1), label=label, **look)
    low, high = values.min(1), values.max(1)
    axes.fill_between(where, low, high, color=look["color"], alpha=0.18, lw=0)


def points_over_seeds(
    axes: Axes,
    x: ArrayLike,
    y: ArrayLike,
    *,
    label: str,
    colour: str,
) -> None:
    """Draw the geometric mean of y [K, R] at K settings, and each seed as a dot."""
    values = np.asarray(y, float)
    where = np.asarray(x, float)
    mean = np.exp(np.log(values).mean(1))
    axes.plot(where, mean, "o-", color=colour, label=label)
    for seed in values.T:
        axes.plot(where, seed, ".", color=colour, alpha=0.35, ms=4)
