"""Which of Sphinx's warnings fail a build, and where they are said to be."""

from __future__ import annotations

import io
import logging

import nbformat
import pytest
from sphinx.util.logging import WarningStreamHandler

from spectral_book.claims.places import JUDGED, mark, with_code_anchors
from spectral_book.pages.checks import Warnings
from spectral_book.pages.reading import for_reading


@pytest.fixture
def warn(tmp_path):
    """Warn as Sphinx does; return what a build keeps of it."""
    logger = logging.getLogger("sphinx")
    handler = WarningStreamHandler(io.StringIO())
    logger.addHandler(handler)
    warnings = Warnings(tmp_path)

    def warned(location, text, notebooks=None):
        logger.warning(text, extra={"location": location})
        return warnings.messages(notebooks or {})

    yield warned
    logger.removeHandler(handler)


def test_a_warning_names_page_and_line(warn, tmp_path):
    assert warn(f"{tmp_path}/one.md:7", "no  such\nlabel") == [
        "page one.md, line 7: no such label"
    ]
    # The same once more, as when Sphinx has kept warnings back for a while.
    assert len(warn(f"{tmp_path}/one.md:7", "no such label")) == 1
    assert "page sub/two.md: a" in warn(f"{tmp_path}/sub/two.md", "a")
    assert "page sub/two.md: b" in warn(f"{tmp_path}/sub/two.md:", "b")


@pytest.mark.parametrize("place", [None, "", "<unknown>:3", "/elsewhere/one.md:3"])
def test_a_warning_of_no_place_in_the_book_is_not_a_page_s(warn, place):
    assert warn(place, "a version is old") == []


def test_a_line_of_a_chapter_is_counted_as_in_its_file(warn, tmp_path):
    judged = nbformat.v4.new_output("display_data", metadata=mark(JUDGED, "a-claim"))
    cells = [
        nbformat.v4.new_code_cell("chapter.judge()", outputs=[judged]),
        nbformat.v4.new_markdown_cell("one\n\nsee {ref}`nowhere`"),
    ]
    notebook = for_reading(with_code_anchors(nbformat.v4.new_notebook(cells=cells)))
    # Before them stand an anchor and what begins the page; the last one ends it.
    assert len(notebook.cells) == 5
    place = f"{tmp_path}/alpha.ipynb:40004"
    (told,) = warn(place, "undefined label", {"alpha": notebook})
    assert told == "page alpha.ipynb, cell 2, line 3: undefined label"
