"""A draft executes one chapter, says so on every page, and is never the book itself."""

import pytest
from minibook import claim, claim_cell

from spectral_book.pages.ledger_files import LEDGER_FILES

pytestmark = pytest.mark.book


@pytest.fixture(scope="module")
def drafts(new_book):
    """A book drafted before any build, then built, changed and drafted again."""
    book = new_book("drafts")
    draft = book.folder / "_build" / "draft"

    def write(state, verdict):
        for name in ("alpha", "beta"):
            said = claim_cell(claim(f"{name}-one", verdict))
            book.add(name, f"print('{name} as {state}')", said)

    def build(*where, **environment):
        told = book.build(*where, env=environment)
        assert told.returncode == 0, told.stdout
        return told.stdout

    write("built", "replicated")
    book.configure("```{lead}\n```\n", timeout=60)
    # The front page's findings are claims of chapters that have not run.
    found = "- {claim: beta-one, held: a, failed: b, open: c}\n"
    (book.folder / "findings.yaml").write_text(found)
    build("--path-output", str(draft), SPECTRAL_DRAFT="alpha")
    first = text(draft / "_build" / "html" / "beta.html")
    build()
    write("changed", "not replicated")
    told = build("--path-output", str(draft), SPECTRAL_DRAFT="alpha")
    return book, draft / "_build" / "html", told, first


def text(page):
    return page.read_text("utf-8")


def test_one_chapter_is_executed_and_the_others_are_as_last_built(drafts):
    _, html, told, _ = drafts
    assert "executing 1 chapters" in told
    assert "alpha as changed" in text(html / "alpha.html")
    # The code is that of the build too: what is shown belongs together.
    assert "beta as built" in text(html / "beta.html")
    assert "beta as changed" not in text(html / "beta.html")


def test_every_page_says_that_it_is_a_draft_and_there_is_no_ledger(drafts):
    book, html, *_ = drafts
    for page in ("intro", "alpha", "beta"):
        assert "<strong>Draft.</strong> Only <em>alpha</em>" in text(
            html / f"{page}.html"
        )
    assert not list(html.glob("ledger*"))
    whole = book.folder / "_build" / "html"
    assert {path.name for path in whole.glob("ledger*")} == set(LEDGER_FILES)
    assert "Draft." not in text(whole / "alpha.html")
    assert "alpha as built" in text(whole / "alpha.html")


def test_a_draft_needs_no_build_before_it(drafts):
    assert drafts[3].count("beta as built") == 1  # the code, and no output
