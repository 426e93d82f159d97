"""What the world outside needs of a page: its description, address and repository.

Two variables of the environment say where a book is at home. `SPECTRAL_SITE`, the
address of its pages, brings canonical links, a picture for links to a page, and a
sitemap; `SPECTRAL_REPOSITORY`, that of its code, brings links to it, to its issues, to
Binder, and to Colab, which opens notebooks on GitHub alone. Without them no page names
a place that may not be there.
"""

import os
import textwrap
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape as escape_xml

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ConfigError

from spectral_book.files import write_atomic

MISSING = "404"
"""The page that servers show where there is none."""

_DESCRIBED = 200  # letters of a description; search engines cut longer ones
_BINDER = "https://mybinder.org"
_COLAB = "https://colab.research.google.com"
_SORRY = (
    "<h1>There is no such page</h1><p>It may have been renamed. The contents lead to "
    'all pages, the <a href="search.html">search</a> finds words in them, and the '
    '<a href="index.html">first page</a> says what this book is about.</p>'
)


def place(app: Sphinx, config: Config) -> None:
    """Take site and repository from the environment into the settings.

    Raises
    ------
    ConfigError
        If one of them is no address of the web.
    """
    site, repository = _address("SPECTRAL_SITE"), _address("SPECTRAL_REPOSITORY")
    if site:
        config.html_baseurl = f"{site}/"
    if repository:
        config.html_theme_options |= {
            "repository_url": repository,
            "repository_branch": "main",
            "path_to_docs": "book",
            "use_repository_button": True,
            "use_issues_button": True,
            "launch_buttons": {
                "binderhub_url": _BINDER,
                "colab_url": _COLAB if "//github.com/" in repository else "",
                "notebook_interface": "jupyterlab",
            },
        }


def describe(
    app: Sphinx,
    pagename: str,
    template: str,
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    """Give a page the lines that search engines and cards of links read."""
    if doctree is None:
        return
    told = description(doctree)
    lines = {"og:title": context["title"], "og:type": "article"}
    if told:
        lines |= {"og:description": told}
    site = app.config.html_baseurl
    pictures = (image["uri"] for image in doctree.findall(nodes.image))
    first = next((uri for uri in pictures if uri.startswith("_images/")), None)
    if site:
        lines |= {"og:url": f"{site}{pagename}.html"}
    if site and first:
        lines |= {"og:image": f"{site}{first}"}
    made = [f'<meta name="description" content="{escape(told)}">'] if told else []
    made += [
        f'<meta property="{name}" content="{escape(text)}">'
        for name, text in lines.items()
    ]
    context["metatags"] = context.get("metatags", "") + "\n".join(made)


def description(doctree: nodes.document) -> str:
    """Return the beginning of a page's first paragraph."""
    first = next(doctree.findall(nodes.paragraph), None)
    if first is None:
        return ""
    return textwrap.shorten(first.astext(), _DESCRIBED, placeholder=" …")


def missing_page(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Give the page for addresses that lead nowhere."""
    site = app.config.html_baseurl
    # A server shows it at whatever address was asked for.
    base = {"metatags": f'<base href="{escape(site)}">'} if site else {}
    yield MISSING, {"title": "No such page", "body": _SORRY, **base}, "page.html"


def write_sitemap(app: Sphinx, exception: Exception | None) -> None:
    """List all pages for search engines, where the book has an address."""
    site = app.config.html_baseurl
    if exception or not site or app.builder.format != "html":
        return
    urls = "\n".join(
        f"<url><loc>{escape_xml(f'{site}{page}.html')}</loc></url>"
        for page in sorted(app.env.found_docs)
    )
    write_atomic(
        Path(app.outdir) / "sitemap.xml",
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
        f"{urls}\n</urlset>\n",
    )


def _address(variable: str) -> str:
    """Return a variable's address without its last slash; empty if it is not set."""
    text = os.environ.get(variable, "").strip().rstrip("/")
    if text and not text.startswith(("https://", "http://")):
        raise ConfigError(
            f"{variable} is {text!r}; give an address that begins with https://"
        )
    return text
