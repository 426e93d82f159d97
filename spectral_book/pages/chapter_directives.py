"""What a chapter's page shows besides its notebook: the answer, and how to cite it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
from markupsafe import Markup

from spectral_book import __version__
from spectral_book.claims.ledger import ChapterRun
from spectral_book.claims.numbers import interval, needed
from spectral_book.claims.recorded import compared
from spectral_book.claims.tables import beside, chip, marked_chip
from spectral_book.pages.directives import ClaimsDirective
from spectral_book.pages.reading import bibtex

_TITLE = re.compile(r"^# (.+)$", re.MULTILINE)


class OfChapterDirective(ClaimsDirective):
    """A directive on a chapter's own page."""

    def chapter_run(self) -> ChapterRun | None:
        """Return the run of the page's chapter; None if it published none."""
        runs = [run for run in self.ledger().runs if run["page"] == self.env.docname]
        return runs[0] if runs else None


class MinuteDirective(OfChapterDirective):
    """Show *In one minute*: what the paper says, what was measured, the verdict."""

    template = "minute"

    def context(self) -> dict[str, Any]:
        """Return the lines; none where the chapter has no answer of this kind."""
        run = self.chapter_run()
        lines = [] if run is None else run["minute"]
        asked = all(line["says"].endswith("?") for line in lines)
        heads = ("We ask" if asked else "The paper says", "We measured", "Verdict")
        rows = {row["id"]: row for row in self.ledger().claims}
        said = {"chip": chip, "beside": beside, "needed": needed}
        up = "../" * self.env.docname.count("/")
        return {"lines": lines, "heads": heads, "rows": rows, "up": up, **said}


class CiteDirective(OfChapterDirective):
    """Show the chapter's BibTeX entry, folded."""

    template = "cite"

    def context(self) -> dict[str, Any]:
        """Return the entry; an empty text where the chapter has no run."""
        run, config = self.chapter_run(), self.env.config
        if run is None:
            return {"entry": ""}
        today = datetime.now(UTC).date()
        return {
            "entry": bibtex(
                self.env.docname,
                title=title_of(Path(self.env.doc2path(self.env.docname))),
                book=config.html_title,
                author=config.author,
                version=__version__,
                date=today.isoformat(),
            )
        }


class RecordedDirective(OfChapterDirective):
    """Say which verdicts of this build a recorded run shares, and which not."""

    template = "recorded"

    def context(self) -> dict[str, Any]:
        """Return the rows by what became of them; none where nothing is recorded."""
        run, records = self.chapter_run(), self.env.spectral_records  # type: ignore[attr-defined]
        rows = [row for row in self.ledger().claims if row["page"] == self.env.docname]
        found = compared(rows, records)
        pairs = [pair for kind in found.values() for pair in kind]
        return {
            "found": found,
            "runs": dict.fromkeys(then["recorded"] for _, then in pairs),
            "data": "" if run is None else run["parameters"].get("data", ""),
            "chip": lambda row: Markup(marked_chip(row)),
            "interval": interval,
        }


def title_of(notebook: Path) -> str:
    """Return the first heading of a notebook; its name if it has none."""
    for cell in nbformat.read(notebook, as_version=4).cells:
        found = _TITLE.search(cell.source) if cell.cell_type == "markdown" else None
        if found:
            return found[1]
    return notebook.stem
