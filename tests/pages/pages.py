"""A browser that opens pages from the disk, and what a page must fulfil."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from html import unescape
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from playwright.sync_api import Browser, Page, Route

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
RAW_LATEX = re.compile(r"\\[()\[\]]|\$\$|\\begin\{|\$[^$\s][^$\n]*\$")
MOST_BYTES = 1_500_000
"""Of a page and its pictures together."""

HOME_BYTES = 700_000
"""Of the front page."""

MOST_STOPS = 2000
"""Of the key Tab on one page."""

WIDTHS = (390, 820, 1280)
SCHEMES = ("light", "dark")
AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


@dataclass
class Seen:
    """What a page did while it was open."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@contextmanager
def opened(
    browser: Browser,
    path: Path,
    width: int = 1280,
    scheme: str = "light",
    *,
    scripts: bool = True,
) -> Iterator[Seen]:
    """Open a file; on leaving, check that it neither complained nor fetched."""
    context = browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme=scheme,  # type: ignore[arg-type]
        java_script_enabled=scripts,
    )
    page = context.new_page()
    seen = Seen(page)

    def watch(route: Route) -> None:
        if route.request.url.startswith(("file:", "data:", "blob:")):
            route.continue_()
        else:
            seen.requests.append(route.request.url)
            route.abort()

    page.route("**/*", watch)
    page.on("console", lambda message: _note(seen, message))
    page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    try:
        page.goto(path.as_uri(), wait_until="load")
        if scripts:
            page.evaluate("window.MathJax?.startup?.promise?.then(() => null)")
        yield seen
        assert not seen.requests, seen.requests
        assert not seen.complaints, seen.complaints
    finally:
        context.close()


def _note(seen: Seen, message: Any) -> None:
    if message.type in ("error", "warning"):
        seen.complaints.append(f"{message.type}: {message.text}")


def visible_text(page: Page) -> str:
    """Return the text of a page outside of code."""
    return page.evaluate(
        """() => {
            const copy = document.body.cloneNode(true);
            const skipped = "pre, code, script, style, mjx-container, template";
            copy.querySelectorAll(skipped).forEach((element) => element.remove());
            return copy.textContent;
        }"""
    )


def broken_images(page: Page) -> Sequence[str]:
    """Return the addresses of pictures that did not load."""
    return page.evaluate(
        """async () => {
            const images = [...document.images].filter((image) => image.src);
            for (const image of images) {
                image.loading = "eager";
                await image.decode().catch(() => null);
            }
            return images.filter((i) => !i.naturalWidth).map((i) => i.src);
        }"""
    )


def check_page(seen: Seen) -> None:
    """Check what every page must fulfil, in all widths and both schemes."""
    found = faults(seen.page)
    assert not found, found


def faults(page: Page) -> list[str]:
    """Return what is wrong with a page, which was opened on a desktop in the light."""
    found = [f"out of reach: {part}" for part in out_of_reach(page)]
    found += [f"moves: {part}" for part in moving(page)]
    page.set_viewport_size({"width": WIDTHS[0], "height": 800})
    page.wait_for_timeout(400)  # the theme looks 0.3 s later what scrolls now
    found += barriers(page, ["scrollable-region-focusable"])
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        overflow = "document.documentElement.scrollWidth - window.innerWidth"
        if page.evaluate(overflow) > 1:
            found.append(f"scrolls sideways at {width} pixels")
    if raw := RAW_LATEX.search(visible_text(page)):
        found.append(f"raw: {raw[0]}")
    found += [f"does not load: {source}" for source in broken_images(page)]
    found += [f"has no words: {source}" for source in unnamed_images(page)]
    page.wait_for_timeout(400)
    # Colours do not change with the width, and nothing else in the dark.
    found += barriers(page)
    page.emulate_media(color_scheme="dark")
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    dark = barriers(page, ["color-contrast", "link-in-text-block"])
    return found + [f"in the dark, {part}" for part in dark]


