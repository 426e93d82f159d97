"""The `ledger` directive: the claims of the book as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.addnodes import pending_xref
from sphinx.util.docutils import SphinxDirective

from spectral_book.claims.ledger import Ledger, Row
from spectral_book.claims.tables import SIGNS, control_found, interval, needed, number

_NOTHING = "–"
_NOTE = ["ledger-note"]
_EXPLAINED = ("inconclusive", "not comparable")


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

    def uri(self, claim: Row, anchor: str) -> str:
        """Return the address of an anchor on the page that holds a claim."""
        builder = self.env.app.builder
        return f"{builder.get_relative_uri(self.env.docname, claim['page'])}#{anchor}"

    def link(self, claim: Row, anchor: str, text: str) -> nodes.reference:
        """Return a link to an anchor on the page that holds a claim."""
        return nodes.reference("", text, refuri=self.uri(claim, anchor), internal=True)


class LedgerDirective(ClaimsDirective):
    """Show the claims of the whole book, or with `:chapter:` those of one chapter."""

    option_spec: ClassVar = {"chapter": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        """Return the count line, and a table for each chapter that unfolds."""
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
        for page, group in groupby(ledger.claims, key=lambda claim: claim["page"]):
            claims = tuple(group)
            title = self.chapter_link(page)
            box += nodes.paragraph("", "", title, classes=["ledger-chapter"])
            table = [self._table(claims)]
            counts = Ledger(claims).count_line()
            box += table if name is not None else folded(counts, table)
        return [box]

    def _columns(self) -> tuple[str, ...]:
        """Return the columns' titles; that of large runs only if there are any."""
        recorded = ("Recorded run",) if self._recorded() else ()
        return ("Verdict", "Row", "Estimate", *recorded, "Needed", "Control")

    def _recorded(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the claims of recorded runs."""
        return self.env.spectral_records  # type: ignore[attr-defined]

    def _table(self, claims: Sequence[Row]) -> nodes.table:
        """Return the table of a chapter's claims."""
        columns = self._columns()
        head = nodes.row("", *[_cell([nodes.Text(title)]) for title in columns])
        body = nodes.tbody("", *map(self._row, claims))
        group = nodes.tgroup("", cols=len(columns))
        group += [nodes.colspec(colwidth=1) for _ in columns]
        group += [nodes.thead("", head), body]
        wide = ["ledger-wide"] if self._recorded() else []
        return nodes.table("", group, classes=["ledger-table", "colwidths-auto", *wide])

    def _row(self, claim: Row) -> nodes.row:
        """Return one claim's row."""
        # A statement may hold MyST: mathematics, emphasis, code.
        statement, messages = self.state.inline_text(claim["statement"], self.lineno)
        cells = [
            [_chip(claim["verdict"]), *_small(_run(claim)), *_reasons(claim)],
            [*statement, nodes.Text(" "), self._links(claim)],
            [nodes.Text(interval(claim)), *_small(_sample(claim))],
            *self._large_run(claim),
            [nodes.Text(_bar(claim))],
            _control(claim),
        ]
        row = nodes.row("", classes=["ledger-claim"], ids=[])
        for title, content in zip(self._columns(), cells, strict=True):
            row += _cell(content, label=title)
        row.children[1] += messages
        return row

    def _large_run(self, claim: Row) -> list[list[nodes.Node]]:
        """Return the cell of the recorded run, if the table has that column."""
        recorded = self._recorded()
        if not recorded:
            return []
        row = recorded.get(claim["id"])
        if row is None:
            return [[nodes.Text(_NOTHING)]]
        size = f"{interval(row)}, n = {number(row.get('n'))}"
        return [[_chip(row["verdict"]), *_small(size), *_small(_run(row))]]

    def _links(self, claim: Row) -> nodes.inline:
        """Return links: to the claim, by its place in the paper; to figure and code."""
        place = str(claim.get("source") or claim["id"])
        shown = [self.link(claim, claim["id"], place)]
        if claim.get("origin") == "book":
            shown += [nodes.Text(" · this book's own claim")]
        if claim["figure"] is not None:
            figure = claim["figure"]
            link = self.link(claim, f"figure-{figure}", f"figure {figure} here")
            shown += [nodes.Text(" · "), link]
        if claim["code"] is not None:
            shown += [nodes.Text(" · "), self.link(claim, claim["code"], "code")]
        return nodes.inline("", "", *shown, classes=_NOTE)


def folded(summary: str, content: Sequence[nodes.Node]) -> list[nodes.Node]:
    """Return what unfolds under a line; on paper it is unfolded."""
    return [
        nodes.raw("", '<details class="folded"><summary>', format="html"),
        nodes.inline("", summary),
        nodes.raw("", "</summary>", format="html"),
        *content,
        nodes.raw("", "</details>", format="html"),
    ]


def failures(ledger: Ledger) -> list[nodes.Node]:
    """Return a warning that names the chapters that failed, if any did."""
    if not ledger.failed:
        return []
    told = f"Incomplete: these chapters failed: {', '.join(ledger.failed)}."
    return [nodes.warning("", nodes.paragraph("", told))]


def _sample(claim: Row) -> str:
    """Return the statistic and the number of values behind an estimate."""
    statistic = str(claim.get("statistic") or "").replace("_", " ")
    size = "" if claim.get("n") is None else f"n\u00a0=\u00a0{number(claim['n'])}"
    return ", ".join(part for part in (statistic, size) if part)


def _bar(claim: Row) -> str:
    """Return what was needed, its sign and number on one line."""
    shown = needed(str(claim.get("threshold") or _NOTHING))
    return shown.replace("≤ ", "≤\u00a0").replace("≥ ", "≥\u00a0")


def _reasons(claim: Row) -> list[nodes.Node]:
    """Return what a verdict does not tell: why, and whether rounding decides it."""
    told = []
    if claim["verdict"] in _EXPLAINED:
        told += _small(claim.get("why"))
    if claim.get("rounding_decides"):
        told += _small("rounding decides")
    return told


def _control(claim: Row) -> list[nodes.Node]:
    """Return the content of the control's cell."""
    control = claim.get("control")
    if not control:
        return [nodes.Text(_NOTHING)]
    notes = (control.get("name"), control_found(claim))
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
    if not text:
        return []
    return [nodes.Text(" "), nodes.inline("", str(text), classes=_NOTE)]


def _cell(content: list[nodes.Node], label: str | None = None) -> nodes.entry:
    """Return a cell; its label shows where the columns are stacked."""
    named = [nodes.inline("", label, classes=["ledger-label"])] if label else []
    return nodes.entry("", nodes.paragraph("", "", *named, *content))
