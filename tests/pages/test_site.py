"""What search engines, cards of links and readers elsewhere find on the pages."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from types import SimpleNamespace

import pytest
from docutils import nodes
from docutils.utils import new_document
from minibook import PICTURES, claim, claim_cell
from minibook import REPOSITORY as MINE
from sphinx.errors import ConfigError

from spectral_book.pages.assets import mend_body
from spectral_book.pages.site import description, place

SITE = "https://example.org/book"
REPOSITORY = "https://github.com/someone/book"
SHOWN = 'from IPython.display import Image\nImage(picture(b"greys"))'


@pytest.fixture(scope="module")
def placed(new_book):
    """A book that is told its address and its repository."""
    book = new_book("placed")
    text = '#! Spectral bias & "networks" of $x$ in short.'
    cells = text, PICTURES, SHOWN, claim_cell(claim("alpha-one"))
    book.add("alpha", *cells, alts={2: "Greys."})
    book.configure("A book on waves.")
    where = {"SPECTRAL_SITE": f"{SITE}/", "SPECTRAL_REPOSITORY": REPOSITORY}
    built = book.build("-W", "-n", "--keep-going", env=where)
    assert built.returncode == 0, built.stdout
    return book


def page(book, name):
    return (book.html / f"{name}.html").read_text("utf-8")


def meta(text, name):
    found = re.search(rf'<meta (?:name|property)="{name}" content="([^"]*)">', text)
    return found and found[1]


def test_a_page_with_an_address_has_a_card(placed):
    text = page(placed, "alpha")
    said = "Spectral bias &amp; “networks” of x in short."
    assert meta(text, "description") == meta(text, "og:description") == said
    assert meta(text, "og:title") == "Chapter alpha"
    assert f'<link rel="canonical" href="{SITE}/alpha.html"' in text
    picture = meta(text, "og:image").removeprefix(f"{SITE}/")
    assert (placed.html / picture).is_file()


def test_search_engines_get_all_pages(placed):
    root = ET.parse(placed.html / "sitemap.xml").getroot()
    assert [loc.text for loc in root.iter() if loc.tag.endswith("loc")] == [
        f"{SITE}/alpha.html",
        f"{SITE}/intro.html",
    ]


def test_a_repository_brings_its_links(placed):
    text = page(placed, "alpha")
    assert f'href="{REPOSITORY}"' in text
    assert f"{REPOSITORY}/issues/new" in text
    binder = "https://mybinder.org/v2/gh/someone/book/main"
    assert f"{binder}?urlpath=lab/tree/book/alpha.ipynb" in text
    colab = "https://colab.research.google.com/github/someone/book/blob/main"
    assert f"{colab}/book/alpha.ipynb" in text


@pytest.mark.parametrize(
    "path", sorted((MINE / "book").glob("*.ipynb")), ids=lambda path: path.stem
)
def test_a_notebook_opened_alone_says_what_it_needs(path):
    first = json.loads(path.read_text("utf-8"))["cells"][0]["source"]
    (told,) = (line for line in first if "Colab" in line)
    assert told.startswith("% ")  # a comment, where MyST reads it
    for step in ("git clone ADDRESS", "%pip install './repo[book]'", "%cd repo/book"):
        assert step in told


def test_without_both_no_page_names_a_place(good_book):
    assert not (good_book.html / "sitemap.xml").exists()
    text = page(good_book, "alpha")
    words = ("canonical", "og:url", "og:image", "mybinder", "colab", "issues/new")
    for word in words:
        assert word not in text
    assert meta(text, "description")


def test_an_address_that_leads_nowhere_has_a_page(good_book, placed):
    assert 'href="search.html"' in page(good_book, "404")
    assert "<base" not in page(good_book, "404")
    assert f'<base href="{SITE}/">' in page(placed, "404")


@pytest.mark.parametrize("name", ["SPECTRAL_SITE", "SPECTRAL_REPOSITORY"])
def test_what_is_no_address_is_refused(monkeypatch, name):
    monkeypatch.setenv(name, "example.org")
    with pytest.raises(ConfigError, match=f"{name} is 'example.org'; give an address"):
        place(None, SimpleNamespace())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Two\nwords.", "Two words."),
        ("word " * 60, "word " * 39 + "…"),
    ],
)
def test_a_description_is_short(text, told):
    page = new_document("page")
    assert description(page) == ""
    page += nodes.paragraph("", text)
    page += nodes.paragraph("", "More.")
    assert description(page) == told


def test_a_number_and_its_per_cent_sign_stay_on_one_line():
    context = {"body": "<p>90 % of a, <code>5</code> % 3 %pip</p>"}
    mend_body(None, "", "", context, None)
    assert context["body"] == "<p>90\u00a0% of a, <code>5</code> % 3 %pip</p>"
