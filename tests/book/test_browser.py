"""The built book in a browser, from the disk: nothing missing, nothing fetched.

With the environment variable SPECTRAL_BUILT_BOOK set to a folder of HTML, its pages
are looked at as well.
"""

from __future__ import annotations

import os
import re
from html import unescape
from pathlib import Path
from urllib.parse import unquote

import pytest
from pages import broken_images, visible_text

RAW_LATEX = re.compile(r"\\[()\[\]]|\$\$|\\begin\{|\$[^$\s][^$\n]*\$")
VIEWS = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]
NOT_WRITTEN_BY_US = {"genindex.html", "search.html"}


def redirects(path):
    """Return whether a page only leads on to another one."""
    return 'http-equiv="Refresh"' in path.read_text(encoding="utf-8")[:200]


def built_pages():
    folder = os.environ.get("SPECTRAL_BUILT_BOOK")
    if folder is None:
        reason = "SPECTRAL_BUILT_BOOK names no built book"
        return [pytest.param(None, marks=pytest.mark.skip(reason=reason))]
    paths = sorted(Path(folder).resolve().rglob("*.html"))
    pages = [p for p in paths if p.name not in NOT_WRITTEN_BY_US]
    pages = [p for p in pages if "_static" not in p.parts and not redirects(p)]
    assert pages, f"no page in {folder}"
    return [pytest.param(path, id=path.name) for path in pages]


def check_page(open_page, path, width, scheme):
    """Check what every page must fulfil."""
    with open_page(path, width, scheme) as seen:
        page = seen.page
        overflow = "document.documentElement.scrollWidth - window.innerWidth"
        assert page.evaluate(overflow) <= 1
        found = RAW_LATEX.search(visible_text(page))
        assert found is None, found
        assert broken_images(page) == []


@pytest.mark.parametrize(("width", "scheme"), VIEWS)
@pytest.mark.parametrize("name", ["intro", "alpha", "beta"])
def test_page_is_whole(good_book, open_page, name, width, scheme):
    check_page(open_page, good_book.html / f"{name}.html", width, scheme)


@pytest.mark.parametrize(("width", "scheme"), VIEWS)
@pytest.mark.parametrize("path", built_pages())
def test_page_of_the_built_book_is_whole(open_page, path, width, scheme):
    check_page(open_page, path, width, scheme)


@pytest.mark.parametrize(
    "body",
    [
        "<script>console.warn('hm')</script>",
        "<script>throw new Error('no')</script>",
        "<script src='https://example.org/x.js'></script>",
        "<script src='missing.js'></script>",
        "<div style='width: 3000px'>wide</div>",
        r"<p>an equation \(x\) that stayed raw</p>",
        "<img src='missing.png'>",
    ],
)
def test_faulty_page_is_noticed(open_page, tmp_path, body):
    path = tmp_path / "page.html"
    head = "<!doctype html><html><head><title>t</title></head>"
    path.write_text(f"{head}<body>{body}</body></html>")
    with pytest.raises(AssertionError):
        check_page(open_page, path, 1280, "light")


def test_mathematics_is_typeset(good_book, open_page):
    with open_page(good_book.html / "alpha.html") as seen:
        shown = seen.page.locator("mjx-container")
        assert shown.count() == 2
        assert shown.nth(1).bounding_box()["height"] > 15
        # Drawn with MathJax's own fonts, which lie beside the page.
        assert seen.page.evaluate("document.fonts.check('12px MJXTEX')")


def picture(page):
    """Return the bytes of the frame that is shown."""
    return page.evaluate(
        """async () => {
            const images = [...document.querySelectorAll(".widget-image")];
            const shown = images.filter((image) => image.offsetParent);
            if (shown.length !== 1) return `${shown.length} frames are shown`;
            const canvas = document.createElement("canvas");
            await shown[0].decode();
            canvas.width = canvas.height = 1;
            const pen = canvas.getContext("2d");
            pen.drawImage(shown[0], 0, 0);
            return pen.getImageData(0, 0, 1, 1).data[0];
        }"""
    )