def out_of_reach(page: Page) -> Sequence[str]:
    """Return what a mouse can press and Tab does not reach, or reaches unseen."""
    page.evaluate(
        """() => {
            const kinds = "a[href], button, input, select, summary, [tabindex='0']";
            const there = (e) => e.checkVisibility({ visibilityProperty: true });
            window.wanted = new Set([...document.querySelectorAll(kinds)].filter(
                (e) => there(e) && e.tabIndex >= 0 && !e.disabled,
            ));
            document.activeElement.blur();
        }"""
    )
    seen = """() => {
        const e = document.activeElement;
        if (e === document.body) return false;
        const { outlineStyle, boxShadow } = getComputedStyle(e);
        if (outlineStyle !== "none" || boxShadow !== "none") window.wanted.delete(e);
        return true;
    }"""
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        if not page.evaluate(seen):
            break
    return page.evaluate("[...window.wanted].map((e) => e.outerHTML.slice(0, 100))")


def moving(page: Page) -> Sequence[str]:
    """Return what moves on a page, its folded parts open, of readers who want none."""
    page.emulate_media(reduced_motion="reduce")
    return page.evaluate(
        """() => {
            document.querySelectorAll("details").forEach((e) => { e.open = true; });
            return [...document.querySelectorAll("*")].filter((e) => {
                const style = getComputedStyle(e);
                const lasts = style.transitionDuration.split(", ");
                return style.animationName !== "none"
                    || style.scrollBehavior === "smooth"
                    || lasts.some((time) => parseFloat(time));
            }).map((e) => e.outerHTML.slice(0, 100));
        }"""
    )


def unnamed_images(page: Page) -> Sequence[str]:
    """Return the addresses of pictures that no words stand for."""
    return page.evaluate(
        """() => [...document.images]
            .filter((image) => !image.alt.trim() && image.role !== "presentation")
            .map((image) => image.src.slice(0, 100) || image.outerHTML)"""
    )


def barriers(page: Page, rules: Sequence[str] | None = None) -> list[str]:
    """Return what axe-core finds to be a serious or critical barrier.

    Folded parts are opened first. Code holds thousands of words in few colours, so for
    all rules one of each kind is looked at; this changes the page and comes last.
    """
    page.add_style_tag(content="* { transition: none !important; }")
    page.evaluate(
        "document.querySelectorAll('details').forEach(e => { e.open = true })"
    )
    if rules is None:
        _thin_out_code(page)
    page.evaluate(AXE)
    found = page.evaluate(
        """(rules) => axe.run(document, {
            resultTypes: ["violations"],
            preload: false,
            ...(rules ? { runOnly: { type: "rule", values: rules } } : {}),
        }).then((result) => result.violations)""",
        rules,
    )
    return [
        f"{rule['impact']}: {rule['help']} ({rule['id']}): {part['html'][:200]}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for part in rule["nodes"]
    ]


def _thin_out_code(page: Page) -> None:
    """Leave one word of each colour in the code of a page; the others become plain."""
    # Lines grow by this, and must not begin to scroll.
    page.add_style_tag(content=".highlight pre { white-space: pre-wrap !important; }")
    page.evaluate(
        """() => {
            const known = new Set();
            for (const word of document.querySelectorAll(".highlight span")) {
                const box = word.closest(".cell_output, .cell_input")?.className;
                const kind = `${box}/${word.className}`;
                if (known.has(kind)) {
                    word.replaceWith(...word.childNodes);
                } else if (word.children.length === 0 && word.textContent) {
                    word.textContent = "words"; // axe leaves out single signs
                    known.add(kind);
                }
            }
        }"""
    )


@cache
def _parts(path: Path) -> frozenset[str]:
    """Return the names of a page's parts, which links may lead to."""
    return frozenset(re.findall(r'\bid="([^"]*)"', path.read_text(encoding="utf-8")))


def broken_links(path: Path) -> list[str]:
    """Return the addresses in a page that lead to no file or no part of one."""
    broken = []
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r'href="([^":]*)"', text):
        name, _, anchor = unquote(unescape(target)).partition("#")
        page = (path.parent / name.partition("?")[0]).resolve() if name else path
        whole = page.exists() and (not anchor or page.suffix != ".html")
        if not whole and not (page.exists() and anchor in _parts(page)):
            broken.append(target)
    return broken


def weight(path: Path) -> int:
    """Return the bytes of a page and of its own pictures."""
    text = path.read_text(encoding="utf-8")
    sources = {unquote(unescape(s)) for s in re.findall(r'\bsrc="([^":]+)"', text)}
    pictures = [path.parent / s for s in sources if "_static" not in s]
    return sum(p.stat().st_size for p in [path, *pictures] if p.is_file())
