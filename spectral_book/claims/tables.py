"""Claims as tables: HTML for readers, rounded text for automatic comparison."""

import re
from collections.abc import Sequence
from html import escape

from spectral_book.claims.numbers import (
    Row,
    coarse,
    interval,
    needed,
    needed_from,
    number,
    p_value,
    resolution,
)
from spectral_book.claims.printed import agreement
from spectral_book.claims.words import SIGNS

_NUMBERED = re.compile(r"(Abstract|Appendix|Equation|Figure|Section|Table)s?\b")
"""How a place in a paper begins; the pages number their own figures and equations."""

_CHANGES = {"numbers": "the control plus", "logarithms": "the control times"}
"""How a difference from the control is told, by the scale it is taken on."""

FAILS_HOLM = "fails Holm's correction within its chapter"


def row_html(row: Row) -> str:
    """One claim as a box: statement, numbers, control, verdict and why."""
    control = row["control"]
    p = "" if row["p_bar"] is None else f"{p_value(row['p_bar'])} against the bar"
    how = ", ".join(filter(None, (row["ci_method"], sample(row), p)))
    facts = [
        f"{escape(row['quantity'])}: <b>{interval(row)}</b> "
        f"<span class='muted'>({escape(how)}; needed {escape(needed_from(row))}; "
        f"{escape(row['profile'])}, {escape(row['device'])})</span>",
        f"<span class='muted'>control:</span> {escape(control['name'])}: "
        + ", ".join(filter(None, (interval(control), control_found(row), apart(row)))),
    ]
    if row["printed"]:
        facts.append(f"<span class='muted'>the paper:</span> {escape(agreement(row))}")
    if row["differs"]:
        facts.append(f"<span class='muted'>differs:</span> {escape(row['differs'])}")
    place = "the paper's " if _NUMBERED.match(row["source"]) else ""
    notes = [escape(place + row["source"])]
    if row["origin"] == "book":
        notes.append("a finding of this book")
    if row["late"]:
        notes.append(f"{row['late']} set after a run was seen")
    return (
        f'<div class="claim claim-{row["origin"]}" id="{escape(row["id"])}">'
        f"<div>{chip(row['verdict'])} <b>{escape(row['statement'])}</b> "
        f"<span class='muted'>{' · '.join(notes)}</span></div>"
        + "".join(f"<div>{fact}</div>" for fact in facts)
        + f"<div class='muted'>{escape(row['why'])}{share_reached(row)}</div></div>"
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
        f"<td>{interval(row)}</td><td>{escape(needed(row))}</td>"
        f"<td>{interval(row['control'])}</td><td>{chip(row['verdict'])}"
        f"{_marks(row)}</td></tr>"
        for row in rows
    )
    return (
        '<div class="claims-table"><table><thead><tr>'
        f"{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def text(rows: Sequence[Row]) -> str:
    """All claims in columns: id, rounded estimate, bar, n, verdict.

    Where rounding decides, estimate and n are left open: they differ between
    processors, and the text is there to be compared.
    """
    cells = [("claim", "estimate", "needed", "n", "verdict")] + [
        (
            row["id"],
            "open"
            if row["rounding_decides"]
            else coarse(row["estimate"], resolution(row)),
            needed_from(row).replace("\u00a0", " "),
            "-" if row["rounding_decides"] else str(row["n"]),
            row["verdict"],
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


def sample(row: Row) -> str:
    """How many seeds gave a number: `n = 5`, or `n = 3 of 5`."""
    missing = row["missing"]
    of = f" of {row['n'] + missing}" if missing else ""
    return f"n\u00a0=\u00a0{row['n']}{of}"


def control_found(row: Row) -> str:
    """Whether a claim's control shows what the claim says; empty if it was not run."""
    control = row["control"]
    return control["shows"] if control["n"] else ""


def apart(row: Row) -> str:
    """How far a measurement lies from its control, with the interval."""
    difference = row["difference"]
    if difference is None or difference["ci_low"] is None:
        return ""
    scale = row["scale"]["name"]
    how = _CHANGES.get(scale, f"less the control, in {scale}:")
    return f"{how} {interval(difference)}"


def share_reached(row: Row) -> str:
    """How much of the effect that was asked for was there, where it was too weak."""
    if row["rule"] != "weaker than claimed" or row["share"] is None:
        return ""
    return f" It reaches {number(row['share'], '.0%')} of the effect asked for."


def _marks(row: Row) -> str:
    """What a verdict in a table has to say besides."""
    notes = ["rounding decides"] if row["rounding_decides"] else []
    notes += [FAILS_HOLM] if row["holm"] is False else []
    return f" ({'; '.join(notes)})" if notes else ""
