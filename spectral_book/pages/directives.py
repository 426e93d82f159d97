"""What the pages show of claims and costs: a directive and a template for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any, ClassVar

from docutils.parsers.rst import directives
from markupsafe import Markup
from sphinx.errors import ExtensionError

from spectral_book.claims.claims_file import ClaimsFile, load_claims
from spectral_book.claims.facts import (
    apart,
    chance,
    control_found,
    elsewhere,
    sample,
    share_reached,
)
from spectral_book.claims.ledger import ChapterRun, Ledger
from spectral_book.claims.numbers import Row, interval, needed_from, p_value
from spectral_book.claims.printed import agreement
from spectral_book.claims.tables import chip
from spectral_book.claims.words import CLAIM_WORDS, FINDING_WORDS, SIGNS, count_line
from spectral_book.pages.costs import COLUMNS, command, filled, in_short, read_costs
from spectral_book.pages.curves import Drawn, drawn
from spectral_book.pages.templates import TemplateDirective

EXPLAINED = ("inconclusive", "not comparable")
"""What a rule came to where a row says the reason."""

KINDS = (("paper", CLAIM_WORDS), ("book", FINDING_WORDS))
"""Whose a claim can be, and its verdicts, the best first."""


class ClaimsDirective(TemplateDirective):
    """What shows the claims of the book on a page."""

    def ledger(self) -> Ledger:
        """Return the claims; the page then changes with the chapters."""
        for docname in self.env.found_docs:
            if self.env.doc2path(docname).endswith(".ipynb"):
                self.env.note_dependency(self.env.doc2path(docname, base=False))
        return self.env.spectral_ledger  # type: ignore[attr-defined]

    def uri(self, claim: Row, anchor: str) -> Markup:
        """Return the address of an anchor on the page that holds a claim."""
        builder = self.env.app.builder
        page = builder.get_relative_uri(self.env.docname, claim["page"])
        return Markup(escape(f"{page}#{anchor}"))

    def shared(self, ledger: Ledger) -> dict[str, Any]:
        """Return what several templates name."""
        return {
            "ledger": ledger,
            "chapters": by_page(ledger.claims),
            "uri": self.uri,
            "count_line": count_line,
            "SIGNS": SIGNS,
        }


class VerdictsDirective(ClaimsDirective):
    """Show claims as squares of a verdict's colour and sign, findings as circles."""

    template = "verdicts"

    def context(self) -> dict[str, Any]:
        """Return the claims, and how many there are of each kind and verdict."""
        ledger = self.ledger()
        counts = Counter((row["origin"], row["verdict"]) for row in ledger.claims)
        whose = Counter(row["origin"] for row in ledger.claims)
        return {
            **self.shared(ledger),
            "KINDS": KINDS,
            "counts": counts,
            "whose": whose,
            "papers": len(
                {r["chapter"] for r in ledger.claims if r["origin"] == "paper"}
            ),
        }


class ChaptersDirective(ClaimsDirective):
    """Show a card for each chapter: curve, paper, question, answer, its claims."""

    template = "chapters"

    def context(self) -> dict[str, Any]:
        """Return each chapter with the head of its claims file and its claims.

        A notebook that has no claims and did not fail is a page, and no chapter.
        """
        ledger = self.ledger()
        pages = self.env.spectral_chapters  # type: ignore[attr-defined]
        chapters = [
            (page, self._head(page), part, _curve(part.runs))
            for page in pages
            for part in [ledger.of_chapter(page)]
            if part.claims or page in ledger.failed or self._file(page).is_file()
        ]
        return {"chapters": chapters, "chip": chip}

    def _file(self, docname: str) -> Path:
        return Path(self.env.srcdir) / "claims" / f"{docname}.yaml"

    def _head(self, docname: str) -> ClaimsFile | None:
        """Return a chapter's claims file; the chapter itself reports a faulty one."""
        path = self._file(docname)
        self.env.note_dependency(str(path))
        try:
            return load_claims(path)
        except ValueError:
            return None


class LedgerDirective(ClaimsDirective):
    """Show all claims of the book, folded by chapter."""

    template = "ledger"

    def context(self) -> dict[str, Any]:
        """Return the claims, and what a row says of each."""
        return {
            **self.shared(self.ledger()),
            "records": self.env.spectral_records,  # type: ignore[attr-defined]
            "EXPLAINED": EXPLAINED,
            "apart": apart,
            "chance": chance,
            "agreement": agreement,
            "chip": lambda row: Markup(chip(row["verdict"])),
            "run": run,
            "sample": sample_of_statistic,
            "share_reached": share_reached,
            "interval": interval,
            "needed_from": needed_from,
            "p_value": p_value,
            "control_found": control_found,
            "elsewhere": elsewhere,
        }


class CostsDirective(TemplateDirective):
    """Show the measurements of a device, all groups or those named in `:groups:`.

    With `:short:` only what they answer, a line a question.
    """

    template = "costs"
    required_arguments = 1
    option_spec: ClassVar = {
        "groups": directives.unchanged_required,
        "short": directives.flag,
    }

    def context(self) -> dict[str, Any]:
        """Return the groups that were measured, and how to measure the others.

        Raises
        ------
        ExtensionError
            If the file of measurements cannot be read.
        """
        device = self.arguments[0]
        path = Path(self.env.srcdir).parent / "results" / "costs" / f"{device}.json"
        self.env.note_dependency(str(path))
        try:
            groups = read_costs(path).groups
        except ValueError as error:
            raise ExtensionError(str(error)) from error
        wanted = self.options.get("groups", "").split() or list(groups)
        missing = [name for name in wanted if name not in groups]
        what = f"{', '.join(missing)}: not" if missing else "Nothing has been"
        return {
            "groups": [groups[name] for name in wanted if name in groups],
            "short": in_short(groups) if "short" in self.options else None,
            "missing": what if missing or not wanted else "",
            "device": device,
            "command": command(device, missing),
            "filled": filled,
            "COLUMNS": COLUMNS,
        }


def _curve(runs: Sequence[ChapterRun]) -> Drawn | None:
    """Return the curve of a chapter's run, if it handed one over."""
    return next((drawn(run) for run in runs if run["panel"]), None)


def by_page(claims: Iterable[Row]) -> list[tuple[str, list[Row]]]:
    """Group claims by the page that holds them, in their order."""
    pages: dict[str, list[Row]] = {}
    for claim in claims:
        pages.setdefault(claim["page"], []).append(claim)
    return list(pages.items())


def sample_of_statistic(row: Row) -> str:
    """Return the statistic and the number of values behind an estimate."""
    return f"{row['statistic'].replace('_', ' ')}, {sample(row)}"


def run(row: Row) -> str:
    """Return the profile and device a claim was tested with."""
    return f"{row['profile']}, {row['device']}"
