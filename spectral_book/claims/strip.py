"""A claim as a strip: its verdict, its sentence and an axis with what was measured.

The axis is SVG with places in per cent, so that it stretches and its marks do not. It
lies on the scale that the claim is judged on. Shaded is what was needed; a dashed tick
is "no effect", the dot and bar the estimate and its interval, pale where that may reach
on another processor. Above them are the control and its interval, a hollow dot and a
thin line; a diamond is the paper's number, a square a recorded run. Numbers stand below
the dashed tick and the edges of what was needed, and the scale where it is not linear.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from spectral_book.claims.facts import elsewhere, facts, place
from spectral_book.claims.numbers import Row, interval, needed, needed_from, number
from spectral_book.claims.scales import Scale
from spectral_book.claims.tables import marked_chip
from spectral_book.claims.verdicts import BY_CONTROL

MARGIN = 0.08
"""Room at both ends of an axis, as a part of what it has to show."""

_CONTROL, _MIDDLE, _RECORDED, _LABELS, _HEIGHT = 5, 13, 20, 34, 36
"""How far below the upper edge the marks lie, and how high it all is, in pixels."""

_ZONE, _FLOOR = 1, 21
"""Between these what was needed is shaded."""

SCALES = {
    "logarithms": "log scale",
    "Fisher's z": "z scale",
    "log odds": "log-odds scale",
}
"""What an axis that is not linear says of itself, by the name of its scale."""

_CLOSE = 16.0
"""Two labels nearer than this, in %, stand at the outer sides of their ticks."""


class Axis:
    """Where numbers lie between the ends of one or several rows' common axis, in %."""

    def __init__(self, rows: Iterable[Row]) -> None:
        rows = list(rows)
        self.scale = Scale.from_dict(rows[0]["scale"])
        places = [z for row in rows for z in self._wanted(row)]
        low, high = min(places), max(places)
        room = MARGIN * (high - low) or 1.0
        self.low, self.high = low - room, high + room

    def __call__(self, x: float | str) -> float:
        """The place of a number as readers see it; at an end if it lies beyond."""
        z = float(self.scale.judged(float(x)))
        share = (z - self.low) / (self.high - self.low)
        return 100 * min(max(share, 0.0), 1.0)

    def holds(self, x: float | str) -> bool:
        """Whether a number lies between the ends."""
        return self.low <= float(self.scale.judged(float(x))) <= self.high

    def _wanted(self, row: Row) -> list[float]:
        """What an axis has to show: bar, no effect and intervals, where finite.

        And the control, where that is what keeps the claim open.
        """
        edges = row["band"] or [row["threshold"], row["no_effect"]]
        numbers = [*edges, row["ci_low"], row["ci_high"], row["estimate"]]
        numbers += row.get("elsewhere") or []
        if any(reason in row["why"] for reason in BY_CONTROL):
            numbers.append(row["control"]["estimate"])
        found = [float(self.scale.judged(float(x))) for x in numbers if x is not None]
        return [z for z in found if math.isfinite(z)]


def common_axis(rows: Sequence[Row]) -> Axis | None:
    """One axis for rows that are judged on one scale by one bar; None for others."""
    keys = ("scale", "direction", "threshold", "no_effect", "band")
    alike = all(row[key] == rows[0][key] for row in rows for key in keys)
    return Axis(rows) if rows and alike else None


