"""A miniature book in which everything is wrong at once, and what a build has to say.

Each row is one trouble: its name, what is done to the book, and what the end of the
build must name. A build goes on after the first, so that one build shows them all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import nbformat
from minibook import MiniBook, claim, claim_cell

TIMEOUT = 3
"""Seconds a cell of the book may take."""

NO_DISPLAY = """
class Wrong:
    def _repr_html_(self):
        raise ValueError("no picture")
Wrong()
"""
NOTE = "import os, pathlib; pathlib.Path('spins.pid').write_text(str(os.getpid()))"
EDIT = """
from pathlib import Path
import spectral_lib
with Path(spectral_lib.__file__).open("a") as file:
    file.write("# edited meanwhile")
"""


@dataclass(frozen=True)
class Trouble:
    """What is done to the book, and what the build must say."""

    name: str
    done: Callable[[MiniBook], None]
    says: str


def chapter(name: str, *cells: str, **more: object) -> Callable[[MiniBook], None]:
    """Add a chapter."""
    return lambda book: book.add(name, *cells, **more)  # type: ignore[arg-type]


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


def gone_chapter(book: MiniBook) -> None:
    """A document of the table of contents that is not there."""
    book.pages.append("gone")


def links(book: MiniBook) -> None:
    """A page of links that lead nowhere."""
    (book.folder / "links.md").write_text(LINKS_PAGE)
    book.pages.append("links")


def nothing(book: MiniBook) -> None:
    """Another row does it."""


LINKS = (
    ("label", "{ref}`no-label`", "undefined label: 'no-label'"),
    ("document", "{doc}`no-document`", "unknown document: 'no-document'"),
    ("citation", "{cite}`nobody`", 'could not find bibtex key "nobody"'),
    ("picture", "![a](no.png)", "image file not readable: no.png"),
    ("page", "[a](no.md)", "'myst' cross-reference target not found: 'no.md'"),
    ("part", "[a](#no-part)", "'myst' cross-reference target not found: 'no-part'"),
    ("equation", "{eq}`no-equation`", "equation not found: no-equation"),
    ("figure", "{numref}`no-figure`", "undefined label: 'no-figure'"),
    ("download", "{download}`no.zip`", "download file not readable: "),
    ("role", "{nosuchrole}`text`", 'Unknown interpreted text role "nosuchrole"'),
    ("directive", "```{nosuch}\n```", "Unknown directive type: 'nosuch'"),
)
"""Kinds of what a page may name although it is not there, and what is said of it."""

LINKS_PAGE = "\n\n".join(["# Links", *(text for _, text, _ in LINKS), ""])


def line_of(text: str) -> int:
    """Return the number of the line of the page of links that a link begins in."""
    return LINKS_PAGE.splitlines().index(text.partition("\n")[0]) + 1


TROUBLES = (
    Trouble(
        "an assertion",
        chapter(
            "raises",
            "print('before')",
            "x = 1\nassert x == 2, 'the claim does not hold'",
            "print('never' + 'reached')",
            tags={1: ["remove-cell"]},
        ),
        "chapter raises failed, cell 3: AssertionError: the claim does not hold\n"
        "    x = 1\n"
        "    assert x == 2",
    ),
    Trouble("its traceback", nothing, "Traceback (most recent call last)"),
    Trouble(
        "a cell that sleeps",
        chapter("sleeps", "import time\ntime.sleep(300)"),
        f"chapter sleeps failed, cell 2: CellTimeoutError: the cell took more than "
        f"{TIMEOUT} s\n    import time",
    ),
    Trouble("a limit of time without its setting", nothing, "execute in _config.yml"),
    Trouble(
        # A sum in C neither gives way nor hears an interrupt.
        "a cell that spins",
        chapter("spins", NOTE, "sum(range(10**13))"),
        f"chapter spins failed, cell 3: CellTimeoutError: the cell took more than "
        f"{TIMEOUT} s\n    sum(range(10**13))",
    ),
    Trouble(
        "a kernel that dies",
        chapter("dies", "import os", "os._exit(3)"),
        "chapter dies failed, cell 3: DeadKernelError: the kernel process died\n"
        "    os._exit(3)",
    ),
    Trouble(
        "an exit that looks like success",
        chapter("exits", "import sys\nsys.exit(0)", "print('never' + 'reached')"),
        "chapter exits failed, cell 2: SystemExit: 0",
    ),
    Trouble(
        "a display that fails, which the kernel calls well",
        chapter("shows", NO_DISPLAY),
        "chapter shows failed, cell 2: ValueError: no picture",
    ),
    Trouble(
        "the library is edited meanwhile",
        strange,
        "the library was edited while the book was built, as seen after ",
    ),
    Trouble(
        "a claim that is not published",
        nothing,
        "chapter strange does not publish the claim 'strange-missing' of "
        "claims/strange.yaml",
    ),
    Trouble(
        "a claim that the file does not hold",
        nothing,
        "chapter strange publishes the claim 'strange-own', which claims/strange.yaml "
        "does not hold",
    ),
    Trouble(
        "an unknown label in a chapter",
        nothing,
        "page strange.ipynb, cell 2, line 3: undefined label: 'no-chapter'",
    ),
    Trouble(
        "a picture attached to its cell, which no page has",
        nothing,
        "page strange.ipynb, cell 3, line 1: image file not readable: attachment:lost",
    ),
    Trouble(
        "no claim published",
        silent,
        "chapter silent publishes none of the claims of claims/silent.yaml",
    ),
    Trouble("a notebook without cells", nothing, "chapter silent has no cells"),
    Trouble(
        "a notebook outside of the table of contents",
        stray_notebook,
        "stray.ipynb is not in the table of contents",
    ),
    Trouble(
        "claims without a notebook",
        lambda book: book.write_claims("orphan", ["orphan-one"]),
        "claims/orphan.yaml belongs to no chapter",
    ),
    Trouble(
        "a chapter that is not there",
        gone_chapter,
        "page intro.md: toctree contains reference to nonexisting document 'gone'",
    ),
    Trouble("a page that leads nowhere", links, "page links.md"),
    *(
        Trouble(
            f"no such {kind}", nothing, f"page links.md, line {line_of(text)}: {says}"
        )
        for kind, text, says in LINKS
    ),
)
