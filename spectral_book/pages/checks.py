"""What a build is compared with: claims files, other notebooks, its own warnings."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from nbformat import NotebookNode
from sphinx.util.logging import NAMESPACE, WarningStreamHandler

from spectral_book.claims.claims_file import load_claims
from spectral_book.claims.ledger import Row
from spectral_book.claims.places import is_anchor
from spectral_book.pages.reading import MINUTE
from spectral_book.runner import NotebookJob


def claims_path(chapter: NotebookJob) -> Path:
    """Return where the claims file of a chapter is, if it has one."""
    return chapter.path.parent / "claims" / f"{chapter.path.stem}.yaml"


def unlike_claims_file(chapter: NotebookJob, rows: Sequence[Row]) -> list[str]:
    """Return how a chapter's published claims differ from its claims file."""
    name, path = chapter.name, claims_path(chapter)
    file = f"claims/{path.name}"
    if not path.is_file():
        there = f"chapter {name} publishes claims, but there is no {file} to hold them"
        return [there] if rows else []
    try:
        wanted = {claim.id for claim in load_claims(path).claims}
    except ValueError as error:
        return [f"chapter {name}: {error}"]
    found = {row["id"] for row in rows}
    if wanted and not found:
        return [
            f"chapter {name} publishes none of the claims of {file}; judge them and "
            "end with chapter.publish()"
        ]
    return [
        *(
            f"chapter {name} does not publish the claim {one!r} of {file}"
            for one in sorted(wanted - found)
        ),
        *(
            f"chapter {name} publishes the claim {one!r}, which {file} does not hold"
            for one in sorted(found - wanted)
        ),
    ]


def left_out(source: Path, chapters: Iterable[NotebookJob]) -> list[str]:
    """Return which notebooks and claims files of a book no chapter belongs to."""
    chapters = list(chapters)
    executed = {chapter.path.resolve() for chapter in chapters}
    notebooks = [
        path.relative_to(source)
        for path in sorted(source.rglob("*.ipynb"))
        if path.resolve() not in executed
    ]
    told = [
        f"{path} is not in the table of contents, so that nothing executes it; add it "
        f"to _toc.yml, or move it out of {source.name}/"
        for path in notebooks
        if not any(part.startswith(("_", ".")) for part in path.parts)
    ]
    claims = {claims_path(chapter) for chapter in chapters}
    return told + [
        f"claims/{path.name} belongs to no chapter: the table of contents has no "
        f"notebook {path.stem}.ipynb; add it, or remove the file"
        for path in sorted((source / "claims").glob("*.yaml"))
        if path not in claims
    ]


class Warnings(logging.Filter):
    """The warnings of Sphinx and its extensions that name a place in the book.

    They tell of what a reader would miss: references, documents, images, citations.
    Those that name no place are about settings and versions, and not about a page.
    """

    def __init__(self, source: Path) -> None:
        super().__init__()
        self.source = source
        self.found: dict[tuple[str, int], list[str]] = {}
        for handler in logging.getLogger(NAMESPACE).handlers:
            if isinstance(handler, WarningStreamHandler):
                # After Sphinx's own filters: what is suppressed does not come here.
                handler.addFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep a warning, and let it be printed."""
        place, _, line = str(getattr(record, "location", None) or "").rpartition(":")
        path = Path(place or line)
        if path.is_relative_to(self.source):
            page = path.relative_to(self.source).as_posix()
            number = int(line) if line.isdigit() else 0
            text = " ".join(logging.LogRecord.getMessage(record).split())
            told = self.found.setdefault((page, number), [])
            if text not in told:
                told.append(text)
        return True

    def messages(self, notebooks: Mapping[str, NotebookNode]) -> list[str]:
        """Return all, with their pages, cells and lines.

        `notebooks` are those that were rendered, by document name.
        """
        return [
            f"page {page}{_place(notebooks.get(page.removesuffix('.ipynb')), number)}: "
            f"{text}"
            for (page, number), texts in sorted(self.found.items())
            for text in texts
        ]


def _place(notebook: NotebookNode | None, number: int) -> str:
    """Return a line, or in a notebook the cell and its line, in words.

    myst-nb counts 10000 for each cell, and a line more than there is.
    """
    cell, line = divmod(number, 10000)
    if notebook is None or not cell:
        return f", line {number}" if number else ""
    added = sum(is_anchor(one) for one in notebook.cells[:cell])
    lines = notebook.cells[cell - 1].source.splitlines()[: line - 1]
    if MINUTE in "\n".join(lines):
        line -= len(f"{MINUTE}\n".splitlines()) + 1
    return f", cell {cell - added}, line {max(1, line - 1)}"
