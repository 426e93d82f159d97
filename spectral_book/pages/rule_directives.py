"""What the pages show of the rule itself: criteria, bars, chance, coverage, an example.

All numbers are those of the build that makes the pages.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from markupsafe import Markup

from spectral_book.claims import coverage
from spectral_book.claims.intervals import FALSE_POSITIVES
from spectral_book.claims.numbers import Row, number
from spectral_book.claims.printed import criteria, papers_claims
from spectral_book.claims.rows import bar_of, rejudged
from spectral_book.claims.scales import Scale
from spectral_book.claims.strip import strip
from spectral_book.claims.verdicts import Bar
from spectral_book.claims.words import has_held
from spectral_book.pages.directives import ClaimsDirective, Fill

FACTORS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0)
"""How far the bars are moved: times their distance from "no effect"."""

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 360, 190, 40, 12, 14, 40
"""Of the picture of the bars and of what lies around its axes, in its own units."""


def criteria_met(page: ClaimsDirective) -> dict[str, Any]:
    """How many of the papers' claims hold by each of four criteria."""
    return {"criteria": criteria(page.ledger.claims)}


def bars(page: ClaimsDirective) -> dict[str, Any]:
    """A picture of how many claims are replicated as all bars are moved."""
    rows = papers_claims(page.ledger.claims)
    counts = replicated_by_factor(rows)
    return {
        **drawn(counts, len(rows)),
        "counts": [(number(f), count) for f, count in counts.items()],
        "claims": len(rows),
        "at": lambda factor: counts[factor],
        "size": (WIDTH, HEIGHT),
    }


def expected_false(page: ClaimsDirective) -> dict[str, Any]:
    """How many false positives the design expects, and what fails Holm."""
    return chance(page.ledger.claims)


def simulated(page: ClaimsDirective) -> dict[str, Any]:
    """How often the intervals hold the truth."""
    return {"rows": coverage.table(), "RATIOS": coverage.RATIOS}


def claim_example(page: ClaimsDirective) -> dict[str, Any]:
    """A claim's row and strip, none if a chapter without results may hold it."""
    rows, name = page.ledger.claims, page.arguments[0]
    row = next((row for row in rows if row["id"] == name), None)
    chapters = page.env.spectral_chapters  # type: ignore[attr-defined]
    if row is None and {row["page"] for row in rows} >= set(chapters):
        raise page.error(f"the book has no claim named {name!r}")
    shown = "" if row is None else strip(row)
    opened = Markup(shown.replace("<details ", "<details open ", 1))
    return {"row": row, "name": name, "strip": opened}


RULE: Mapping[str, Fill] = {
    "criteria": criteria_met,
    "bars": bars,
    "expected-false": expected_false,
    "coverage": simulated,
}
"""What fills each template of the rule; that of an example takes an argument."""


def replicated_by_factor(rows: Sequence[Row]) -> dict[float, int]:
    """Return how many rows hold with their bars moved by each of `FACTORS`.

    Distances are those on a claim's scale. A claim of no effect is asked for more the
    narrower its band is, so the factor divides a band's width.
    """

    def holds(row: Row, factor: float) -> bool:
        if factor == 1 or not row["values"]:
            return has_held(row)
        far = 1 / factor if row["band"] else factor
        bar = moved(bar_of(row), far, Scale.from_dict(row["scale"]))
        return has_held(rejudged(row, bar))

    return {factor: sum(holds(row, factor) for row in rows) for factor in FACTORS}


def moved(bar: Bar, factor: float, scale: Scale) -> Bar:
    """Return a bar at so many times its distance from "no effect", or a band's width.

    Distances are those on the scale: twice a ratio of 0.3 is 0.09, and not -0.4.
    """
    start, end = bar.on(scale).ends
    if bar.direction != "within":
        end = scale.shown(start + factor * (end - start))
        return replace(bar, ends=(bar.ends[0], end))
    middle, reach = (start + end) / 2, factor * (end - start) / 2
    ends = scale.shown(middle - reach), scale.shown(middle + reach)
    return replace(bar, ends=ends)


def drawn(counts: Mapping[float, int], most: int) -> dict[str, Any]:
    """Return where the dots of `replicated_by_factor` lie, and marks with labels."""
    first, last = FACTORS[0], FACTORS[-1]

    def x(factor: float) -> float:
        share = (factor - first) / (last - first)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(count: float) -> float:
        return round(
            HEIGHT - BOTTOM - count / max(most, 1) * (HEIGHT - TOP - BOTTOM), 1
        )

    return {
        "dots": [(x(factor), y(count)) for factor, count in counts.items()],
        "across": [(x(f), number(f)) for f in (0.5, 1.0, 1.5, 2.0)],
        "up": [(y(count), str(count)) for count in sorted({0, most // 2, most})],
    }


def chance(rows: Sequence[Row]) -> dict[str, Any]:
    """Count what chance alone may do to a build's rows.

    Of the ``tested`` rows, those judged by a t interval, ``expected`` would clear their
    bar if every truth lay exactly on it. Of those that ``held`` and have a p-value
    ``fail_holm`` do not stand Holm's correction within their chapter.
    """
    tested = sum("t interval" in row["ci_method"] for row in rows)
    marked = [row for row in rows if row["holm"] is not None]
    failing = sum(not row["holm"] for row in marked)
    found = {"tested": tested, "expected": FALSE_POSITIVES * tested}
    return {**found, "held": len(marked), "fail_holm": failing}
