"""The built book in a browser, from the disk: nothing missing, nothing fetched.

With the environment variable SPECTRAL_BUILT_BOOK set to a folder of HTML, its pages
are looked at as well.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from pages import (
    HOME_BYTES,
    MOST_BYTES,
    SCHEMES,
    WIDTHS,
    barriers,
    broken_links,
    check_page,
    faults,
    moving,
    out_of_reach,
    weight,
)

import spectral_book.pages


def redirects(path):
    """Return whether a page only leads on to another one."""
    return 'http-equiv="Refresh"' in path.read_text(encoding="utf-8")[:200]


def built_pages(having=""):
    folder = os.environ.get("SPECTRAL_BUILT_BOOK")
    if folder is None:
        reason = "SPECTRAL_BUILT_BOOK names no built book"
        return [pytest.param(None, marks=pytest.mark.skip(reason=reason))]
    paths = sorted(Path(folder).resolve().rglob("*.html"))
    pages = [p for p in paths if "_static" not in p.parts and not redirects(p)]
    pages = [p for p in pages if having in p.read_text(encoding="utf-8")]
    assert pages, f"no page in {folder}"
    return [pytest.param(path, id=path.stem) for path in pages]


@pytest.mark.parametrize("name", ["intro", "alpha", "beta", "search"])
def test_page_is_whole(good_book, open_page, name):
    with open_page(good_book.html / f"{name}.html") as seen:
        check_page(seen)


@pytest.mark.parametrize(
    ("name", "scheme"),
    [("alpha", "light"), *((name, "dark") for name in ("alpha", "search", "404"))],
)
def test_first_visit_has_the_colours_of_the_system(good_book, open_page, name, scheme):
    with open_page(good_book.html / f"{name}.html", scheme=scheme) as seen:
        assert seen.page.locator("html").get_attribute("data-theme") == scheme


def test_a_choice_of_colours_stays(good_book, open_page):
    with open_page(good_book.html / "alpha.html", scheme="dark") as seen:
        page = seen.page
        page.locator(".theme-switch-button").locator("visible=true").click()
        chosen = page.locator("html").get_attribute("data-mode")
        assert chosen == "light"
        page.goto((good_book.html / "beta.html").as_uri())
        assert page.locator("html").get_attribute("data-theme") == "light"


@pytest.mark.parametrize("path", built_pages())
def test_page_of_the_built_book_is_whole(open_page, path):
    with open_page(path) as seen:
        check_page(seen)


@pytest.mark.parametrize(
    "body",
    [
        "<a href='#x' tabindex='1'></a><a href='#x' onfocus='this.blur()'>lost</a>",
        "<button style='outline: none'>unseen</button>",
    ],
)
def test_what_the_keyboard_does_not_reach_is_noticed(open_page, written, body):
    with open_page(written(body)) as seen:
        assert len(out_of_reach(seen.page)) == 1


def test_what_moves_is_noticed(open_page, written):
    body = "<p style='transition: color 1s'>a</p><p>b</p>"
    with open_page(written(body)) as seen:
        (found,) = moving(seen.page)
        assert "transition" in found


MOST_STRIPS = 12
"""Of a chapter; its other claims are in folded lists."""


@pytest.mark.book
@pytest.mark.parametrize("path", built_pages())
def test_claims_of_a_chapter_are_few_and_below_their_figures(path):
    page = path.read_text(encoding="utf-8")
    if 'class="strips"' not in page or path.stem == "how_to_read":
        return
    assert page.count('<details class="strip ') <= MOST_STRIPS
    for section in re.split(r"<section id=", page)[1:]:
        # In a section a figure is never the first thing after claims.
        shown = re.findall(r'class="strips"|class="caption" id="figure-', section)
        assert "strips" not in " ".join(shown[:-1]) or "figure" not in shown[-1]


@pytest.mark.book
@pytest.mark.parametrize("path", built_pages())
def test_page_of_the_built_book_is_light_and_its_links_lead_somewhere(path):
    assert broken_links(path) == []
    home = path.stem in ("index", "intro")
    assert weight(path) <= (HOME_BYTES if home else MOST_BYTES)


HEAD = "<!doctype html><html lang=en><head><title>t</title></head>"


@pytest.fixture
def written(tmp_path):
    """A function that writes a page of one's own."""

    def write(body):
        path = tmp_path / "page.html"
        path.write_text(f"{HEAD}<body><main><h1>t</h1>{body}</main></body></html>")
        return path

    return write


DOT = (
    "data:image/svg+xml,<svg xmlns=%22http://www.w3.org/2000/svg%22 width=%229%22 "
    "height=%229%22/>"
)


def test_faultless_page_passes(open_page, written):
    body = f"<p>words <img alt='a dot' src='{DOT}'></p><button>do it</button>"
    with open_page(written(body)) as seen:
        check_page(seen)


