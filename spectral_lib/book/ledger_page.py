"""The `ledger` directive: the claims of the book as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.addnodes import pending_xref
from sphinx.util.docutils import SphinxDirective

from spectral_lib.book.ledger import Claim, Ledger
from spectral_lib.report.tables import SIGNS, interval, number

_NOTHING = "–"
_NOTE = ["ledger-note"]


class ClaimsDirective(SphinxDirective):
    """What shows the claims of the book on a page."""

    def ledger(self) -> Ledger:
        """Return the claims; the page then changes with the chapters."""
        for docname in self.env.found_docs:
            if self.env.doc2path(docname).endswith(".ipynb"):
                self.env.note_dependency(self.env.doc2path(docname, base=False))
        return self.env.spectral_ledger  # type: ignore[attr-defined]

    def chapter_link(self, docname: str) -> nodes.Node:
        """Return a link to a chapter by its title."""
        return pending_xref(
            "",
            nodes.inline("", docname),
            refdomain="std",
            reftype="doc",
            reftarget=f"/{docname}",
            refdoc=self.env.docname,
            refexplicit=False,
            refwarn=True,
        )

    def uri(self, claim: Claim, anchor: str) -> str:
        """Return the address of an anchor on the page that holds a claim."""
        builder = self.env.app.builder
        return f"{builder.get_relative_uri(self.env.docname, claim['page'])}#{anchor}"

    def link(self, claim: Claim, anchor: str, text: str) -> nodes.reference:
        """Return a link to an anchor on the page that holds a claim."""
        return nodes.reference("", text, refuri=self.uri(claim, anchor), internal=True)


class LedgerDirective(ClaimsDirective):
    """Show the claims of the whole book, or with `:chapter:` those of one chapter."""

    option_spec: ClassVar = {"chapter": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        """Return the count line and the table."""
        ledger = self.ledger()
        name = self.options.get("chapter")
        if name is not None:
            known = {claim["chapter"] for claim in ledger.claims}
            if name not in self.env.found_docs and name not in known:
                raise self.error(f"the book has no chapter named {name!r}")
            ledger = ledger.of_chapter(name)
        box = nodes.container(classes=["ledger"])
        box += nodes.paragraph("", ledger.count_line() + ".", classes=["ledger-count"])
        box += failures(ledger)
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
                title = _cell([self.chapter_link(page)])
                title["morecols"] = len(columns) - 1
                body += nodes.row("", title, classes=["ledger-chapter"])
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
            [*statement, nodes.inline("", "", *self._links(claim), classes=_NOTE)],
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

    def _links(self, claim: Claim) -> Iterator[nodes.Node]:
        """Yield links: to the claim, by its place in the paper; to figure and code."""
        yield self.link(claim, claim["id"], str(claim.get("source") or claim["id"]))
        if claim["figure"] is not None:
            yield nodes.Text(" · ")
            figure = claim["figure"]
            yield self.link(claim, f"figure-{figure}", f"figure {figure} here")
        if claim["code"] is not None:
            yield nodes.Text(" · ")
            yield self.link(claim, claim["code"], "code")


def failures(ledger: Ledger) -> list[nodes.Node]:
    """Return a warning that names the chapters that failed, if any did."""
    if not ledger.failed:
        return []
    told = f"Incomplete: these chapters failed: {', '.join(ledger.failed)}."
    return [nodes.warning("", nodes.paragraph("", told))]


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
        "", f"{SIGNS[verdict]} {verdict}", classes=["ledger-chip", kind]
    )


def _small(text: str | None) -> list[nodes.Node]:
    """Return a second, smaller line of a cell."""
    return [nodes.inline("", str(text), classes=_NOTE)] if text else []


def _cell(content: list[nodes.Node], label: str | None = None) -> nodes.entry:
    """Return a cell; its label shows where the columns are stacked."""
    named = [nodes.inline("", label, classes=["ledger-label"])] if label else []
    return nodes.entry("", nodes.paragraph("", "", *named, *content))
