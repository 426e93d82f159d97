"""A draft executes one chapter, says so on every page, and is never the book itself."""

import pytest
from minibook import claim, claim_cell

from spectral_book.pages.ledger_files import LEDGER_FILES

pytestmark = pytest.mark.book


@pytest.fixture(scope="module")
def drafts(new_book):
    """A book that was built, then one chapter changed and drafted."""
    book = new_book("drafts")
    for name in ("alpha", "beta"):
        book.add(name, f"print('{name} as built')", claim_cell(claim(f"{name}-one")))
    book.configure(timeout=60)
    assert book.build().returncode == 0
    for name in ("alpha", "beta"):
        changed = f"print('{name} as changed')"
        book.add(name, changed, claim_cell(claim(f"{name}-one", "not replicated")))
    draft = book.folder / "_build" / "draft"
    told = book.build("--path-output", str(draft), env={"SPECTRAL_DRAFT": "alpha"})
    assert told.returncode == 0, told.stdout
    return book, draft / "_build" / "html", told.stdout


def text(page):
    return page.read_text("utf-8")


def test_one_chapter_is_executed_and_the_others_are_as_last_built(drafts):
    _, html, told = drafts
    assert "executing 1 chapters" in told
    assert "alpha as changed" in text(html / "alpha.html")
    # The code is that of the build too: what is shown belongs together.
    assert "beta as built" in text(html / "beta.html")
    assert "beta as changed" not in text(html / "beta.html")


def test_every_page_says_that_it_is_a_draft_and_there_is_no_ledger(drafts):
    book, html, _ = drafts
    for page in ("intro", "alpha", "beta"):
        assert "<strong>Draft.</strong> Only <em>alpha</em>" in text(
            html / f"{page}.html"
        )
    assert not list(html.glob("ledger*"))
    whole = book.folder / "_build" / "html"
    assert {path.name for path in whole.glob("ledger*")} == set(LEDGER_FILES)
    assert "Draft." not in text(whole / "alpha.html")
    assert "alpha as built" in text(whole / "alpha.html")


def test_a_chapter_that_is_not_there_is_told(drafts):
    book, _, _ = drafts
    draft = str(book.folder / "_build" / "draft")
    told = book.build("--path-output", draft, env={"SPECTRAL_DRAFT": "gamma"})
    assert told.returncode != 0
    assert "the book has no chapter 'gamma' to draft" in told.stdout


def test_a_draft_needs_no_build_before_it(new_book):
    """The front page's findings are claims of chapters that have not run."""
    book = new_book("first")
    for name in ("alpha", "beta"):
        book.add(name, claim_cell(claim(f"{name}-one")))
    book.configure("```{findings}\n```\n", timeout=60)
    found = "- {claim: beta-one, held: a, failed: b, open: c}\n"
    (book.folder / "findings.yaml").write_text(found)
    draft = str(book.folder / "_build" / "draft")
    told = book.build("--path-output", draft, env={"SPECTRAL_DRAFT": "alpha"})
    assert told.returncode == 0, told.stdout