def strip(row: Row, axis: Axis | None = None, recorded: Row | None = None) -> str:
    """One claim as a line with its axis; how it was measured unfolds.

    Parameters
    ----------
    axis
        An axis shared with neighbours; by default the row's own.
    recorded
        The row of a recorded run, for a second mark.
    """
    verdict = row["verdict"].replace(" ", "-")
    told = [*facts(row, recorded), *([] if row["estimate"] is None else [MARKS])]
    more = "".join(f"<li>{fact}</li>" for fact in told)
    return (
        f'<details class="strip strip-{row["origin"]} strip-{verdict}" '
        f'id="{escape(row["id"])}"><summary>'
        f'<span class="strip-head">{marked_chip(row)} '
        f'<span class="strip-source">{escape(place(row))}</span></span> '
        f'<span class="strip-says"><b>{escape(row["statement"])}</b> '
        f"<small>Measured: {escape(row['quantity'])}.</small></span> "
        f'<span class="strip-axis">{_drawn(row, axis or Axis([row]), recorded)}</span> '
        f'<span class="strip-numbers">{_numbers(row)}</span></summary>'
        f'<ul class="strip-more">{more}</ul></details>'
    )


MARKS = (
    "Shaded: needed. Dot and bar: measured, with its interval; pale: what another "
    "processor could give. Hollow dot, thin line: the control. Dashed: no effect. "
    "◆ the paper's number. ■ a recorded run, larger and not made by this build. "
    "◂ ▸ beyond the axis."
)
"""What the marks mean; every strip unfolds to it, as links lead to single ones."""

LEGEND = f'<p class="strip-legend">{MARKS} Each opens to tell more.</p>'
"""What the first strips of a page begin with."""


def strips(
    rows: Sequence[Row], recorded: Mapping[str, Row] = {}, legend: bool = False
) -> str:
    """Several claims below each other, on one axis where their bars are alike.

    ``recorded`` holds rows of recorded runs by their claims' ids.
    """
    axis = common_axis(rows)
    lines = "".join(strip(row, axis, recorded.get(row["id"])) for row in rows)
    return f'<div class="strips">{LEGEND if legend else ""}{lines}</div>'


def _numbers(row: Row) -> str:
    """The estimate and what was needed, in words beside the axis."""
    if row["estimate"] is None:
        return f"<small>{escape(row['why'])}</small>"
    return f"<b>{interval(row)}</b> <small>needed {escape(needed_from(row))}</small>"


def _drawn(row: Row, axis: Axis, recorded: Row | None) -> str:
    """The axis as SVG; its text is what it shows."""
    if row["estimate"] is None:
        return ""
    left, right = _zone(row, axis)
    marks = [
        f'<rect class="zone" x="{left:.2f}%" y="{_ZONE}" width="{right - left:.2f}%" '
        f'height="{_FLOOR - _ZONE}"/>',
        f'<line class="base" x1="0" x2="100%" {_level()}/>',
    ]
    if row["no_effect"] is not None:
        x = axis(row["no_effect"])
        marks.append(
            f'<line class="none" x1="{x:.2f}%" x2="{x:.2f}%" y1="{_ZONE}" '
            f'y2="{_FLOOR}"/>'
        )
    control = row["control"]
    if control["estimate"] is not None:
        ends = control["ci_low"], control["ci_high"]
        marks.append(_line("control-interval", axis, ends, _CONTROL))
        x, inside = axis(control["estimate"]), axis.holds(control["estimate"])
        marks.append(_dot("control", x, inside, _CONTROL))
    marks.append(_line("elsewhere", axis, row.get("elsewhere") or (None, None)))
    marks.append(_line("interval", axis, (row["ci_low"], row["ci_high"])))
    if row["printed"]:
        value = row["printed"]["value"]
        marks.append(_glyph("paper", "◆", axis(value)))
    if recorded is not None and recorded["estimate"] is not None:
        ends = (recorded["ci_low"], recorded["ci_high"])
        marks.append(_line("recorded", axis, ends, _RECORDED))
        x = axis(recorded["estimate"])
        marks.append(_glyph("recorded", "■", x, _RECORDED))
    marks.append(_dot("estimate", axis(row["estimate"]), True))
    marks += [*_labels(row, axis), *_scale(row, axis)]
    label = escape(_spoken(row, recorded))
    return (
        f'<svg width="100%" height="{_HEIGHT}" role="img" aria-label="{label}">'
        f"{''.join(marks)}</svg>"
    )


