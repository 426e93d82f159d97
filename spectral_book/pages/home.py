"""What the front page shows: findings, answer, chapters, verdicts and the ledger."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from sphinx.errors import ExtensionError

from spectral_book.claims.claims_file import ClaimsFile, load_claims
from spectral_book.claims.facts import sample
from spectral_book.claims.numbers import Row
from spectral_book.claims.sentences import check_sentence, fill_from_row
from spectral_book.claims.tables import chip
from spectral_book.claims.words import CLAIM_WORDS, FINDING_WORDS, has_held
from spectral_book.pages.directives import ClaimsDirective, Fill
from spectral_book.pages.settings import DRAFT
from spectral_book.readable import error_sentences
from spectral_book.yaml_files import read_yaml

EXPLAINED = ("inconclusive", "not comparable")
"""What a rule came to where a row says the reason."""

KINDS = (("paper", CLAIM_WORDS), ("book", FINDING_WORDS))
"""Whose a claim can be, and its verdicts, the best first."""

LEAD = 2
"""So many findings, the first of their file, stand above the answer."""

WIDTH, HEIGHT = 200, 80
"""The size of a curve, in units of its drawing."""


class Finding(BaseModel):
    """A finding for the front page, as a sentence for each way it may come out.

    ``held`` is said where the claim is replicated or holds, ``failed`` where it is not
    or weaker, ``open`` in all other cases. Braces name numbers of the claim's row.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    claim: str
    held: str
    failed: str
    open: str


def read_findings(path: Path) -> list[Finding]:
    """Read the file of findings.

    Raises
    ------
    ValueError
        If it is not such a file, or a sentence names a number that rows do not have.
    """
    try:
        found = TypeAdapter(list[Finding]).validate_python(read_yaml(path))
    except ValidationError as error:
        raise ValueError(f"{path}: {error_sentences(error, [], 'field')}") from None
    for one in found:
        for sentence in (one.held, one.failed, one.open):
            check_sentence(sentence)
    return found


def answer(page: ClaimsDirective) -> dict[str, Any]:
    """The curve of every chapter that handed one over, in their order."""
    runs = [run for run in page.ledger.runs if run["panel"]]
    return {"runs": runs, "drawn": drawn, "address": page.address}


def drawn(panel: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a chapter misses at each frequency, as templates draw it."""
    x, y = panel["x"], panel["missing"]
    low, width = min(x), max(x) - min(x) or 1
    top = max(1.0, *y)
    points = " ".join(
        f"{WIDTH * (a - low) / width:.1f},{HEIGHT * (1 - b / top):.1f}"
        for a, b in zip(x, y, strict=True)
    )
    spoken = (
        f"{panel['title']}. Missing from the lowest to the highest frequency: "
        f"{y[0]:.2f} to {y[-1]:.2f}"
    )
    return {**panel, "points": points, "spoken": spoken}


def lead(page: ClaimsDirective) -> dict[str, Any]:
    """The first findings, for a reader who sees no more than the head of the page."""
    return {"findings": _findings(page, slice(LEAD))}


def findings(page: ClaimsDirective) -> dict[str, Any]:
    """The findings that the lead does not have."""
    return {"findings": _findings(page, slice(LEAD, None))}


def _findings(page: ClaimsDirective, part: slice) -> list[tuple[Row, str]]:
    """Findings of `findings.yaml`, as this build has them; none that did not run.

    Raises
    ------
    ExtensionError
        If the file cannot be read, or names a claim that the book does not have.
    """
    path = Path(page.env.srcdir) / "findings.yaml"
    whole = not (page.ledger.failed or DRAFT in os.environ)
    try:
        found = read_findings(path)
    except ValueError as error:
        raise ExtensionError(str(error)) from error
    return said(found[part], page.ledger.claims, complete=whole)


def said(
    found: Sequence[Finding], rows: Sequence[Row], *, complete: bool
) -> list[tuple[Row, str]]:
    """Return each finding's row with the sentence that is true of it.

    Raises
    ------
    ExtensionError
        If the book is complete and does not have a claim.
    """
    by_id = {row["id"]: row for row in rows}
    missing = [one.claim for one in found if one.claim not in by_id]
    if missing and complete:
        raise ExtensionError(f"findings.yaml names no claim of the book: {missing[0]}")
    told = []
    for one in found:
        row = by_id.get(one.claim)
        if row is not None and row["estimate"] is not None:
            failed = row["rule"] in ("not replicated", "weaker than claimed")
            otherwise = one.failed if failed else one.open
            sentence = one.held if has_held(row) else otherwise
            told.append((row, fill_from_row(sentence, row)))
    return told


def chapters(page: ClaimsDirective) -> dict[str, Any]:
    """A card for each chapter: curve, paper, question, answer, its claims.

    A notebook that has no claims and did not fail is a page, and no chapter.
    """
    cards = []
    for name in page.env.spectral_chapters:  # type: ignore[attr-defined]
        file = Path(page.env.srcdir) / "claims" / f"{name}.yaml"
        rows, run = page.ledger.rows_of(name), page.ledger.run_of(name)
        if rows or name in page.ledger.failed or file.is_file():
            cards.append((name, _head(file), rows, run))
    return {"chapters": cards, "drawn": drawn}


def _head(file: Path) -> ClaimsFile | None:
    """Return a chapter's claims file; the chapter itself reports a faulty one."""
    try:
        return load_claims(file)
    except ValueError:
        return None


def verdicts(page: ClaimsDirective) -> dict[str, Any]:
    """How many claims there are of each kind and verdict."""
    rows = page.ledger.claims
    return {
        "KINDS": KINDS,
        "chapters": by_page(rows),
        "counts": Counter((row["origin"], row["verdict"]) for row in rows),
        "whose": Counter(row["origin"] for row in rows),
        "papers": len({row["chapter"] for row in rows if row["origin"] == "paper"}),
    }


def ledger(page: ClaimsDirective) -> dict[str, Any]:
    """All claims of the book by page, and what a row says of each."""
    return {
        "EXPLAINED": EXPLAINED,
        "chapters": by_page(page.ledger.claims),
        "chip": lambda row: Markup(chip(row["verdict"])),
        "run": lambda row: f"{row['profile']}, {row['device']}",
        "sample": lambda row: f"{row['statistic'].replace('_', ' ')}, {sample(row)}",
    }


def by_page(claims: Iterable[Row]) -> list[tuple[str, list[Row]]]:
    """Group claims by the page that holds them, in their order."""
    pages: dict[str, list[Row]] = {}
    for claim in claims:
        pages.setdefault(claim["page"], []).append(claim)
    return list(pages.items())


FRONT_PAGE: Mapping[str, Fill] = {
    f.__name__: f for f in (lead, answer, findings, chapters, verdicts, ledger)
}
"""What fills each template of the front page."""
