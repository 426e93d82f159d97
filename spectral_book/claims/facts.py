"""What a claim's row says besides its verdict, a short HTML text a fact."""

import re
from html import escape

from spectral_book.claims.numbers import (
    Row,
    interval,
    needed_from,
    number,
    p_value,
    required,
)
from spectral_book.claims.printed import agreement
from spectral_book.claims.verdicts import (
    ACROSS_EDGE,
    CONTROL_BETTER,
    CONTROL_TOO,
    EITHER_WAY,
    FEW_CONTROLS,
    LIKE_CONTROL,
    PERHAPS_ENOUGH,
    SOME_ENTRIES,
)

_NUMBERED = re.compile(r"(Abstract|Appendix|Equation|Figure|Section|Table)s?\b")
"""How a place in a paper begins; the pages number their own figures and equations."""

_APART = {"numbers": "less the control", "logarithms": "divided by the control's"}
"""How a difference from the control is told, by the scale it is taken on."""

_LOST = re.compile(r"\d+ of \d+ seeds( of the control)? gave no number")
"""How a reason counts seeds without a number."""

_OPEN = {
    CONTROL_BETTER: "its control shows more",
    CONTROL_TOO: "its control shows it, too",
    LIKE_CONTROL: "like its control",
    PERHAPS_ENOUGH: "the effect may be too small",
    SOME_ENTRIES: "some entries miss the bar",
    EITHER_WAY: "too uncertain to tell",
    ACROSS_EDGE: "perhaps outside the band",
    FEW_CONTROLS: "its control gave too few numbers",
    "are needed": "too few numbers",
}
"""What keeps a claim open, by a part of its reason; the first that does."""


def facts(row: Row, recorded: Row | None = None) -> list[str]:
    """How a claim was measured and why its verdict is what it is."""
    found = [escape(row["otherwise"])] if row["otherwise"] else []
    found.append(escape(f"{row['why']}{share_reached(row)}"))
    if elsewhere(row):
        found.append(
            "Rounding: two processors tell that on another one the interval may lie "
            f"anywhere from {elsewhere(row)}."
        )
    found.append(f"{escape(row['quantity'])}: {interval(row)} ({escape(_how(row))})")
    control = row["control"]
    beside = [interval(control), control_found(row), apart(row)]
    found.append(
        f"Control, {escape(control['name'])}: {escape(', '.join(filter(None, beside)))}"
    )
    if row["printed"]:
        found.append(f"The paper: {escape(agreement(row))}")
    if recorded is not None:
        said = f"Recorded run ({recorded['recorded']}), not made by this build: "
        said += recorded["verdict"]
        found.append(f"{escape(said)}, {interval(recorded)}. {escape(recorded['why'])}")
    if row["late"]:
        found.append(f"The {escape(row['late'])} was set after a run had been seen.")
    if row["differs"]:
        found.append(f"Differs from the paper: {escape(row['differs'])}")
    if row["holm"] is False:
        found.append("Fails Holm's correction for the chapter's claims.")
    found.append(escape(f"{row['profile']}, {row['device']}"))
    return found


def marks(row: Row) -> list[str]:
    """What a verdict's word does not tell and has to stand beside it, in few words."""
    reason = row["why"] if row["rule"] == "inconclusive" else ""
    lost = [found[0] for found in _LOST.finditer(reason)]
    found = [*(words for why, words in _OPEN.items() if why in reason), *lost][:1]
    if row["rule"] == "not comparable" and row["precondition"]:
        held = row["precondition"]
        measured = number(held["measured"])
        found.append(f"precondition not met: {measured}, needed {required(held)}")
    if row["rule"] == "weaker than claimed" and row["interval"] == "range":
        found.append("no entry meets the bar")
    if elsewhere(row):
        found.append(f"another processor could give {elsewhere(row)}")
    elif row["rounding_decides"]:
        found.append("rounding on another processor could change it")
    return [*found, *filter(None, [chance(row)])]


def chance(row: Row) -> str:
    """That luck may have made a verdict, by Holm's correction; empty if not."""
    if row["holm"] is not False:
        return ""
    return f"may be chance ({p_value(row['p_bar'])}, fails Holm)"


def place(row: Row) -> str:
    """Where a paper says it, or that this book found it."""
    if row["origin"] == "book":
        return f"a finding of this book; {row['source']}"
    paper = "the paper's " if _NUMBERED.match(row["source"]) else ""
    return f"{paper}{row['source']}"


def sample(row: Row) -> str:
    """How many seeds gave a number: `n = 5`, or `n = 3 of 5`."""
    missing = row["missing"]
    of = f" of {row['n'] + missing}" if missing else ""
    return f"n\u00a0=\u00a0{row['n']}{of}"


def control_found(row: Row) -> str:
    """Whether a claim's control shows what the claim says; empty if it was not run."""
    return str(row["control"]["shows"]) if row["control"]["n"] else ""


def apart(row: Row) -> str:
    """How far a measurement lies from its control, with the interval."""
    difference = row["difference"]
    if difference is None or difference["ci_low"] is None:
        return ""
    scale = row["scale"]["name"]
    how = _APART.get(scale, f"less the control, as {scale}")
    return f"{how}: {interval(difference)}"


def elsewhere(row: Row) -> str:
    """Where an interval may end on another processor; empty if that decides nothing."""
    ends = row.get("elsewhere")  # older records have none
    return f"{number(ends[0])} to {number(ends[1])}" if ends else ""


def share_reached(row: Row) -> str:
    """How much of the effect that was asked for was there, where it was too weak.

    Nothing for a table's entries: how far each is off is no part of an effect.
    """
    weaker = row["rule"] == "weaker than claimed" and row["share"] is not None
    if not weaker or row["interval"] == "range":
        return ""
    return f" It reaches {number(row['share'], '.0%')} of the effect asked for."


def _how(row: Row) -> str:
    p = "" if row["p_bar"] is None else f"{p_value(row['p_bar'])} against the bar"
    parts = (row["ci_method"], sample(row), f"needed {needed_from(row)}", p)
    return "; ".join(filter(None, parts))
