"""A browser that opens pages from the disk and notes what they complain about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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


@dataclass
class Seen:
    """What a page did while it was open."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@contextmanager
def opened(
    browser: Browser, path: Path, width: int = 1280, scheme: str = "light"
) -> Iterator[Seen]:
    """Open a file; on leaving, check that it neither complained nor fetched."""
    context = browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme=scheme,  # type: ignore[arg-type]
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
    # The theme keeps the reader's choice; "auto" follows the colour scheme.
    page.add_init_script("localStorage.setItem('mode', 'auto')")
    try:
        page.goto(path.as_uri(), wait_until="load")
        _wait_until_shown(seen)
        yield seen
        assert not seen.requests, seen.requests
        assert not seen.complaints, seen.complaints
    finally:
        context.close()


def _note(seen: Seen, message: Any) -> None:
    if message.type in ("error", "warning"):
        seen.complaints.append(f"{message.type}: {message.text}")


def _wait_until_shown(seen: Seen) -> None:
    """Wait for the mathematics and the widgets, where the page has any."""
    page = seen.page
    page.evaluate("window.MathJax?.startup?.promise?.then(() => null)")
    if page.locator("script[type='application/vnd.jupyter.widget-state+json']").count():
        page.wait_for_selector("html[data-widgets]", timeout=20_000)
        assert page.get_attribute("html", "data-widgets") == "ready", seen.complaints


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