FAULTS = {
    r"<p>an equation \(x\) that stayed raw</p>": r"raw: \(",
    "<img alt='nothing' src='missing.png'>": "does not load: ",
    f"<img alt='' src='{DOT}'>": "has no words: data:",
    "<div style='width: 900px'>too wide</div>": "scrolls sideways at 820 pixels",
    "<button></button>": "(button-name)",
    "<style>[data-theme=dark] { color: #333; background: #222 }</style>dim": (
        "in the dark, serious: "
    ),
}
COMPLAINTS = {
    "<script>console.warn('hm')</script>": "warning: hm",
    "<script>throw new Error('no')</script>": "no",
    "<script src='missing.js'></script>": "error: Failed to load",
}


def test_every_fault_of_a_page_is_noticed(open_page, written):
    body = "".join((*FAULTS, *COMPLAINTS))
    body += "<script src='https://example.org/x.js'></script>"
    with pytest.raises(AssertionError), open_page(written(body)) as seen:
        found = faults(seen.page)
    for told in FAULTS.values():
        assert any(told in fault for fault in found), told
    assert "scrolls sideways at 1280 pixels" not in found
    for told in COMPLAINTS.values():
        assert any(told in complaint for complaint in seen.complaints), told
    assert seen.requests == ["https://example.org/x.js"]


def test_a_page_that_complains_fails_when_it_is_left(open_page, written):
    body = "<script>throw new Error('no')</script>"
    with pytest.raises(AssertionError), open_page(written(body)):
        pass


def test_pale_code_in_a_folded_part_is_noticed(open_page, written):
    body = (
        "<details><summary>more</summary><pre class=highlight><span class=a>x</span> "
        "<span class=b style='color: #bbb'>y</span></pre></details>"
    )
    with open_page(written(body)) as seen:
        (found,) = barriers(seen.page)
        assert "(color-contrast)" in found


def test_what_is_wider_than_its_box_says_so_and_is_reached(open_page, written):
    static = Path(spectral_book.pages.__file__).parent / "static"
    style, script = ((static / name).read_text() for name in ("chapter.css", "page.js"))
    wide = "<div style='width: 3000px'>wide</div>"
    kinds = ["claims-table", "pst-scrollable-table-container", "recorded-box"]
    boxes = [f"<div class='{kind} box'>{wide}</div>" for kind in kinds]
    boxes.append("<div class='claims-table box'>narrow</div>")
    body = f"<div class='bd-content'>{''.join(boxes)}</div><script>{script}</script>"
    style += ".box { overflow-x: auto }"
    with open_page(written(f"<style>{style}</style>{body}")) as seen:
        found = seen.page.locator(".box").all()
        labels = [box.get_attribute("aria-label") for box in found]
        tables = ["scrolling table, box 1", "scrolling table, box 2"]
        assert labels == [*tables, "scrolling figure, box 1", None]
        assert [box.get_attribute("tabindex") for box in found] == ["0"] * 3 + [None]
        said = "box => getComputedStyle(box, '::before').content"
        hints = [box.evaluate(said) for box in found]
        assert ["scrolls" in hint for hint in hints] == [True] * 3 + [False]


def test_broken_link_is_noticed(written):
    (written("").parent / "other.html").write_text('<p id="here">')
    good = '<a href="other.html#here"></a><a href="#top"></a><p id="top">'
    assert broken_links(written(good)) == []
    bad = '<a href="none.html"></a><a href="other.html#there"></a><a href="#low"></a>'
    path = written(good + bad)
    path = path.rename(path.with_name("new.html"))
    assert broken_links(path) == ["none.html", "other.html#there", "#low"]


def test_weight_counts_a_page_and_its_pictures(written):
    path = written('<img src="a.png"><img src="a.png"><script src="_static/b.js">')
    path.with_name("a.png").write_bytes(bytes(1000))
    path.with_name("_static").mkdir()
    (path.parent / "_static" / "b.js").write_bytes(bytes(1000))
    assert weight(path) == path.stat().st_size + 1000


def test_mathematics_is_typeset(good_book, open_page):
    with open_page(good_book.html / "alpha.html") as seen:
        shown = seen.page.locator("mjx-container")
        assert shown.count() == 2
        assert shown.nth(1).bounding_box()["height"] > 15
        # Drawn with MathJax's own fonts, which lie beside the page.
        assert seen.page.evaluate("document.fonts.check('12px MJXTEX')")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_an_output_with_nothing_in_it_is_no_box(good_book, open_page, scheme):
    """As the mark that a claim leaves where it is judged."""
    with open_page(good_book.html / "beta.html", WIDTHS[0], scheme) as seen:
        height = seen.page.evaluate(
            """() => {
                const output = document.querySelector(".cell_output .text_html");
                output.replaceChildren();
                return output.offsetHeight;
            }"""
        )
    assert height == 0


