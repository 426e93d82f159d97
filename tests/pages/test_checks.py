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
        nbformat.v4.new_markdown_cell("(a)=\n# b\n\nc\n\nsee {ref}`nowhere`"),
        nbformat.v4.new_code_cell("chapter.judge()", outputs=[judged]),
        nbformat.v4.new_markdown_cell("one\n\nsee {ref}`nowhere`"),
    ]
    notebook = for_reading(with_code_anchors(nbformat.v4.new_notebook(cells=cells)))
    # Before the second stands an anchor; the last one ends the page.
    assert len(notebook.cells) == 5
    assert "c\n\n```{minute}\n```\n\nsee" in notebook.cells[0].source
    for place, named in (("10010", "cell 1, line 6"), ("40004", "cell 3, line 3")):
        found = warn(f"{tmp_path}/alpha.ipynb:{place}", "no", {"alpha": notebook})
        assert f"page alpha.ipynb, {named}: no" in found
