"""What readers are told of a verdict: the word, its sign, the sentence of a count.

A claim of a paper is replicated or not. A finding of this book holds or not: nobody
claimed it before, so there is nothing to replicate.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal, get_args

from spectral_book.claims.numbers import Row
from spectral_book.claims.verdicts import Verdict

Origin = Literal["paper", "book"]

CLAIM_WORDS: tuple[str, ...] = get_args(Verdict)
"""Verdicts of a paper's claim, the best first."""

_FINDINGS: Mapping[Verdict, str] = {
    "replicated": "holds",
    "weaker than claimed": "does not hold",
    "not replicated": "does not hold",
    "inconclusive": "open",
    "not comparable": "not comparable",
}

_PLURAL = {"holds": "hold", "does not hold": "do not hold"}

FINDING_WORDS = tuple(dict.fromkeys(_FINDINGS.values()))
"""Verdicts of a finding of this book, the best first."""

SIGNS = {
    "replicated": "✓",
    "weaker than claimed": "↗",
    "not replicated": "✗",
    "inconclusive": "?",
    "not comparable": "∅",
    "holds": "●",
    "does not hold": "×",
    "open": "○",
}
"""A sign for each word, to tell them apart without colour."""


def word(verdict: Verdict, origin: Origin) -> str:
    """The word for a verdict of a claim or a finding."""
    return _FINDINGS[verdict] if origin == "book" else verdict


def has_held(row: Row) -> bool:
    """Whether a row is replicated, or holds."""
    return row["verdict"] in ("replicated", "holds")


def count_line(rows: Iterable[Row]) -> str:
    """Return `2 claims of papers: 1 replicated, 1 inconclusive; 1 finding: 1 holds`."""
    rows = list(rows)
    claims = [row for row in rows if row["origin"] == "paper"]
    findings = [row for row in rows if row["origin"] == "book"]
    several = len({row["chapter"] for row in claims}) > 1
    whose = "of the papers" if several else "of the paper"
    parts = []
    if claims:
        noun = "claim" if len(claims) == 1 else "claims"
        parts.append(f"{len(claims)} {noun} {whose}: {_counted(claims, CLAIM_WORDS)}")
    if findings:
        noun = "finding" if len(findings) == 1 else "findings"
        counted = _counted(findings, FINDING_WORDS)
        parts.append(f"{len(findings)} {noun} of this book: {counted}")
    return "; ".join(parts) or "0 claims"


def _counted(rows: Iterable[Row], words: Iterable[str]) -> str:
    counts = Counter(row["verdict"] for row in rows)
    told = [(counts[name], name) for name in words if counts[name]]
    return ", ".join(
        f"{n} {_PLURAL.get(name, name) if n > 1 else name}" for n, name in told
    )
