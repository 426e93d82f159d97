"""Claims of a running chapter: judged, each shown once, and handed to the page."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from IPython.display import HTML, display
from numpy.typing import ArrayLike

from spectral_book.chapter.cells import Cell, running_cell, runs_again
from spectral_book.chapter.provenance import Provenance
from spectral_book.claims import tables
from spectral_book.claims.claims_file import Claim, ClaimsFile
from spectral_book.claims.numbers import Row
from spectral_book.claims.places import CLAIMS, JUDGED, mark
from spectral_book.claims.rows import Inputs, judged_row, row_without_numbers, with_holm
from spectral_book.claims.strip import strips
from spectral_book.claims.verdicts import Verdict
from spectral_lib.training.loop import Run

Drawing = partial[str]
"""What makes HTML of rows."""


@dataclass(kw_only=True)
class Judging:
    """The claims of a chapter and their rows.

    ``judged`` and ``shown`` hold the cells that judged and showed a claim; ``drawings``
    the claims that were shown together, and how.
    """

    claims: ClaimsFile
    provenance: Provenance
    rounding: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    reaches: Mapping[str, float] = field(default_factory=dict)
    recorded: Mapping[str, Row] = field(default_factory=dict)
    expected: Mapping[str, float] = field(default_factory=dict)
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    judged: dict[str, Cell | None] = field(default_factory=dict)
    shown: dict[str, Cell | None] = field(default_factory=dict)
    drawings: dict[str, tuple[list[str], Drawing]] = field(default_factory=dict)

    def judge(
        self,
        claim_id: str,
        *,
        control: Inputs,
        runs: Iterable[Run] = (),
        precondition: ArrayLike | None = None,
        **inputs: Any,
    ) -> None:
        """Judge a claim from its statistic's inputs; `strips` or `folded` show it.

        ``control`` holds the same inputs measured on the negative control; ``runs`` are
        the runs the numbers come from, for the time they took; ``precondition`` the
        numbers of the claim's precondition, one a seed. KeyError for an unknown claim;
        ValueError if another cell has judged it, or its precondition was forgotten.
        """
        claim = self._claim(claim_id)
        seconds = round(sum(run.seconds for run in runs), 1)
        row = judged_row(
            claim,
            self.claims,
            inputs,
            control,
            precondition,
            self.rounding.get(claim_id),
            self.reaches.get(claim_id),
            seconds=seconds,
            **self._run(),
        )
        self._enter(row)

    def not_comparable(self, claim_id: str, why: str) -> None:
        """Record that this run's parameters do not include a claim's experiment."""
        self._enter_without_numbers(claim_id, "not comparable", why)

    def inconclusive(self, claim_id: str, why: str) -> None:
        """Record that a claim's experiment ran and gave nothing to judge it by."""
        self._enter_without_numbers(claim_id, "inconclusive", why)

    def strips(self, *claim_ids: str) -> None:
        """Show claims as strips, below the figure that they belong to.

        Without ids it shows all that were judged and not yet shown. Neighbours whose
        bars are alike share an axis. ValueError if a claim was not judged, or was shown
        before.
        """
        first = not any(drawn.func is strips for _, drawn in self.drawings.values())
        drawing = partial(strips, recorded=self.recorded, legend=first)
        self._show_rows(claim_ids, drawing)

    def folded(self, title: str = "More claims") -> None:
        """Show all claims that were judged and not yet shown, as one folded table."""
        drawing = partial(tables.folded, title, recorded=self.recorded)
        self._show_rows((), drawing)

    def table(self) -> None:
        """Print all claims, rounded so that other machines print the same.

        ValueError if one was never judged.
        """
        print(tables.text(self._ordered(), self.expected))

    def final_rows(self) -> list[dict[str, Any]]:
        """Return all rows as they are published; strips are drawn again where needed.

        Only now, with all rows judged, is it known which fail Holm's correction.
        ValueError if a claim was never judged or shown.
        """
        rows = with_holm(self._ordered())
        if waiting := self._waiting():
            raise ValueError(
                f"Claims judged and never shown: {', '.join(waiting)}. Show them by "
                "chapter.strips() or chapter.folded()."
            )
        final = {row["id"]: row for row in rows}
        for name, (names, _) in self.drawings.items():
            if any(final[one]["holm"] is False for one in names):
                self._draw(name, final, update=True)
        return rows

    def _waiting(self) -> list[str]:
        """The claims that are judged and not yet shown."""
        return [name for name in self.rows if name not in self.shown]

    def _show_rows(self, ids: Sequence[str], drawing: Drawing) -> None:
        """Show rows, each once; a cell that runs again shows what it has shown."""
        cell = running_cell()
        for name in [n for n, at in self.shown.items() if runs_again(at, cell)]:
            del self.shown[name]
        waiting = self._waiting()
        names = list(ids) or waiting
        for name in names:
            if name not in waiting:
                known = ", ".join(waiting) or "none"
                raise ValueError(
                    f"Claim {name!r} was not judged, or is shown already; to be shown "
                    f"are: {known}."
                )
        self.shown |= dict.fromkeys(names, cell)
        if names:
            self.drawings[f"claims-{names[0]}"] = names, drawing
            self._draw(f"claims-{names[0]}", self.rows)

    def _draw(self, name: str, rows: Mapping[str, Row], update: bool = False) -> None:
        """Display a drawing of rows under its name, or put it in the former's place."""
        names, drawing = self.drawings[name]
        html = HTML(drawing([rows[one] for one in names]))
        marked = mark(CLAIMS, names)
        display(html, metadata=marked, display_id=name, update=update)

    def _run(self) -> dict[str, str]:
        """What every row says of the run that it belongs to."""
        return {"profile": self.provenance.profile, "device": self.provenance.device}

    def _enter(self, row: dict[str, Any]) -> None:
        """Keep a claim's row; pages link from the claim to the cell that judged it."""
        self.rows[row["id"]] = row
        self.shown.pop(row["id"], None)  # its cell runs again
        nothing = {"text/html": "", "text/plain": ""}  # text alone would draw a box
        display(nothing, metadata=mark(JUDGED, row["id"]), raw=True)

    def _enter_without_numbers(self, claim_id: str, verdict: Verdict, why: str) -> None:
        claim = self._claim(claim_id)
        run = {"seconds": 0.0, **self._run()}
        self._enter(row_without_numbers(claim, self.claims, verdict, why, **run))

    def _claim(self, claim_id: str) -> Claim:
        cell = running_cell()
        if claim_id in self.rows and not runs_again(self.judged[claim_id], cell):
            raise ValueError(f"Claim {claim_id!r} was judged before.")
        self.judged[claim_id] = cell
        known = {claim.id: claim for claim in self.claims.claims}
        if claim_id not in known:
            raise KeyError(f"No claim {claim_id!r} in the chapter's claims file.")
        return known[claim_id]

    def _ordered(self) -> list[dict[str, Any]]:
        missing = [c.id for c in self.claims.claims if c.id not in self.rows]
        if missing:
            raise ValueError(f"Claims never judged: {', '.join(missing)}.")
        return [self.rows[c.id] for c in self.claims.claims]
