"""Pages of an earlier build whose documents are gone: a renamed chapter's, say."""

from __future__ import annotations

from pathlib import Path

from sphinx.application import Sphinx

from spectral_book.files import remove_all
from spectral_book.pages.site import MISSING

_MADE_ANYWAY = ("index", "search", MISSING)


def remove_leftovers(app: Sphinx) -> None:
    """Remove pages and their sources that belong to no document, before others come.

    Folders whose names begin with an underscore hold no pages.
    """
    html, documents = Path(app.outdir), app.env.found_docs
    page = app.builder.get_outfilename  # type: ignore[attr-defined]
    pages = {Path(page(name)) for name in (*documents, *_MADE_ANYWAY)}
    remove_all(
        path
        for path in list(html.rglob("*.html"))
        if path not in pages and not path.relative_to(html).parts[0].startswith("_")
    )
    begins = tuple(f"{html / '_sources' / name}." for name in documents)
    remove_all(
        path
        for path in list((html / "_sources").rglob("*"))
        if path.is_file() and not str(path).startswith(begins)
    )
