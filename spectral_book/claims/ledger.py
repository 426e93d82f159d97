"""The ledger: every claim of every chapter, collected from the executed notebooks."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import get_args

from nbformat import NotebookNode

from spectral_book.claims.numbers import Row
from spectral_book.claims.places import code_anchors, figures_of_claims
from spectral_book.claims.verdicts import Verdict

MIME_TYPE = "application/vnd.spectral-ledger+json"

VERDICTS: tuple[str, ...] = get_args(Verdict)


@dataclass(frozen=True)
class Ledger:
    """The claims of a build.

    Attributes
    ----------
    claims
        All claims as their chapters wrote them, in the order of the table of contents,
        plus where to look: `page`, the document that holds it, `figure`, the number of
        its figure, and `code`, the anchor of the cell that judges it; the last two are
        None where there is none.
    failed
        Documents that failed; their claims are not in the ledger.
    """

    claims: tuple[Row, ...]
    failed: tuple[str, ...] = ()

    def count_line(self) -> str:
        """Return `3 claims, 1 of them the paper's: 2 replicated, 1 inconclusive`."""
        if not self.claims:
            return "0 claims"
        counts = Counter(claim["verdict"] for claim in self.claims)
        parts = [f"{counts[name]} {name}" for name in VERDICTS if counts[name]]
        noun = "claim" if len(self.claims) == 1 else "claims"
        return f"{len(self.claims)} {noun}, {self.whose()}: {', '.join(parts)}"

    def whose(self) -> str:
        """Return how many claims are not the book's own: `5 of them the paper's`."""
        theirs = sum(claim.get("origin") != "book" for claim in self.claims)
        several = len({claim["page"] for claim in self.claims}) > 1
        if not theirs:
            return "the book's own"
        paper = "the papers'" if several else "the paper's"
        return paper if theirs == len(self.claims) else f"{theirs} of them {paper}"

    def of_chapter(self, name: str) -> Ledger:
        """Return the part of one chapter, given by its document or chapter name."""
        return Ledger(
            tuple(c for c in self.claims if name in (c["page"], c["chapter"])),
            tuple(page for page in self.failed if page == name),
        )

    def to_json(self) -> str:
        """Return the claims as a JSON list."""
        return json.dumps(self.claims, indent=1, allow_nan=False) + "\n"


def claims_of(docname: str, notebook: NotebookNode) -> list[Row]:
    """Return the claims that a notebook's outputs hold, in the order of its cells.

    Raises
    ------
    ValueError
        If an output is not a list of claims, or a claim lacks what the table needs.
    """
    claims: list[Row] = []
    figures, codes = figures_of_claims(notebook), code_anchors(notebook)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            rows = output.get("data", {}).get(MIME_TYPE)
            if rows is None:
                continue
            if not isinstance(rows, list):
                raise ValueError(f"{docname}: its ledger is not a list of claims")
            claims += [
                {
                    **_checked(docname, row),
                    "page": docname,
                    "figure": figures.get(row["id"]),
                    "code": codes.get(row["id"]),
                }
                for row in rows
            ]
    return claims


def without_claims(notebook: NotebookNode) -> NotebookNode:
    """Return a notebook without machine-readable claims and the states of widgets.

    Sphinx knows nothing of the type of the first, and a page shows none of the second.
    What a cell shows beside the claims stays. The notebook itself is left as it is.
    """
    cells = []
    for cell in notebook.cells:
        if any(MIME_TYPE in o.get("data", {}) for o in cell.get("outputs", [])):
            outputs = [_without_claims(output) for output in cell.outputs]
            kept = [o for o in outputs if o.get("data", True)]
            cell = NotebookNode({**cell, "outputs": kept})
        cells.append(cell)
    metadata = {k: v for k, v in notebook.metadata.items() if k != "widgets"}
    return NotebookNode({**notebook, "cells": cells, "metadata": metadata})


def repeated_ids(claims: Iterable[Row]) -> list[str]:
    """Return a message for every claim id that more than one claim bears."""
    pages: dict[str, list[str]] = {}
    for claim in claims:
        pages.setdefault(claim["id"], []).append(claim["page"])
    return [
        f"claim id {name!r} is used {len(found)} times: in {', '.join(found)}"
        for name, found in pages.items()
        if len(found) > 1
    ]


def _without_claims(output: NotebookNode) -> NotebookNode:
    """Return an output less its claims."""
    if "data" not in output:
        return output
    data = {kind: value for kind, value in output.data.items() if kind != MIME_TYPE}
    return NotebookNode({**output, "data": data})


def _checked(docname: str, row: object) -> Row:
    """Return a row if it can stand in the table."""
    if not isinstance(row, dict):
        raise ValueError(f"{docname}: a claim is {type(row).__name__}, not a mapping")
    claim = dict(row)
    name = claim.get("id")
    for key in ("id", "chapter", "statement", "verdict"):
        if not isinstance(claim.get(key), str) or not claim[key]:
            raise ValueError(f"{docname}: claim {name!r} has no {key}")
    if claim["verdict"] not in VERDICTS:
        known = ", ".join(VERDICTS)
        raise ValueError(
            f"{docname}: claim {name!r} has the verdict {claim['verdict']!r}, "
            f"which is none of: {known}"
        )
    for key in ("estimate", "ci_low", "ci_high", "n"):
        if not _is_number(claim.get(key)):
            raise ValueError(
                f"{docname}: claim {name!r} has {key} = {claim[key]!r}, not a number"
            )
    if not isinstance(claim.get("control"), dict | None):
        raise ValueError(f"{docname}: claim {name!r} has a control that is no mapping")
    try:
        json.dumps(claim, allow_nan=False)
    except ValueError as error:
        raise ValueError(f"{docname}: claim {name!r}: {error}") from error
    return claim


def _is_number(value: object) -> bool:
    """Return whether a value is a number or missing."""
    return value is None or (
        isinstance(value, int | float) and not isinstance(value, bool)
    )
