"""The numbers that a figure draws, as JSON can hold them."""

from collections.abc import Iterator
from math import isfinite
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis, YAxis
from matplotlib.category import StrCategoryFormatter
from matplotlib.collections import PathCollection, QuadMesh
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import ArrayLike, NDArray

MOST_POINTS = 400
"""Of a curve; more would not show."""

MOST_CELLS = 100
"""Along a side of a map."""


def numbers(figure: Figure) -> list[dict[str, Any]]:
    """Return what the axes of a figure draw: curves and maps, with the axes' labels.

    A map [rows, columns] has the places where its rows and columns begin, an area is
    the curve round it. Numbers have five digits; None stands for one that is not
    finite. What has more than `MOST_POINTS` or `MOST_CELLS` is thinned evenly. Lines
    across all of an axes are left out, and so are bars of colours.
    """
    return [
        {
            "title": axes.get_title("left") or axes.get_title(),
            "x": _axis(axes.xaxis),
            "y": _axis(axes.yaxis),
            "curves": [_curve(*found) for found in _curves(axes)],
            "maps": list(_maps(axes)),
        }
        for axes in figure.axes
        if axes.get_label() != "<colorbar>"
    ]


def _axis(axis: Axis) -> dict[str, Any]:
    """Return an axis's label and scale, and the places of names where it has such."""
    named = isinstance(axis.get_major_formatter(), FuncFormatter | StrCategoryFormatter)
    along = int(isinstance(axis, YAxis))
    shown = axis.get_ticklabels() if named else []
    names = {one.get_text(): float(one.get_position()[along]) for one in shown}
    return {"label": axis.get_label_text(), "scale": axis.get_scale(), "names": names}


def _curves(axes: Axes) -> Iterator[tuple[object, ArrayLike]]:
    """Yield the name and the points [N, 2] of lines, bars, dots and areas."""
    for line in axes.lines:
        if all(line.get_transform().contains_branch_seperately(axes.transData)):
            yield line.get_label(), line.get_xydata()
    for bars in axes.containers:
        if isinstance(bars, BarContainer):
            ends = [bar.get_corners()[2] for bar in bars]
            middles = [bar.get_center() for bar in bars]
            flat = bars.orientation == "horizontal"
            xy = np.where([flat, not flat], ends, middles)
            yield bars.get_label(), xy
    for drawn in axes.collections:
        paths = [] if isinstance(drawn, QuadMesh) else drawn.get_paths()
        outlines = [path.vertices for path in paths]
        if isinstance(drawn, PathCollection):
            outlines = [drawn.get_offsets()]
        yield from ((drawn.get_label(), outline) for outline in outlines)


def _curve(name: object, points: ArrayLike) -> dict[str, Any]:
    xy = np.ma.filled(points, np.nan)
    x, y = xy[:: _step(len(xy), MOST_POINTS)].T
    label = "" if str(name).startswith("_") else str(name)
    return {"label": label, "x": _plain(x), "y": _plain(y)}


def _maps(axes: Axes) -> Iterator[dict[str, Any]]:
    """Yield heat maps; pictures in colours are none."""
    for mesh in axes.collections:
        if isinstance(mesh, QuadMesh):
            corners = np.asarray(mesh.get_coordinates())
            yield _map(mesh.get_array(), corners[0, :, 0], corners[:, 0, 1])
    for image in axes.images:
        values: Any = np.ma.asarray(image.get_array())
        if values.ndim == 2:
            left, right, low, high = image.get_extent()
            ends = (low, high) if image.origin == "lower" else (high, low)
            rows, columns = values.shape
            x = np.linspace(left, right, columns + 1)
            yield _map(values, x, np.linspace(*ends, rows + 1))


def _map(values: Any, x: NDArray[Any], y: NDArray[Any]) -> dict[str, Any]:
    cells: Any = np.ma.filled(np.ma.asarray(values, float), np.nan)
    down, along = (_step(n, MOST_CELLS) for n in cells.shape)
    rows = [_plain(row) for row in cells[::down, ::along]]
    return {"x": _plain(x[:-1:along]), "y": _plain(y[:-1:down]), "values": rows}


def _step(count: int, most: int) -> int:
    """Return how many to go on at once, so as to meet no more than `most`."""
    return -(-count // most) or 1


def _plain(values: ArrayLike) -> list[float | None]:
    short = (float(f"{x:.5g}") for x in np.asarray(values, float))
    return [x if isfinite(x) else None for x in short]
