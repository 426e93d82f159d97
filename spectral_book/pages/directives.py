"""Directives for what the pages show of claims and costs."""

from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from typing import Any, ClassVar

from docutils.parsers.rst import directives
from markupsafe import Markup
from sphinx.errors import ExtensionError

from spectral_book.claims.ledger import Ledger
from spectral_book.claims.numbers import Row
from spectral_book.pages.costs import COLUMNS, command, filled, in_short, read_costs
from spectral_book.pages.templates import TemplateDirective


class ClaimsDirective(TemplateDirective):
    """What shows the claims of the book on a page; see :func:`claims_directive`."""

    def context(self) -> dict[str, Any]:
        """Return what all templates of claims name."""
        return {"ledger": self.ledger, "records": self.records, "uri": self.uri}

    @property
    def ledger(self) -> Ledger:
        """The claims of this build."""
        return self.env.spectral_ledger  # type: ignore[attr-defined]

    @property
    def records(self) -> Mapping[str, Row]:
        """The rows of recorded runs, by their claims' ids."""
        return self.env.spectral_records  # type: ignore[attr-defined]

    def address(self, docname: str) -> str:
        """Return the address of another page as seen from this one."""
        return self.env.app.builder.get_relative_uri(self.env.docname, docname)

    def uri(self, claim: Row, anchor: str) -> Markup:
        """Return the address of an anchor on the page that holds a claim."""
        return Markup(escape(f"{self.address(claim['page'])}#{anchor}"))


Fill = Callable[[ClaimsDirective], dict[str, Any]]
"""What a directive's template names, from the claims that the directive sees."""


def claims_directive(fill: Fill, arguments: int = 0) -> type[ClaimsDirective]:
    """Return a directive whose template is filled by a function."""

    class Filled(ClaimsDirective):
        required_arguments = arguments

        def context(self) -> dict[str, Any]:
            return {**super().context(), **fill(self)}

    return Filled


class CostsDirective(TemplateDirective):
    """Show the measurements of a device, all groups or those named in `:groups:`.

    With `:short:` only what they answer, a line a question.
    """

    required_arguments = 1
    option_spec: ClassVar = {
        "groups": directives.unchanged_required,
        "short": directives.flag,
    }

    def context(self) -> dict[str, Any]:
        """Return the groups that were measured, and how to measure the others.

        Raises
        ------
        ExtensionError
            If the file of measurements cannot be read.
        """
        device = self.arguments[0]
        path = Path(self.env.srcdir).parent / "results" / "costs" / f"{device}.json"
        try:
            groups = read_costs(path).groups
        except ValueError as error:
            raise ExtensionError(str(error)) from error
        wanted = self.options.get("groups", "").split() or list(groups)
        missing = [name for name in wanted if name not in groups]
        what = f"{', '.join(missing)}: not" if missing else "Nothing has been"
        return {
            "groups": [groups[name] for name in wanted if name in groups],
            "short": in_short(groups) if "short" in self.options else None,
            "missing": what if missing or not wanted else "",
            "device": device,
            "command": command(device, missing),
            "filled": filled,
            "COLUMNS": COLUMNS,
        }