def test_ledger_shows_every_claim_and_links_to_its_chapter(good_book, open_page):
    with open_page(good_book.html / "intro.html") as seen:
        page = seen.page
        book = page.locator(".ledger")
        counted = "1 replicated, 1 weaker than claimed, 1 not replicated"
        assert f"3 claims of the papers: {counted}" in book.inner_text()
        assert not book.locator(".ledger-claim").first.is_visible()
        for line in book.locator("summary").all():
            line.click()
        assert book.locator(".ledger-claim").first.is_visible()
        chips = [chip.inner_text() for chip in book.locator(".ledger-chip").all()]
        assert chips == ["✓ replicated", "↗ weaker than claimed", "✗ not replicated"]
        row = book.locator(".ledger-claim").first.inner_text()
        for part in ("0.61 [0.598, 0.622]", "n = 5", "≥ 0.5 (no effect 0)", "cpu"):
            assert part in row.replace("\N{NO-BREAK SPACE}", " ")
        book.get_by_role("link", name="Chapter beta").click()
        assert page.url.endswith("/beta.html")


def test_ledger_stacks_on_a_phone_and_is_a_table_on_a_desktop(good_book, open_page):
    with open_page(good_book.html / "intro.html", 390) as seen:
        for line in seen.page.locator(".ledger summary").all():
            line.click()
        for box in seen.page.locator(".ledger").all():
            assert box.evaluate("e => e.scrollWidth <= e.clientWidth + 1")
        label = seen.page.locator(".ledger-label >> visible=true")
        assert label.count() > 0
        seen.page.set_viewport_size({"width": 1200, "height": 800})
        assert seen.page.locator(".ledger thead >> visible=true").count() >= 1
        assert label.count() == 0


def test_folded_claims_open_for_a_link_and_on_paper(good_book, open_page):
    with open_page(good_book.html / "intro.html") as seen:
        page = seen.page
        folded = page.locator("details.folded:not([open])")
        assert folded.count() == 2
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert folded.count() == 0
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert folded.count() == 2
        page.locator(".folded tr").first.evaluate("e => { e.id = 'here' }")
        page.evaluate("location.hash = 'here'")
        page.locator("#here").wait_for(state="visible")
        assert folded.count() == 1


def test_equations_are_numbered_on_their_page_and_referred_to(good_book, open_page):
    with open_page(good_book.html / "beta.html") as seen:
        assert seen.page.locator(".eqno").inner_text().startswith("(1)")
    with open_page(good_book.html / "alpha.html") as seen:
        assert seen.page.locator(".eqno").inner_text().startswith("(1)")
        link = seen.page.get_by_role("link", name="(1)", exact=True)
        link.click()
        assert seen.page.url.endswith("#equation-an-integral")


def search(page, word):
    """Return the titles of what the book's search finds."""
    page.keyboard.press("Control+k")
    page.get_by_role("searchbox").locator("visible=true").fill(word)
    page.keyboard.press("Enter")
    page.wait_for_selector("#search-results .search-summary:visible")
    page.wait_for_function(
        "/found|did not match/.test("
        "document.querySelector('#search-results').innerText)"
    )
    return page.locator("#search-results li a").all_inner_texts()


def test_search_works_from_a_folder(good_book, open_page):
    with open_page(good_book.html / "intro.html") as seen:
        assert "Chapter alpha" in search(seen.page, "alpha")
        assert search(seen.page, "nowhereinthebook") == []


def test_source_is_at_hand(good_book, open_page):
    with open_page(good_book.html / "alpha.html") as seen:
        page = seen.page
        page.get_by_role("button", name="Download this page").click()
        link = page.locator(".btn-download-source-button >> visible=true")
        assert link.get_attribute("download") == ""
        with page.expect_popup() as opened:
            link.click()
        assert opened.value.url == (
            (good_book.html / "_sources" / "alpha.ipynb").as_uri()
        )
        assert "# Chapter alpha" in opened.value.content()


def test_paper_has_no_buttons_and_nothing_cut_off(good_book, open_page):
    with open_page(good_book.html / "beta.html", 720, "dark") as seen:
        page = seen.page
        page.emulate_media(media="print", color_scheme="dark")
        for part in (".bd-sidebar-primary", ".bd-header-article", ".player button"):
            assert not page.locator(part).first.is_visible(), part
        for part in ("h1", ".player img", "p.caption"):
            assert page.locator(f"{part} >> visible=true").count(), part
        widths = "b => [...b].filter((e) => e.scrollWidth > e.clientWidth + 1).length"
        assert page.locator(".highlight pre").evaluate_all(widths) == 0
        ink = page.locator("h1").first.evaluate("e => getComputedStyle(e).color")
        assert max(map(int, re.findall(r"\d+", ink)[:3])) < 100, "pale on paper"
        assert page.pdf().startswith(b"%PDF")
