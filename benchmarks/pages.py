"""What a reader's browser has to do: bytes and first paint of each page of a book.

    python benchmarks/pages.py [book/_build/html] [--rounds 5] [--json FILE]

Opens every page from the disk in a new, empty browser and prints its bytes: its HTML,
its own pictures, and the scripts, styles and fonts it shares with other pages; and the
milliseconds to the first paint with content and to the end of loading, medians over
rounds. No ratio here: there is nothing to compare with but the limits we set.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from playwright.sync_api import Browser, Request, sync_playwright

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
COLUMNS = ("html kB", "pictures kB", "shared kB", "first paint ms", "loaded ms")
PAINT = """() => new Promise((done) => {
    new PerformanceObserver((list) => done(list.getEntries()[0].startTime)).observe(
        { type: "paint", buffered: true })
}).then(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime)"""
LOADED = "() => performance.getEntriesByType('navigation')[0].loadEventEnd"


def visit(browser: Browser, path: Path) -> dict[str, float]:
    """Return the bytes of what a page asked for, and its times in milliseconds."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    files: set[Path] = set()

    def note(request: Request) -> None:
        if request.url.startswith("file:"):
            files.add(Path(unquote(urlparse(request.url).path)))

    page.on("request", note)
    page.goto(path.as_uri(), wait_until="load")
    page.wait_for_function(LOADED)
    times = page.evaluate(PAINT), page.evaluate(LOADED)
    context.close()
    pictures = {file for file in files if "_images" in file.parts}
    groups = ({path}, pictures, files - pictures - {path})
    sizes = [sum(f.stat().st_size for f in group) / 1000 for group in groups]
    return dict(zip(COLUMNS, [*sizes, *times], strict=True))


def pages(folder: Path) -> Iterator[Path]:
    """Give the pages of a book, without those that only lead on to another."""
    for path in sorted(folder.resolve().rglob("*.html")):
        text = path.read_text(encoding="utf-8")[:200]
        if "_static" not in path.parts and 'http-equiv="Refresh"' not in text:
            yield path


def measure(folder: Path, rounds: int) -> dict[str, dict[str, float]]:
    """Return the medians of each page over rounds, after one round to warm up."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        raise SystemExit(f"no browser: none of {', '.join(PROGRAMS)} is on the PATH")
    seen: dict[str, list[Mapping[str, float]]] = {}
    with sync_playwright() as playwright:
        for turn in range(rounds + 1):
            # A new browser each round has nothing in its memory.
            browser = playwright.chromium.launch(
                executable_path=program, args=["--no-sandbox", "--disable-gpu"]
            )
            for path in pages(folder):
                visited = visit(browser, path)
                if turn:
                    seen.setdefault(path.stem, []).append(visited)
            browser.close()
    return {
        name: {c: round(statistics.median(v[c] for v in visits), 1) for c in COLUMNS}
        for name, visits in seen.items()
    }


def table(rows: Mapping[str, Mapping[str, float]], total: float) -> str:
    """Return the table as text, with the size of the whole book in megabytes."""
    lines = [f"{'page':24}" + "".join(f"{c:>16}" for c in COLUMNS)]
    for name, row in rows.items():
        lines.append(f"{name:24}" + "".join(f"{row[c]:16,.0f}" for c in COLUMNS))
    return "\n".join([*lines, f"The whole book: {total:.1f} MB."])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure a book and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("book", nargs="?", type=Path, default="book/_build/html")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)
    if not (given.book / "index.html").is_file():
        parser.error(f"{given.book} holds no book; make one with `make book`")
    rows = measure(given.book, given.rounds)
    files = [f for f in given.book.rglob("*") if f.is_file()]
    total = sum(f.stat().st_size for f in files) / 1e6
    print(table(rows, total))
    if given.json:
        found: dict[str, Any] = {"pages": rows, "total MB": round(total, 2)}
        given.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
