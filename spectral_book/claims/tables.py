"""Claims as tables: HTML for readers, rounded text for automatic comparison."""

import math
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

Row = Mapping[str, Any]

SIGNS = {
    "replicated": "✓",
    "direction only": "↗",
    "not replicated": "✗",
    "inconclusive": "?",
    "not comparable": "∅",
    "paper inconsistent": "!",
}
"""A sign for each verdict, to tell them apart without colour."""

_CONTROL_SHOWS = {
    "replicated": "shows it",
    "direction only": "shows some of it",
    "not replicated": "does not show it",
    "inconclusive": "undecided",
}
_CONTROL_AGREES = {
    "replicated": "found to agree",
    "direction only": "found to agree in part",
    "not replicated": "not found to agree",
    "inconclusive": "undecided",
}

_NUMBERED = re.compile(r"(Abstract|Appendix|Equation|Figure|Section|Table)s?\b")
"""How a place in a paper begins; the pages number their own figures and equations."""

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def row_html(row: Row) -> str:
    """One claim as a box: statement, numbers, control, verdict and why."""
    control = row["control"]
    p_value = row["p_value"]
    beside = [
        row["ci_method"],
        f"n = {row['n']}",
        "" if p_value is None else _p(p_value),
    ]
    how = ", ".join(filter(None, beside))
    facts = [
        f"{escape(row['quantity'])}: <b>{interval(row)}</b> "
        f"<span class='muted'>({how}; needed {escape(needed(row['threshold']))}; "
        f"{escape(row['profile'])}, {escape(row['device'])})</span>",
        f"<span class='muted'>control:</span> {escape(control['name'])}: "
        + ", ".join(filter(None, (interval(control), control_found(row)))),
    ]
    if row["differs"]:
        facts.append(f"<span class='muted'>differs:</span> {escape(row['differs'])}")
    if row["rounding_decides"]:
        facts.append(
            "<span class='muted'>This number depends on how the machine rounds: on "
            "another processor it may come out otherwise, and near a threshold so "
            "may the verdict.</span>"
        )
    place = "the paper's " if _NUMBERED.match(row["source"]) else ""
    origin = "" if row["origin"] == "paper" else " · found by this book"
    return (
        f'<div class="claim" id="{escape(row["id"])}">'
        f"<div>{chip(row['verdict'])} <b>{escape(row['statement'])}</b> "
        f"<span class='muted'>{place}{escape(row['source'])}{origin}</span></div>"
        + "".join(f"<div>{fact}</div>" for fact in facts)
        + f"<div class='muted'>{escape(row['why'])}</div></div>"
    )


def chip(verdict: str) -> str:
    """A verdict as a coloured label with its sign."""
    kind = verdict.replace(" ", "-")
    return f'<span class="ledger-chip ledger-{kind}">{SIGNS[verdict]} {verdict}</span>'


def html(rows: Sequence[Row]) -> str:
    """All claims of a chapter as one table."""
    head = "".join(
        f"<th>{name}</th>"
        for name in ("Claim", "Estimate [interval]", "Needed", "Control", "Verdict")
    )
    body = "".join(
        f'<tr><td><a href="#{escape(row["id"])}">{escape(row["id"])}</a></td>'
        f"<td>{interval(row)}</td><td>{escape(needed(row['threshold']))}</td>"
        f"<td>{interval(row['control'])}</td><td>{chip(row['verdict'])}"
        f"{' (rounding decides)' if row['rounding_decides'] else ''}</td></tr>"
        for row in rows
    )
    return (
        '<div class="claims-table"><table><thead><tr>'
        f"{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def text(rows: Sequence[Row]) -> str:
    """All claims in columns: id, rounded estimate, threshold, n, verdict.

    Where rounding decides, estimate, n and verdict are left open: they differ between
    processors, and the text is there to be compared.
    """
    cells = [("claim", "estimate", "needed", "n", "verdict")] + [
        (
            row["id"],
            "open"
            if row["rounding_decides"]
            else coarse(row["estimate"], row["resolution"]),
            row["threshold"],
            "-" if row["rounding_decides"] else str(row["n"]),
            "open" if row["rounding_decides"] else row["verdict"],
        )
        for row in rows
    ]
    widths = [max(len(line[i]) for line in cells) for i in range(4)]
    return "\n".join(
        "  ".join(
            [c.ljust(w) for c, w in zip(line, widths, strict=False)] + [line[4]]
        ).rstrip()
        for line in cells
    )


def plain_html(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of short texts that scrolls sideways where it does not fit."""

    def line(cells: Sequence[str], tag: str) -> str:
        inner = "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells)
        return f"<tr>{inner}</tr>"

    body = "".join(line(row, "td") for row in rows)
    return (
        f'<div class="claims-table"><table><thead>{line(head, "th")}</thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def coarse(x: float | None, resolution: float = 1e-3) -> str:
    """A number to the nearest of 1 or 3 times a power of ten, or 0 if too small."""
    if x is None:
        return "-"
    if abs(x) < resolution:
        return "~0"
    exponent = math.floor(math.log10(abs(x)))
    steps = [m * 10.0**e for e in (exponent, exponent + 1) for m in (1, 3)]
    nearest = min(steps, key=lambda step: abs(math.log(abs(x) / step)))
    return f"~{math.copysign(nearest, x):.3g}"


def number(x: float | None) -> str:
    """A number to three significant digits, with a power of ten only if it is far."""
    if x is None:
        return "–"
    if isinstance(x, int):
        return str(x)
    if abs(x) < 1e-12:  # rounding, not a number worth digits
        return "0"
    if not 1e-3 <= abs(x) < 1e4:
        return scientific(x)
    shown = f"{x:.3g}" if abs(x) < 1e3 else f"{x:.0f}"
    return shown.replace("-", "−")


def scientific(x: float, decimals: int = 1) -> str:
    """A number with a power of ten."""
    digits, exponent = f"{x:.{decimals}e}".split("e")
    return f"{digits}·10{str(int(exponent)).translate(_RAISED)}".replace("-", "−")


def needed(bar: str) -> str:
    """What an interval has to clear, with its numbers as the book writes them."""
    return _NUMBER.sub(lambda found: number(float(found[0])), bar)


def control_found(row: Row) -> str:
    """Whether a claim's control shows what the claim says; empty if it was not run.

    Where the claim compares two places of a paper, its control is a known agreement.
    """
    control = row.get("control") or {}
    words = _CONTROL_AGREES if row.get("between") else _CONTROL_SHOWS
    return words.get(str(control.get("verdict")), "")


def _p(p_value: float) -> str:
    """A p-value to one significant digit; those of rounding's size as a bound."""
    smallest = 1e-12
    if p_value < smallest:
        return f"p &lt; {number(smallest)}"
    return f"p = {number(float(f'{p_value:.1g}'))}"


def interval(row: Row) -> str:
    """An estimate with its interval, where there is one, as plain text."""
    shown = number(row.get("estimate"))
    if row.get("ci_low") is None:
        return shown
    return f"{shown} [{number(row['ci_low'])}, {number(row['ci_high'])}]"
