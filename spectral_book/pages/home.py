"""What only the front page shows: the answer in one picture, findings, cards."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from sphinx.errors import ExtensionError

from spectral_book.claims.numbers import Row
from spectral_book.claims.sentences import check_sentence, fill_from_row
from spectral_book.claims.words import has_held
from spectral_book.pages.curves import drawn
from spectral_book.pages.directives import ClaimsDirective
from spectral_book.pages.draft import VARIABLE
from spectral_book.readable import error_sentences
from spectral_book.yaml_files import read_yaml


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

    def said(self, row: Row) -> str:
        """Return the sentence that is true of a row."""
        if has_held(row):
            return fill_from_row(self.held, row)
        failed = row["rule"] in ("not replicated", "weaker than claimed")
        return fill_from_row(self.failed if failed else self.open, row)


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


class AnswerDirective(ClaimsDirective):
    """Show the panel of every chapter that handed one over."""

    template = "answer"

    def context(self) -> dict[str, Any]:
        """Return the panels in the order of the chapters."""
        runs = self.ledger().runs
        panels = [drawn(run) for run in runs if run["panel"]]
        builder, here = self.env.app.builder, self.env.docname
        return {
            "panels": panels,
            "address": lambda page: builder.get_relative_uri(here, page),
        }


class FindingsDirective(ClaimsDirective):
    """List the findings of `findings.yaml`, as this build has them."""

    template = "findings"

    def context(self) -> dict[str, Any]:
        """Return each finding's row and sentence; claims that did not run are left out.

        Raises
        ------
        ExtensionError
            If the file cannot be read, or names a claim that the book does not have.
        """
        path = Path(self.env.srcdir) / "findings.yaml"
        self.env.note_dependency(str(path))
        ledger = self.ledger()
        whole = not (ledger.failed or VARIABLE in os.environ)
        try:
            found = read_findings(path)
        except ValueError as error:
            raise ExtensionError(str(error)) from error
        return {
            **self.shared(ledger),
            "findings": said(found, ledger.claims, complete=whole),
        }


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
    judged = [(by_id[one.claim], one) for one in found if one.claim in by_id]
    return [(row, one.said(row)) for row, one in judged if row["estimate"] is not None]
