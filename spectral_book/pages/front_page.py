"""The front page's directives: all verdicts as a picture, surprises, the chapters."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from docutils import nodes

from spectral_book.claims.claims_file import ClaimsFile, load_claims
from spectral_book.claims.ledger import VERDICTS, Ledger, Row
from spectral_book.claims.tables import SIGNS, interval, needed
from spectral_book.pages.ledger_page import (
    ClaimsDirective,
    failures,
    folded,
)

FAILED = ("not replicated",)
"""Verdicts that are always told; the others unfold."""

FEW = 12
"""Up to so many surprises are all shown; of more, those of :data:`FAILED`."""

_MARKUP = re.compile(r"[$*`\\]")


class VerdictsDirective(ClaimsDirective):
    """Show every claim as a square of its verdict's colour and sign, by chapters."""

    def run(self) -> list[nodes.Node]:
        """Return the legend and a row of squares for each chapter."""
        ledger = self.ledger()
        box = nodes.container("", *failures(ledger), classes=["verdicts"])
        if not ledger.claims:
            box += nodes.paragraph("", "No claim was judged.")
            return [box]
        end = nodes.target("", "", ids=["after-verdicts"])
        skip = nodes.reference("", "Skip the picture", refuri="#after-verdicts")
        box += nodes.paragraph("", "", skip, classes=["verdicts-skip"])
        box += self._legend(ledger)
        for page, group in groupby(ledger.claims, key=lambda claim: claim["page"]):
            claims = sorted(group, key=lambda claim: VERDICTS.index(claim["verdict"]))
            counts = nodes.inline(
                "", Ledger(tuple(claims)).count_line(), classes=["ledger-note"]
            )
            box += nodes.paragraph(
                "", "", self.chapter_link(page), counts, classes=["verdicts-chapter"]
            )
            box += nodes.bullet_list(
                "", *map(self._square, claims), classes=["verdicts-row"]
            )
        box += end
        return [box]

    def _legend(self, ledger: Ledger) -> nodes.bullet_list:
        """Return what the squares mean, and how many of each there are."""
        counts = Counter(claim["verdict"] for claim in ledger.claims)
        total = nodes.strong("", f"{len(ledger.claims)} claims")
        lines = [[total, nodes.Text(f", {ledger.whose()}")]]
        lines += [
            [_sign(name), nodes.Text(f"{counts[name]} {name}")]
            for name in VERDICTS
            if counts[name]
        ]
        items = [nodes.list_item("", nodes.paragraph("", "", *line)) for line in lines]
        return nodes.bullet_list("", *items, classes=["verdicts-legend"])

    def _square(self, claim: Row) -> nodes.list_item:
        """Return a claim's square, which links to the claim and names it when asked."""
        statement = _MARKUP.sub("", claim["statement"])
        link = nodes.reference(
            "",
            "",
            _sign(claim["verdict"]),
            nodes.inline("", f"{claim['verdict']}: {claim['id']}", classes=["name"]),
            refuri=self.uri(claim, claim["id"]),
            internal=True,
            reftitle=f"{claim['verdict']}: {statement}",
        )
        return nodes.list_item("", nodes.paragraph("", "", link))


class SurprisesDirective(ClaimsDirective):
    """List the claims that were not replicated, each in a sentence of its chapter."""

    def run(self) -> list[nodes.Node]:
        """Return the list, less certain ones folded."""
        ledger = self.ledger()
        claims = ledger.claims
        failed = [claim for claim in claims if claim["verdict"] in FAILED]
        weaker = [claim for claim in claims if claim["verdict"] == "direction only"]
        unclear = [claim for claim in claims if claim["verdict"] == "inconclusive"]
        box = nodes.container("", *failures(ledger), classes=["surprises"])
        if not failed and not weaker:
            box += nodes.paragraph("", no_surprise(ledger))
        elif len(failed) + len(weaker) <= FEW:
            box += self._list([*failed, *weaker])
            weaker = []
        else:
            box += self._list(failed)
        box += self._folded(
            weaker,
            "Claims that hold in direction, but not surely in the size asked for",
        )
        box += self._folded(unclear, "Claims that stayed open")
        return [box]

    def _folded(self, claims: Sequence[Row], what: str) -> list[nodes.Node]:
        """Return a list that unfolds, if there is anything to list."""
        if not claims:
            return []
        return folded(f"{what}: {len(claims)}", self._list(claims))

    def _list(self, claims: Sequence[Row]) -> list[nodes.Node]:
        """Return the claims' sentences under their chapters."""
        groups: dict[str, list[Row]] = {}
        for claim in claims:
            groups.setdefault(claim["page"], []).append(claim)
        shown: list[nodes.Node] = []
        for page, group in groups.items():
            shown.append(
                nodes.paragraph(
                    "", "", self.chapter_link(page), classes=["surprises-chapter"]
                )
            )
            shown.append(nodes.bullet_list("", *map(self._item, group)))
        return shown

    def _item(self, claim: Row) -> nodes.list_item:
        """Return one claim: what was seen, and a link to it by the paper's place."""
        text = str(claim.get("otherwise") or plain_sentence(claim))
        sentence, messages = self.state.inline_text(text, self.lineno)
        origin = "this book's own; " if claim.get("origin") == "book" else ""
        link = self.link(claim, claim["id"], str(claim.get("source") or claim["id"]))
        content = [*sentence, nodes.Text(f" ({origin}"), link, nodes.Text(")")]
        sign = _sign(claim["verdict"])
        return nodes.list_item("", nodes.paragraph("", "", sign, *content, *messages))


