"""The ledger: every claim of every chapter, collected from the executed notebooks."""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from nbformat import NotebookNode

from spectral_book.claims.numbers import Row
from spectral_book.claims.places import code_anchors, figures_of_claims
from spectral_book.claims.published import check_row, check_run

MIME_TYPE = "application/vnd.spectral-ledger+json"


@dataclass(frozen=True)
class Ledger:
    """The claims of a build, in the order of the table of contents.

    To what their chapters wrote they add where to look: ``page``, the document that
    holds a claim, ``figure``, the number of its figure, and ``code``, the anchor of the
    cell that judges it; the last two are None where there is none. ``failed`` are
    documents whose claims are not in the ledger.
    """

    claims: tuple[Row, ...]
    failed: tuple[str, ...] = ()
    runs: tuple[Mapping[str, Any], ...] = ()

    def rows_of(self, docname: str) -> list[Row]:
        """Return the claims that a page holds."""
        return [row for row in self.claims if row["page"] == docname]

    def run_of(self, docname: str) -> Mapping[str, Any] | None:
        """Return the run of a page's chapter; None if it published none."""
        return next((run for run in self.runs if run["page"] == docname), None)


def claims_of(docname: str, notebook: NotebookNode) -> list[Row]:
    """Return the claims that a notebook's outputs hold, in the order of its cells.

    Raises
    ------
    ValueError
        If an output does not hold claims, or a claim is not of the published form.
    """
    figures, codes = figures_of_claims(notebook), code_anchors(notebook)
    return [
        {
            **row,
            "page": docname,
            "figure": figures.get(row["id"]),
            "code": codes.get(row["id"]),
        }
        for published in _published(docname, notebook)
        for row in published["claims"]
    ]


def runs_of(docname: str, notebook: NotebookNode) -> list[Mapping[str, Any]]:
    """Return what a notebook's outputs say of the run that its claims come from.

    Raises
    ------
    ValueError
        If it is not of the published form.
    """
    found = _published(docname, notebook)
    return [{**published["run"], "page": docname} for published in found]


def _published(docname: str, notebook: NotebookNode) -> list[Mapping[str, Any]]:
    """Return what a notebook's cells published, if all is of its form."""
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", [])]
    found = [o["data"][MIME_TYPE] for o in outputs if MIME_TYPE in o.get("data", {})]
    parts = {"run", "claims"}
    try:
        for published in found:
            if not isinstance(published, Mapping) or set(published) != parts:
                raise ValueError("its ledger does not hold a run and its claims")
            for row in published["claims"]:
                check_row(row)
            check_run(published["run"])
    except ValueError as error:
        raise ValueError(f"{docname}: {error}") from None
    return found


def without_claims(notebook: NotebookNode) -> NotebookNode:
    """Return a notebook without machine-readable claims and the states of widgets.

    Sphinx knows nothing of the type of the first, and a page shows none of the second.
    What a cell shows beside the claims stays, if it is not empty: a page in the dark
    would have a light box for it. The notebook itself is left as it is.
    """
    shown = deepcopy(notebook)
    shown.metadata.pop("widgets", None)
    for cell in shown.cells:
        for output in list(cell.get("outputs", [])):
            if "data" in output:
                output.data.pop(MIME_TYPE, None)
                if not any(output.data.values()):
                    cell.outputs.remove(output)
    return shown


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
