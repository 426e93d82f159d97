"""The labels of the bibliography are the words the pages cite with."""

from pathlib import Path

from pybtex.database import parse_file, parse_string
from pybtex.plugin import find_plugin

from spectral_book.pages import bibliography

BOOK = Path(__file__).parents[2] / "book" / "references.bib"

ENTRIES = """
@misc{one, author = {van der Berg, Ann}, title = {A}, year = {2001}}
@misc{two, author = {Berg, A. and Costa Lima, B.}, title = {B}, year = {2002}}
@misc{all, author = {Berg, A. and Lima, B. and Diaz, C.}, title = {C}, year = {2003}}
"""


def labels(data):
    bibliography.register()
    style = find_plugin("pybtex.style.formatting", bibliography.STYLE)()
    found = style.format_bibliography(data)
    return [entry.label for entry in found]


def test_labels_name_one_two_or_the_first_of_more():
    data = parse_string(ENTRIES, "bibtex")
    assert labels(data) == [
        "Berg and Costa Lima, 2002",
        "Berg et al., 2003",
        "van der Berg, 2001",
    ]


def test_no_two_papers_of_the_book_have_the_same_label():
    found = labels(parse_file(str(BOOK)))
    assert "Fridovich-Keil et al., 2021" in found
    assert len(set(found)) == len(found)
