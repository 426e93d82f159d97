"""The `ledger` directive: the claims of the book as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.addnodes import pending_xref
from sphinx.util.docutils import SphinxDirective

from spectral_lib.book.ledger import Claim, Ledger
from spectral_lib.report.tables import interval, number

_NOTHING = "–"

# A verdict must be told apart without colour: each has its own sign beside its name.
_SIGNS = {
    "replicated": "✓",
    "direction only": "↗",
    "not replicated": "✗",
    "inconclusive": "?",
    "not comparable": "∅",
    "paper inconsistent": "!",
}


class LedgerDirective(SphinxDirective):
    """Show the claims of the whole book, or with `:chapter:` those of one chapter."""

    option_spec: ClassVar = {"chapter": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        """Return the count line and the table."""
        # The table changes with the chapters, not only with the page it is on.
        for docname in self.env.found_docs:
            if self.env.doc2path(docname).endswith(".ipynb"):
                self.env.note_dependency(self.env.doc2path(docname, base=False))
        ledger: Ledger = self.env.spectral_ledger  # type: ignore[attr-defined]
        name = self.options.get("chapter")
        if name is not None:
            known = {claim["chapter"] for claim in ledger.claims}
            if name not in self.env.found_docs and name not in known:
                raise self.error(f"the book has no chapter named {name!r}")
            ledger = ledger.of_chapter(name)
        box = nodes.container(classes=["ledger"])
        box += nodes.paragraph("", ledger.count_line() + ".", classes=["ledger-count"])
        if ledger.failed:
            failed = "Incomplete: these chapters failed: " + ", ".join(ledger.failed)
            box += nodes.warning("", nodes.paragraph("", failed + "."))
        if ledger.claims:
            box += self._table(ledger)
        return [box]

    def _columns(self) -> tuple[str, ...]:
        """Return the columns' titles; that of large runs only if there are any."""
        recorded = ("Recorded run",) if self._recorded() else ()
        return ("Verdict", "Claim", "Estimate", *recorded, "Needed", "Control")

    def _recorded(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the claims of recorded runs."""
        return self.env.spectral_records  # type: ignore[attr-defined]

    def _table(self, ledger: Ledger) -> nodes.table:
        """Return the table, with a row that links to the chapter before its claims."""
        columns = self._columns()
        head = nodes.row("", *[_cell([nodes.Text(title)]) for title in columns])
        body = nodes.tbody()
        page = None
        for claim in ledger.claims:
            if claim["page"] != page:
                page = claim["page"]
                body += _chapter_row(page, self.env.docname, len(columns))
            body += self._row(claim)
        group = nodes.tgroup("", cols=len(columns))
        group += [nodes.colspec(colwidth=1) for _ in columns]
        group += [nodes.thead("", head), body]
        wide = ["ledger-wide"] if self._recorded() else []
        return nodes.table("", group, classes=["ledger-table", "colwidths-auto", *wide])

    def _row(self, claim: Claim) -> nodes.row:
        """Return one claim's row."""
        # A statement may hold MyST: mathematics, emphasis, code.
        statement, messages = self.state.inline_text(claim["statement"], self.lineno)
        cells = [
            [_chip(claim["verdict"]), *_small(_run(claim))],
            [*statement, *self._source(claim)],
            [nodes.Text(interval(claim)), *_small(_sample(claim))],
            *self._large_run(claim),
            [nodes.Text(str(claim.get("threshold") or _NOTHING))],
            _control(claim.get("control")),
        ]
        row = nodes.row("", classes=["ledger-claim"], ids=[])
        for title, content in zip(self._columns(), cells, strict=True):
            row += _cell(content, label=title)
        row.children[1] += messages
        return row

    def _large_run(self, claim: Claim) -> list[list[nodes.Node]]:
        """Return the cell of the recorded run, if the table has that column."""
        recorded = self._recorded()
        if not recorded:
            return []
        row = recorded.get(claim["id"])
        if row is None:
            return [[nodes.Text(_NOTHING)]]
        size = f"{interval(row)}, n = {number(row.get('n'))}"
        return [[_chip(row["verdict"]), *_small(size), *_small(_run(row))]]

    def _source(self, claim: Claim) -> list[nodes.Node]:
        """Return where the paper says it, as a link to the claim on its page."""
        builder = self.env.app.builder
        uri = builder.get_relative_uri(self.env.docname, claim["page"])
        text = str(claim.get("source") or claim["id"])
        link = nodes.reference("", text, refuri=f"{uri}#{claim['id']}", internal=True)
        return [nodes.inline("", "", link, classes=["ledger-note"])]


def _sample(claim: Claim) -> str:
    """Return the statistic and the number of values behind an estimate."""
    size = "" if claim.get("n") is None else f"n = {number(claim['n'])}"
    return ", ".join(part for part in (claim.get("statistic"), size) if part)


def _control(control: Mapping[str, Any] | None) -> list[nodes.Node]:
    """Return the content of the control's cell."""
    if not control:
        return [nodes.Text(_NOTHING)]
    notes = (control.get("name"), control.get("verdict"))
    return [
        nodes.Text(interval(control)),
        *_small(": ".join(str(note) for note in notes if note)),
    ]


def _run(claim: Mapping[str, Any]) -> str:
    """Return the profile and device a claim was tested with."""
    return ", ".join(str(claim[k]) for k in ("profile", "device") if claim.get(k))


def _chip(verdict: str) -> nodes.inline:
    """Return a verdict as a coloured chip with a sign and its name."""
    kind = "ledger-" + verdict.replace(" ", "-")
    return nodes.inline(
        "", f"{_SIGNS[verdict]} {verdict}", classes=["ledger-chip", kind]
    )


def _small(text: str | None) -> list[nodes.Node]:
    """Return a second, smaller line of a cell."""
    return [nodes.inline("", str(text), classes=["ledger-note"])] if text else []


def _chapter_row(docname: str, here: str, columns: int) -> nodes.row:
    """Return a row that links from the page `here` to a chapter by its title."""
    link = pending_xref(
        "",
        nodes.inline("", docname),
        refdomain="std",
        reftype="doc",
        reftarget=f"/{docname}",
        refdoc=here,
        refexplicit=False,
        refwarn=True,
    )
    entry = _cell([link])
    entry["morecols"] = columns - 1
    return nodes.row("", entry, classes=["ledger-chapter"])


def _cell(content: list[nodes.Node], label: str | None = None) -> nodes.entry:
    """Return a cell; its label shows where the columns are stacked."""
    named = [nodes.inline("", label, classes=["ledger-label"])] if label else []
    return nodes.entry("", nodes.paragraph("", "", *named, *content))
