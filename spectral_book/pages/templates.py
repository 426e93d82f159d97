"""Templates of the pages' parts: Markdown with HTML around it, filled and parsed.

A value that a template names is shown as it is: what Markdown or HTML would read as
markup is written as an entity. The filter `markdown` is for texts that hold Markdown.
"""

import re
from typing import Any

from docutils import nodes
from jinja2 import Environment, PackageLoader
from markupsafe import Markup
from sphinx.util.docutils import SphinxDirective

from spectral_book.claims.facts import (
    apart,
    chance,
    control_found,
    elsewhere,
    sample,
    share_reached,
)
from spectral_book.claims.numbers import (
    interval,
    needed,
    needed_from,
    number,
    p_value,
)
from spectral_book.claims.printed import agreement
from spectral_book.claims.tables import beside, chip
from spectral_book.claims.words import SIGNS, count_line
from spectral_book.readable import without_html

_MARKUP = re.compile(r"[\\`*_{}\[\]<>&\"$]")


def literal(value: object) -> Markup:
    """Return a value as text without any markup, unless it is marked as markup."""
    if isinstance(value, Markup):
        return value
    text = str(value).replace("'", "’")  # as Sphinx writes it
    return Markup(_MARKUP.sub(lambda sign: f"&#{ord(sign[0])};", text))


def markdown(text: str) -> Markup:
    """Return a Markdown text of one paragraph, on one line, without HTML in it."""
    return Markup(without_html(" ".join(text.split())))


def plain(text: str) -> str:
    """Return a Markdown text without its marks of mathematics, emphasis and code."""
    return re.sub(r"[$*`\\]", "", text)


_environment = Environment(
    loader=PackageLoader("spectral_book.pages"),
    autoescape=True,
    finalize=literal,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters |= {"markdown": markdown, "plain": plain}
_environment.globals.update(
    agreement=agreement,
    apart=apart,
    beside=beside,
    chance=chance,
    chip=chip,
    control_found=control_found,
    count_line=count_line,
    elsewhere=elsewhere,
    interval=interval,
    needed=needed,
    needed_from=needed_from,
    number=number,
    p_value=p_value,
    sample=sample,
    share_reached=share_reached,
    SIGNS=SIGNS,
)


class TemplateDirective(SphinxDirective):
    """A directive that shows the template of its name, filled with what it knows."""

    def run(self) -> list[nodes.Node]:
        """Return what the filled template parses to."""
        template = _environment.get_template(f"{self.name.replace('-', '_')}.md")
        return self.parse_text_to_nodes(template.render(self.context()))

    def context(self) -> dict[str, Any]:
        """Return what the template names besides the globals above."""
        return {}
