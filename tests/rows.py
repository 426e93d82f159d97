"""Full rows of the ledger, as chapters publish them, judged from small numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

from spectral_book.claims.claims_file import Claim, ClaimsFile
from spectral_book.claims.rows import judged_row, row_without_numbers, with_holm

CLAIM = {
    "source": "Fig. 3",
    "statement": r"The slope is $\lambda_1$ on *every* seed",
    "statistic": "value",
    "quantity": "median slope",
    "direction": "greater",
    "no_effect": 0.0,
    "threshold": 0.5,
    "control": "shuffled",
}
FILE = {"chapter": "alpha", "paper": "Euler 1748", "frozen": "2026-01-01"}
RUN = {"profile": "quick", "device": "cpu", "seconds": 1.5}
VALUES = {
    "replicated": [0.6, 0.62, 0.61, 0.6, 0.62],
    "weaker than claimed": [0.2, 0.22, 0.21, 0.2, 0.22],
    "not replicated": [0.01, -0.02, 0.0, 0.02, -0.01],
    "inconclusive": [0.1, 1.0, 0.2, 0.9, 0.4],
}
"""Numbers that come to a verdict by the bar of `CLAIM`."""

CONTROL = [0.01, -0.01, 0.0, 0.02, -0.02]


def row(name: str, verdict: str = "replicated", **changes: Any) -> dict[str, Any]:
    """Return the row of a claim whose numbers come to a verdict.

    ``changes`` go by their names: fields of a claim and its file, what tells of its
    run, ``values``, ``controls``, ``rounding`` and ``precondition`` (in numbers, with
    ``condition`` for what the claims file says of it), and ``why`` of a claim without
    numbers. For a finding of this book ``verdict`` names the rule's.
    """
    usual = "values" not in changes
    values = changes.pop("values", VALUES.get(verdict))
    controls = changes.pop("controls", CONTROL)
    beside = (changes.pop("precondition", None), changes.pop("rounding", None))
    why = changes.pop("why", "Not run at this size.")
    said: dict[str, Any] = {"id": name, **CLAIM}
    said["precondition"] = changes.pop("condition", None)
    file, run = dict(FILE), dict(RUN)
    for key, value in changes.items():
        place = next((p for p in (file, run) if key in p), said)
        place[key] = value
    claim = Claim.model_validate(said)
    whole = ClaimsFile.model_validate(file | {"claims": [said]})
    if values is None:
        return row_without_numbers(claim, whole, verdict, why, **run)  # type: ignore[arg-type]
    made = judged_row(claim, whole, {"x": values}, {"x": controls}, *beside, **run)
    if usual:
        assert made["rule"] == verdict, made["why"]
    return with_holm([made])[0]


def run_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what a chapter publishes of the run of its rows."""
    first = rows[0] if rows else {**FILE, **RUN}
    said = {key: first[key] for key in ("chapter", "profile", "device")}
    empty = {"differences": [], "minute": [], "panel": None}
    return {**said, "parameters": {"profile": first["profile"]}, **empty}


def published(*rows: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a chapter publishes: its run and its rows."""
    return {"run": run_of(rows), "claims": list(rows)}
