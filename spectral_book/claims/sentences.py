"""What was seen instead: a claim's sentence for readers, with this run's numbers."""

from collections.abc import Mapping
from string import Formatter
from typing import Any

from spectral_book.claims.tables import number

FIELDS = (
    "estimate",
    "low",
    "high",
    "n",
    "threshold",
    "band_low",
    "band_high",
    "control",
    "control_low",
    "control_high",
)
"""What a sentence may name in braces; ``{low:%}`` writes a number as a percentage."""


class Shown:
    """A number as the book writes it, alone or as a percentage."""

    def __init__(self, value: float | None) -> None:
        self.value = value

    def __format__(self, form: str) -> str:
        if form == "%" and self.value is not None:
            return f"{number(100.0 * self.value)} %"
        return number(self.value)


def check_sentence(template: str) -> None:
    """Check that a sentence names known fields alone.

    Raises
    ------
    ValueError
        If it names another field, formats one otherwise, or has unmatched braces.
    """
    for _, name, form, conversion in Formatter().parse(template):
        if name is None:
            continue
        if name not in FIELDS:
            raise ValueError(
                f"the sentence names {{{name}}}; known are {', '.join(FIELDS)}."
            )
        if form not in ("", "%") or conversion:
            raise ValueError(
                f"the sentence formats {{{name}}} by {form or conversion!r}; only "
                f"{{{name}}} and {{{name}:%}} are known."
            )


def fill(
    template: str,
    row: Mapping[str, Any],
    threshold: float | None = None,
    band: tuple[float, float] | None = None,
) -> str:
    """Fill a sentence with the numbers of a ledger row, in the book's own format.

    ``threshold`` and ``band`` are the claim's: the row holds them as text. The result
    is empty where the sentence names a number that the run did not give.
    """
    control = row["control"]
    edges = band or (None, None)
    values = {
        "estimate": row["estimate"],
        "low": row["ci_low"],
        "high": row["ci_high"],
        "n": row["n"],
        "threshold": threshold,
        "band_low": edges[0],
        "band_high": edges[1],
        "control": control["estimate"],
        "control_low": control["ci_low"],
        "control_high": control["ci_high"],
    }
    named = {name for _, name, _, _ in Formatter().parse(template) if name}
    if any(values[name] is None for name in named):
        return ""
    return template.format(**{name: Shown(value) for name, value in values.items()})
