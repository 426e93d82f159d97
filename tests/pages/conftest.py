"""Fixtures: miniature books, and a browser to look at them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from minibook import ANSWERS, PICTURES, PLAYER, MiniBook, claim, claim_cell
from pages import FLAGS, PROGRAMS, opened
from playwright.sync_api import Browser, sync_playwright


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that build a book or look at pages in a browser."""
    for item in items:
        names = getattr(item, "fixturenames", [])
        for name, mark in (("new_book", "book"), ("browser", "browser")):
            if name in names:
                item.add_marker(mark)


@pytest.fixture(scope="session")
def new_book(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], MiniBook]:
    """A function that makes an empty book."""
    return lambda name: MiniBook(tmp_path_factory.mktemp(name))


@pytest.fixture(scope="session")
def good_book(new_book: Callable[[str], MiniBook]) -> MiniBook:
    """A book in which all goes well, built once, every warning being an error."""
    book = new_book("good")
    watch = """
    import os, time
    from pathlib import Path
    start = time.time()
    Path(f"running-{os.getpid()}").touch()
    while len(list(Path().glob("running-*"))) < 2 and time.time() < start + 30:
        time.sleep(0.1)  # until the other chapter runs too
    print("ran", start, time.time())
    """
    book.add(
        "alpha",
        r"#! Here $\lambda_1 = \frac{1}{2}$ and "
        "\n\n"
        r"$$\boldsymbol{x} = \int_0^1 e^{-t}\,dt$$ (an-integral)"
        "\n\nof which {eq}`an-integral` is one.",
        watch,
        """
        import uuid
        print("nonce", uuid.uuid4())
        print("threads", os.environ["SPECTRAL_THREADS"], os.environ["OMP_NUM_THREADS"])
        print("build", os.environ["SPECTRAL_BUILD"])
        import sys; print("python", sys.prefix)
        """,
        PICTURES,
        """
        from IPython.display import Image
        Image(picture(uuid.uuid4().bytes))  # another one in every run
        """,
        "1 / 0",
        claim_cell(claim("alpha-one"), claim("alpha-two", "weaker than claimed")),
        tags={5: ["raises-exception"]},
        alts={4: "Stripes of grey."},
    )
    book.add(
        "beta",
        watch,
        PICTURES,
        PLAYER,
        ANSWERS,
        "#! $$x = 1$$ (another)",
        claim_cell(claim("beta-one", "not replicated")),
        alts={2: "Greys & light."},
    )
    book.configure(
        "Euler's $e^{i\\pi}$.\n\n```{ledger}\n```\n",
        timeout=60,
    )
    env = {"SPECTRAL_JOBS": "2", "SPECTRAL_THREADS": "3"}
    first = book.build("-W", "-n", "--keep-going", env=env)
    (book.folder / "first.log").write_text(first.stdout)
    assert first.returncode == 0, first.stdout
    return book


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium; its absence skips the tests here and fails them in CI.

    It ends with the module: while it is there, an event loop runs in this process, and
    tests of other modules could not start one.
    """
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        message = f"no browser: none of {', '.join(PROGRAMS)} is on the PATH"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def open_page(browser: Browser) -> Callable[..., Any]:
    """The context manager `pages.opened`, with the browser filled in."""
    return partial(opened, browser)
