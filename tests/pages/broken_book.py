"""A miniature book in which everything is wrong at once, and what a build has to say.

A build goes on after the first trouble, so that one build shows them all.
"""

from __future__ import annotations

import nbformat
from minibook import MiniBook, claim, claim_cell

TIMEOUT = 3
"""Seconds a cell of the book may take."""

NOTE = "import os, pathlib; pathlib.Path('spins.pid').write_text(str(os.getpid()))"
EDIT = """
from pathlib import Path
import spectral_lib
with Path(spectral_lib.__file__).open("a") as file:
    file.write("# edited meanwhile")
"""


def break_all(book: MiniBook) -> None:
    """Do to a book all that `SAYS` tells of."""
    wrong = "x = 1\nassert x == 2, 'the claim does not hold'"
    cells = "print('before')", wrong, "print('never' + 'reached')"
    book.add("raises", *cells, tags={1: ["remove-cell"]})
    # A sum in C neither gives way nor hears an interrupt.
    book.add("spins", NOTE, "sum(range(10**13))")
    strange(book)
    silent(book)
    stray_notebook(book)
    book.write_claims("orphan", ["orphan-one"])
    book.pages.append("gone")
    (book.folder / "links.md").write_text(LINKS_PAGE)
    book.pages.append("links")


def strange(book: MiniBook) -> None:
    """A chapter that ends well and is wrong in all that it leaves."""
    shows = "#! ![a picture](attachment:lost.png)"
    book.add(
        "strange",
        *("#! Some text.\n\nSee {ref}`no-chapter`.", shows, EDIT),
        claim_cell(claim("strange-own")),
    )
    book.write_claims("strange", ["strange-missing"])


def silent(book: MiniBook) -> None:
    """A chapter with claims that publishes none, as one of no cells does."""
    book.write("silent", nbformat.v4.new_notebook())
    book.write_claims("silent", ["silent-one", "silent-two"])


def stray_notebook(book: MiniBook) -> None:
    """A notebook that the table of contents does not name."""
    notebook = nbformat.v4.new_notebook()
    nbformat.write(notebook, book.folder / "stray.ipynb")


LINKS = (
    ("{ref}`no-label`", "undefined label: 'no-label'"),
    ("{doc}`no-document`", "unknown document: 'no-document'"),
    ("{cite}`nobody`", 'could not find bibtex key "nobody"'),
    ("![a](no.png)", "image file not readable: no.png"),
    ("[a](no.md)", "'myst' cross-reference target not found: 'no.md'"),
    ("[a](#no-part)", "'myst' cross-reference target not found: 'no-part'"),
    ("{eq}`no-equation`", "equation not found: no-equation"),
    ("{numref}`no-figure`", "undefined label: 'no-figure'"),
    ("{download}`no.zip`", "download file not readable: "),
    ("{nosuchrole}`text`", 'Unknown interpreted text role "nosuchrole"'),
    ("```{nosuch}\n```", "Unknown directive type: 'nosuch'"),
)
"""Kinds of what a page may name although it is not there, and what is said of it."""

LINKS_PAGE = "\n\n".join(["# Links", *(text for text, _ in LINKS), ""])


def line_of(text: str) -> int:
    """Return the number of the line of the page of links that a link begins in."""
    return LINKS_PAGE.splitlines().index(text.partition("\n")[0]) + 1


SAYS = (
    "chapter raises failed, cell 3: AssertionError: the claim does not hold\n"
    "    x = 1\n"
    "    assert x == 2",
    "Traceback (most recent call last)",
    f"chapter spins failed, cell 3: CellTimeoutError: the cell took more than "
    f"{TIMEOUT} s\n    sum(range(10**13))",
    "execute in _config.yml",  # where the limit is set
    "the library was edited while the book was built, as seen after ",
    "chapter strange does not publish the claim 'strange-missing' of "
    "claims/strange.yaml",
    "chapter strange publishes the claim 'strange-own', which claims/strange.yaml "
    "does not hold",
    "page strange.ipynb, cell 2, line 3: undefined label: 'no-chapter'",
    # A picture attached to its cell, which no page has.
    "page strange.ipynb, cell 3, line 1: image file not readable: attachment:lost",
    "chapter silent publishes none of the claims of claims/silent.yaml",
    "chapter silent has no cells",
    "stray.ipynb is not in the table of contents",
    "claims/orphan.yaml belongs to no chapter",
    "page intro.md: toctree contains reference to nonexisting document 'gone'",
    *(f"page links.md, line {line_of(text)}: {says}" for text, says in LINKS),
)