class ChaptersDirective(ClaimsDirective):
    """List the chapters in order: paper, question, number of claims."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        titles = ("Chapter", "Paper", "Question", "Claims")
        ledger = self.ledger()
        body = nodes.tbody()
        for docname in self.env.spectral_chapters:  # type: ignore[attr-defined]
            head = self._head(docname)
            paper, question = self._paper(head), head.question if head else ""
            claims = ledger.of_chapter(docname)
            count = f"{len(claims.claims)}, {claims.whose()}" if claims.claims else "–"
            texts = [[nodes.Text(question)], [nodes.Text(count)]]
            cells = [[self.chapter_link(docname)], paper, *texts]
            body += nodes.row("", *map(_cell, cells))
        group = nodes.tgroup("", cols=len(titles))
        group += [nodes.colspec(colwidth=1) for _ in titles]
        heads = [_cell([nodes.Text(title)]) for title in titles]
        group += [nodes.thead("", nodes.row("", *heads)), body]
        return [nodes.table("", group, classes=["chapters", "colwidths-auto"])]

    def _head(self, docname: str) -> ClaimsFile | None:
        """Return a chapter's claims file; the chapter itself reports a faulty one."""
        path = Path(self.env.srcdir) / "claims" / f"{docname}.yaml"
        self.env.note_dependency(str(path))
        try:
            return load_claims(path)
        except ValueError:
            return None

    def _paper(self, head: ClaimsFile | None) -> list[nodes.Node]:
        """Return the citation, or the paper's name where the chapter cites none."""
        if head is None:
            return [nodes.Text("")]
        if not head.citation:
            return [nodes.Text(head.paper)]
        text = f"{{cite:t}}`{head.citation}`"
        citation, messages = self.state.inline_text(text, self.lineno)
        return [*citation, *messages]


def no_surprise(ledger: Ledger) -> str:
    """Return what to tell where no claim failed: how much that says."""
    verdicts = {claim["verdict"] for claim in ledger.claims}
    if "replicated" not in verdicts:
        return "No claim could be judged."
    if "inconclusive" in verdicts or ledger.failed:
        return "No claim failed that could be judged."
    return "Every claim that could be judged held."


def plain_sentence(claim: Row) -> str:
    """Return what to tell of a claim that has no sentence of its own."""
    statement, why = claim["statement"].rstrip("."), claim.get("why", "")
    if claim.get("estimate") is None:
        missing = "" if why.startswith("Withdrawn") else "no number was reached. "
        return f"{statement}: {missing}{why}".rstrip()
    bar = claim.get("threshold")
    asked = f", where {needed(bar)} was needed" if bar else ""
    because = why if claim["verdict"] == "inconclusive" else ""
    return f"{statement}: measured {interval(claim)}{asked}. {because}".rstrip()


def _sign(verdict: str) -> nodes.inline:
    """Return a verdict's sign on a square of its colour; its name stands elsewhere."""
    kind = "ledger-" + verdict.replace(" ", "-")
    return nodes.inline("", SIGNS[verdict], classes=["verdict", kind])


def _cell(content: list[nodes.Node]) -> nodes.entry:
    """Return a table's cell."""
    return nodes.entry("", nodes.paragraph("", "", *content))