@pytest.mark.parametrize("width", [1280, 390])
def test_slider_moves_the_picture(good_book, open_page, width):
    with open_page(good_book.html / "beta.html", width) as seen:
        page = seen.page
        assert picture(page) == 0
        readout = page.locator(".widget-readout")
        page.locator(".noUi-handle").focus()
        for _ in range(7):
            page.keyboard.press("ArrowRight")
        assert readout.inner_text() == "7"
        assert picture(page) == 70
        track = page.locator(".noUi-target").bounding_box()
        middle = (track["x"] + track["width"] / 2, track["y"] + track["height"] / 2)
        page.mouse.click(*middle)
        value = int(readout.inner_text())
        assert value in (9, 10)
        assert picture(page) == 10 * value


def test_play_plays(good_book, open_page):
    with open_page(good_book.html / "beta.html") as seen:
        page = seen.page
        page.locator(".widget-play button").first.click()
        page.wait_for_function(
            "Number(document.querySelector('.widget-readout').innerText) >= 5",
            timeout=10_000,
        )
        assert picture(page) >= 50


def test_output_widget_keeps_what_it_showed(good_book, open_page):
    with open_page(good_book.html / "beta.html") as seen:
        text = seen.page.locator(".jupyter-widgets-view").inner_text()
        assert "kept by an output widget" in text


def contrast(page, selector):
    """Return the contrast of a text with what is painted behind it, as WCAG counts."""
    return page.evaluate(
        """(selector) => {
            const canvas = document.createElement("canvas");
            const pen = canvas.getContext("2d", { willReadFrequently: true });
            const element = document.querySelector(selector);
            const layers = [];
            for (let e = element; e; e = e.parentElement) {
                layers.unshift(getComputedStyle(e).backgroundColor);
            }
            const light = (colors) => {
                pen.fillStyle = "white";
                pen.fillRect(0, 0, 1, 1);
                for (const color of colors) {
                    pen.fillStyle = color;
                    pen.fillRect(0, 0, 1, 1);
                }
                const part = [...pen.getImageData(0, 0, 1, 1).data].map((c) => {
                    const s = c / 255;
                    return s <= 0.03928 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4;
                });
                return 0.2126 * part[0] + 0.7152 * part[1] + 0.0722 * part[2];
            };
            const back = light(layers);
            const text = light([...layers, getComputedStyle(element).color]);
            return (Math.max(back, text) + 0.05) / (Math.min(back, text) + 0.05);
        }""",
        selector,
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_chips_and_labels_are_readable(good_book, open_page, scheme):
    with open_page(good_book.html / "intro.html", 1280, scheme) as seen:
        for kind in ("replicated", "direction-only", "not-replicated"):
            assert contrast(seen.page, f".ledger-{kind}") >= 4.5
    with open_page(good_book.html / "beta.html", 1280, scheme) as seen:
        assert contrast(seen.page, ".widget-label") >= 4.5


def test_ledger_shows_every_claim_and_links_to_its_chapter(good_book, open_page):
    with open_page(good_book.html / "intro.html") as seen:
        page = seen.page
        book, chapter = page.locator(".ledger").all()
        assert "3 claims: 1 replicated, 1 direction only, 1 not replicated" in (
            book.inner_text()
        )
        chips = [chip.inner_text() for chip in book.locator(".ledger-chip").all()]
        assert chips == ["✓ replicated", "↗ direction only", "✗ not replicated"]
        row = book.locator(".ledger-claim").first.inner_text()
        for part in ("0.612 [0.5, 0.7]", "n = 5", ">= 0.5 (null 0)", "shuffled", "cpu"):
            assert part in row.replace("\N{NO-BREAK SPACE}", " ")
        assert chapter.locator(".ledger-chip").count() == 1
        chapter.get_by_role("link", name="Chapter beta").click()
        assert page.url.endswith("/beta.html")


def test_ledger_stacks_on_a_phone(good_book, open_page):
    with open_page(good_book.html / "intro.html", 390) as seen:
        for box in seen.page.locator(".ledger").all():
            assert box.evaluate("e => e.scrollWidth <= e.clientWidth + 1")
        assert seen.page.locator(".ledger-label >> visible=true").count() > 0


@pytest.mark.parametrize("path", built_pages())
def test_links_of_the_built_book_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r'href="([^":]*)"', text):
        name, _, anchor = unquote(unescape(target)).partition("#")
        page = path.parent / name.partition("?")[0] if name else path
        assert page.exists(), target
        if anchor and page.suffix == ".html":
            assert f'id="{anchor}"' in page.read_text(encoding="utf-8"), target
