"""Labels of the bibliography: authors and year, as the pages cite."""

from collections.abc import Iterator, Sequence

from pybtex.database import Entry
from pybtex.plugin import register_plugin
from pybtex.style.formatting.unsrt import Style
from pybtex.style.labels import BaseLabelStyle

STYLE = "authors_and_year"
"""The name for the setting ``bibtex_default_style``."""


class AuthorsAndYear(BaseLabelStyle):
    """Labels such as "Gustafsson and McBain, 2020" or "Molina et al., 2024"."""

    def format_labels(self, entries: Sequence[Entry]) -> Iterator[str]:
        """Give the label of each entry."""
        for entry in entries:
            names = [
                " ".join([*author.prelast_names, *author.last_names])
                for author in entry.persons["author"]
            ]
            if len(names) > 2:
                names = [f"{names[0]} et al."]
            yield f"{' and '.join(names)}, {entry.fields['year']}"


class Sorted(Style):
    """Pybtex's plain style, sorted by authors, with these labels."""

    default_sorting_style = "author_year_title"
    default_label_style = AuthorsAndYear


def register() -> None:
    """Let Sphinx find the style."""
    register_plugin("pybtex.style.formatting", STYLE, Sorted)
