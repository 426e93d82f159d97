"""Words for the pictures of players on the built pages."""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx

from spectral_book.chapter.player import with_alt


def name_players(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Give players the ``alt`` of their cell's ``mystnb`` metadata, as figures have."""
    for cell in doctree.findall(nodes.container):
        metadata = cell.get("cell_metadata", {}).get("mystnb", {})
        alt = metadata.get("image", {}).get("alt")
        for part in list(cell.findall(nodes.raw)) if alt else []:
            html = with_alt(part.astext(), alt)
            if html != part.astext():
                part.parent.replace(part, nodes.raw("", html, format="html"))
