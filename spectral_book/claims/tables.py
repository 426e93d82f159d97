"""Claims as tables: HTML for readers, rounded text for automatic comparison."""

import re
from collections.abc import Sequence
from html import escape

from spectral_book.claims.numbers import (
    Row,
    coarse,
    interval,
    needed,
    p_value,
)

SIGNS = {
    "replicated": "✓",
    "direction only": "↗",
    "not replicated": "✗",
    "inconclusive": "?",
    "not comparable": "∅",
}
"""A sign for each verdict, to tell them apart without colour."""

CONTROL_SHOWS = {
    "replicated": "shows it",
    "direction only": "shows some of it",
    "not replicated": "does not show it",
    "inconclusive": "undecided",
}
"""What a control's verdict says of the control."""

_NUMBERED = re.compile(r"(Abstract|Appendix|Equation|Figure|Section|Table)s?\b")
"""How a place in a paper begins; the pages number their own figures and equations."""


def row_html(row: Row) -> str:
    """One claim as a box: statement, numbers, control, verdict and why."""
    control = row["control"]
    p = "" if row["p_value"] is None else escape(p_value(row["p_value"]))
    how = ", ".join(filter(None, (row["ci_method"], f"n = {row['n']}", p)))
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


def control_found(row: Row) -> str:
    """Whether a claim's control shows what the claim says; empty if it was not run."""
    control = row.get("control") or {}
    return CONTROL_SHOWS.get(str(control.get("verdict")), "")