def _zone(row: Row, axis: Axis) -> tuple[float, float]:
    """The two ends of what was needed."""
    if row["band"] is not None:
        return axis(row["band"][0]), axis(row["band"][1])
    edge = axis(row["threshold"])
    return (edge, 100.0) if row["direction"] == "greater" else (0.0, edge)


def _labelled(row: Row, axis: Axis) -> list[tuple[float, str]]:
    """What has a number below it: no effect and the bar, or the ends of a band."""
    marked = row["band"] or [row["no_effect"], row["threshold"]]
    return sorted((axis(x), number(x)) for x in marked)


def _labels(row: Row, axis: Axis) -> list[str]:
    """Numbers at their places."""
    places = _labelled(row, axis)
    close = places[1][0] - places[0][0] < _CLOSE
    anchors = ("end", "start") if close else ("middle", "middle")
    return [
        f'<text class="label" x="{x:.2f}%" y="{_LABELS}" text-anchor="{anchor}">'
        f"{text}</text>"
        for (x, text), anchor in zip(places, anchors, strict=True)
    ]


def _scale(row: Row, axis: Axis) -> list[str]:
    """The name of a scale that is not linear, where it is farthest from the numbers."""
    name = SCALES.get(axis.scale.name)
    if name is None:
        return []
    taken = [x for x, _ in _labelled(row, axis)]
    ends = {0: "start", 50: "middle", 100: "end"}
    x = max(ends, key=lambda x: min(abs(x - other) for other in taken))
    return [
        f'<text class="label scale" x="{x}%" y="{_LABELS}" text-anchor="{ends[x]}">'
        f"{name}</text>"
    ]


def _level(y: int = _MIDDLE) -> str:
    return f'y1="{y}" y2="{y}"'


def _line(
    kind: str, axis: Axis, ends: Sequence[float | str | None], y: int = _MIDDLE
) -> str:
    """An interval as a line, as far as the axis holds it; nothing if there is none."""
    low, high = ends
    if low is None or high is None:
        return ""
    x = f'x1="{axis(low):.2f}%" x2="{axis(high):.2f}%"'
    return f'<line class="{kind}" {x} {_level(y)}/>'


def _dot(kind: str, x: float, inside: bool, y: int = _MIDDLE) -> str:
    """A dot, or an arrow head at the end that a number lies beyond."""
    if not inside:
        return _glyph(kind, "◂" if x < 50 else "▸", x, y)
    radius = 5 if kind == "estimate" else 4
    return f'<circle class="{kind}" cx="{x:.2f}%" cy="{y}" r="{radius}"/>'


def _glyph(kind: str, sign: str, x: float, y: int = _MIDDLE) -> str:
    anchor = "start" if x < 2 else "end" if x > 98 else "middle"
    return (
        f'<text class="{kind}" x="{x:.2f}%" y="{y}" '
        f'dominant-baseline="central" text-anchor="{anchor}">{sign}</text>'
    )


def _spoken(row: Row, recorded: Row | None) -> str:
    """What the axis shows, as a sentence."""
    scale = SCALES.get(row["scale"]["name"])
    parts = [scale] if scale else []
    parts.append(f"estimate {number(row['estimate'])}")
    if row["ci_low"] is not None:
        ends = f"{number(row['ci_low'])} to {number(row['ci_high'])}"
        parts.append(f"interval {ends}")
    if elsewhere(row):
        parts.append(f"on another processor {elsewhere(row)}")
    parts.append(f"needed {needed(row)}")
    if row["no_effect"] is not None:
        parts.append(f"no effect {number(row['no_effect'])}")
    if row["control"]["estimate"] is not None:
        parts.append(f"control {interval(row['control'])}")
    if row["printed"]:
        parts.append(f"the paper {number(row['printed']['value'])}")
    if recorded is not None and recorded["estimate"] is not None:
        parts.append(f"recorded run {number(recorded['estimate'])}")
    return ", ".join(parts)
