"""Claims as tables: HTML for readers, rounded text for automatic comparison."""

from collections.abc import Mapping, Sequence
from html import escape

from spectral_book.claims.facts import facts, marks, place
from spectral_book.claims.numbers import (
    Row,
    agree,
    coarse,
    interval,
    needed,
    needed_from,
    resolution,
)
from spectral_book.claims.scales import Scale
from spectral_book.claims.words import SIGNS


def chip(verdict: str) -> str:
    """A verdict as a coloured label with its sign."""
    kind = verdict.replace(" ", "-")
    return f'<span class="ledger-chip ledger-{kind}">{SIGNS[verdict]} {verdict}</span>'


def beside(row: Row) -> str:
    """What a verdict's word alone does not tell, to stand beside it."""
    found = escape("; ".join(marks(row)))
    return f' <span class="beside">{found}</span>' if found else ""


def marked_chip(row: Row) -> str:
    """A row's verdict with what stands beside it."""
    return chip(row["verdict"]) + beside(row)


def html(rows: Sequence[Row], recorded: Mapping[str, Row] = {}) -> str:
    """Claims as one table, with their statements.

    ``recorded`` holds rows of recorded runs by their claims' ids.
    """
    head = ("Verdict", "Claim", "Estimate [interval]", "Needed", "Control")
    table = _table(head, [_cells(row, recorded.get(row["id"])) for row in rows])
    marked = any(row["id"] in recorded for row in rows)
    return f"{RECORDED if marked else ''}{table}"


RECORDED = (
    '<p class="strip-legend">■ a recorded run, larger and not made by this build, came '
    "to another verdict; to the same one where there is none</p>"
)
"""What a table begins with that shows recorded runs."""


def folded(title: str, rows: Sequence[Row], recorded: Mapping[str, Row] = {}) -> str:
    """Claims as a folded list; each unfolds to how it was measured.

    ``recorded`` holds rows of recorded runs by their claims' ids.
    """
    lines = "".join(
        f'<li id="{escape(row["id"])}">{marked_chip(row)} '
        f"{escape(row['statement'])} <b>{interval(row)}</b> "
        f"<small>needed {escape(needed(row))}; {escape(place(row))}</small>"
        f"<details><summary>how it was measured</summary><ul>"
        + "".join(f"<li>{fact}</li>" for fact in facts(row, recorded.get(row["id"])))
        + "</ul></details></li>"
        for row in rows
    )
    return (
        f'<details class="folded claims-folded"><summary>{escape(title)}: {len(rows)}'
        f"</summary><ul>{lines}</ul></details>"
    )


def text(rows: Sequence[Row], expected: Mapping[str, float] = {}) -> str:
    """All claims in columns: id, rounded estimate, bar, n, verdict.

    The text is there to be compared with what another processor prints: an estimate
    that agrees with the ``expected`` one, by id, is rounded like it, and one "varies"
    where rounding may move it to another step.
    """
    cells = [("claim", "estimate", "needed", "n", "verdict")] + [
        (
            row["id"],
            _rounded(row, expected.get(row["id"])),
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
    """A table of short texts."""
    return _table([*map(escape, head)], [[*map(escape, row)] for row in rows])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of HTML that scrolls sideways where it does not fit."""

    def line(cells: Sequence[str], tag: str) -> str:
        return f"<tr>{''.join(f'<{tag}>{cell}</{tag}>' for cell in cells)}</tr>"

    body = "".join(line(row, "td") for row in rows)
    return (
        f'<div class="claims-table"><table><thead>{line(head, "th")}</thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _rounded(row: Row, expected: float | None) -> str:
    """The estimate to the nearest of 1 and 3 times a power of ten, if it is steady."""
    x, least = row["estimate"], resolution(row)
    if row["rounding_decides"]:
        return "varies"
    if expected is not None and agree(x, expected, least):
        x = expected
    if row["rounding"] and x is not None:
        scale = Scale.from_dict(row["scale"])
        z = float(scale.judged(float(x)))
        far = row["rounding"][0]
        moved = (scale.shown(z + move) for move in (-far, far))
        if any(coarse(y, least) != coarse(x, least) for y in moved):
            return "varies"
    return coarse(x, least)


def _cells(row: Row, then: Row | None) -> list[str]:
    """A claim's line of the table, with another verdict of a recorded run."""
    verdict, estimate = marked_chip(row), interval(row)
    if then is not None and then["verdict"] != row["verdict"]:
        told = "; ".join([f"{SIGNS[then['verdict']]} {then['verdict']}", *marks(then)])
        verdict += f"<br><small>■ {escape(told)}</small>"
        estimate += f"<br><small>■ {interval(then)}</small>"
    name = escape(row["id"])
    claim = f'{escape(row["statement"])} <small><a href="#{name}">{name}</a></small>'
    return [verdict, claim, estimate, escape(needed(row)), interval(row["control"])]
