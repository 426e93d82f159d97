"""Scripts the pages need, copied from installed packages: the book works offline."""

import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config

from spectral_book.chapter.player import with_alt

STATIC = Path(__file__).parent / "static"

_MATHJAX = "mathjax"
# What a page loads, and what MathJax loads by itself as an equation asks for it.
_MATHJAX_PARTS = (
    "tex-mml-chtml.js",
    "output/chtml/fonts/woff-v2",
    "input/tex/extensions",
)
_PERCENT = re.compile(r"(?<=\d) (?=%(?!\w))")
_FALSE_LIST = '<div role="list" class="citation-list">'


def use_local_scripts(app: Sphinx, config: Config) -> None:
    """Point Sphinx and myst-nb at the copies, and switch off what needs a server."""
    config.nb_ipywidgets_js = {}  # no page holds a widget
    config.mathjax_path = f"{_MATHJAX}/{_MATHJAX_PARTS[0]}"
    config.html_static_path = [*config.html_static_path, str(STATIC)]
    app.add_js_file("scheme.js")
    app.add_js_file("page.js", defer="defer")
    app.add_css_file("print.css", media="print")
    app.connect("doctree-resolved", name_players)
    app.connect("html-page-context", mend_body)
    # Thebe runs code on a public server and puts its address on every page.
    for event in ("env-before-read-docs", "doctree-resolved"):
        for listener in list(app.events.listeners.get(event, [])):
            if listener.handler.__module__ == "sphinx_thebe":
                app.disconnect(listener.id)


def copy_scripts(app: Sphinx) -> None:
    """Copy the third-party scripts into the built book, if it is one of HTML."""
    if app.builder.format != "html":
        return
    target = Path(app.outdir) / "_static"
    mathjax = files("sphinx-mathjax-offline") / "static" / "mathjax"
    for part in _MATHJAX_PARTS:
        _copy(mathjax / part, target / _MATHJAX / part)


def name_players(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Give players the ``alt`` of their cell's ``mystnb`` metadata, as figures have."""
    for cell in doctree.findall(nodes.container):
        metadata = cell.get("cell_metadata", {}).get("mystnb", {})
        alt = metadata.get("image", {}).get("alt")
        for part in list(cell.findall(nodes.raw)) if alt else []:
            html = with_alt(part.astext(), alt)
            if html != part.astext():
                part.parent.replace(part, nodes.raw("", html, format="html"))


def mend_body(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: object
) -> None:
    """Keep a number and its per cent sign on one line, and take away false roles.

    Docutils gives that of a list to citations, which have no list items.
    """
    body = _PERCENT.sub("\u00a0", context.get("body", ""))
    body = body.replace(_FALSE_LIST, '<div class="citation-list">')
    context["body"] = body.replace(' role="doc-biblioentry"', "")


def _copy(source: Traversable, target: Path) -> None:
    """Copy a file or a folder.

    Raises
    ------
    FileNotFoundError
        If the package does not hold what it is expected to.
    """
    if source.is_dir():
        for child in source.iterdir():
            _copy(child, target / child.name)
        return
    data = source.read_bytes()
    if source.name.endswith(".js"):
        # The source maps are not copied, so nothing may ask for them.
        data = data.partition(b"\n//# sourceMappingURL=")[0]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
