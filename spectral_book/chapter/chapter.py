"""A running chapter: its parameters, claims, figures and where they come from."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import torch
from IPython.display import HTML, Image, Markdown, display
from ipywidgets import ValueWidget, Widget
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from spectral_book.chapter import try_it as live
from spectral_book.chapter.cells import Cell, running_cell, runs_again
from spectral_book.chapter.differences import Difference, differences, meanings
from spectral_book.chapter.drawn import numbers
from spectral_book.chapter.figures import picture, use_house_style
from spectral_book.chapter.parameters import (
    MACHINE,
    ChapterParameters,
    defaults,
    defaults_in,
)
from spectral_book.chapter.player import (
    Answers,
    Player,
    first_sentence,
    plain_words,
)
from spectral_book.chapter.provenance import Provenance, provenance
from spectral_book.claims import tables
from spectral_book.claims.claims_file import (
    Claim,
    ClaimsFile,
    MinuteLine,
    Profile,
    load_claims,
)
from spectral_book.claims.ledger import MIME_TYPE
from spectral_book.claims.numbers import Row
from spectral_book.claims.places import CLAIMS, FIGURE, JUDGED, mark
from spectral_book.claims.recorded import recorded_marks
from spectral_book.claims.rounding import read_expected, read_spreads
from spectral_book.claims.rows import (
    Inputs,
    judged_row,
    row_without_numbers,
    with_holm,
)
from spectral_book.claims.sentences import fill_sentence
from spectral_book.claims.strip import strips
from spectral_book.claims.verdicts import Verdict
from spectral_book.claims.words import has_held
from spectral_book.repository import committed
from spectral_book.yaml_files import read_yaml
from spectral_lib.training.devices import prepare
from spectral_lib.training.loop import Run

Drawing = partial[str]
"""What makes HTML of rows."""


@dataclass
class Chapter:
    """What a chapter notebook keeps at hand; see :func:`open_chapter`."""

    claims: ClaimsFile
    profile: Profile
    device: torch.device
    provenance: Provenance
    parameters: Mapping[str, Any] = field(default_factory=dict)
    differences: Sequence[Difference] = ()
    rounding: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    recorded: Mapping[str, Row] = field(default_factory=dict)
    expected: Mapping[str, float] = field(default_factory=dict)
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    judged: dict[str, Cell | None] = field(default_factory=dict)
    waiting: list[str] = field(default_factory=list)
    shown: dict[str, Cell | None] = field(default_factory=dict)
    drawings: dict[str, tuple[list[str], Drawing]] = field(default_factory=dict)
    curve: dict[str, Any] | None = None
    figures: list[Cell | None] = field(default_factory=list)
    panels: dict[str, live.Panel] = field(default_factory=dict)

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
        numbers of the claim's precondition, one a seed.

        Raises
        ------
        KeyError
            If the chapter's claims file has no such claim.
        ValueError
            If another cell has judged the claim (one that runs again judges it anew),
            or its precondition was forgotten.
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
        bars are alike share an axis.

        Raises
        ------
        ValueError
            If a claim was not judged, or was shown before.
        """
        first = not any(drawn.func is strips for _, drawn in self.drawings.values())
        drawing = partial(strips, recorded=self.recorded, legend=first)
        self._show_rows(claim_ids, drawing)

    def folded(self, title: str = "More claims") -> None:
        """Show all claims that were judged and not yet shown, as one folded table."""
        drawing = partial(tables.folded, title, recorded=self.recorded)
        self._show_rows((), drawing)

    def _show_rows(self, ids: Sequence[str], drawing: Drawing) -> None:
        """Show rows, each once, marked for those who look for a claim's place.

        A cell that runs again shows what it has shown.
        """
        cell = running_cell()
        again = [n for n, at in self.shown.items() if runs_again(at, cell)]
        names = list(ids) or [*again, *(n for n in self.waiting if n not in again)]
        for name in names:
            if name not in self.waiting and name not in again:
                known = ", ".join(self.waiting) or "none"
                raise ValueError(
                    f"Claim {name!r} was not judged, or is shown already; to be shown "
                    f"are: {known}."
                )
        self.waiting = [name for name in self.waiting if name not in names]
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

    def show(
        self,
        figure: Figure | Player | Answers | Widget,
        caption: str,
        runs: Iterable[Run] = (),
        seeds: Sequence[int] | None = None,
    ) -> None:
        """Show a figure or player, numbered, and where it comes from; close it.

        A figure is drawn here and not by the notebook, which would pass over an error.

        The number stands before the caption, which can be linked to as ``figure-3``. A
        cell that runs again keeps its numbers.
        The line below it names ``seeds``: if not given those of the runs, and the
        chapter's where no run tells them.
        """
        runs = list(runs)
        number = self._number_figure()
        drawn: Sequence[Any] = ()
        if isinstance(figure, Figure):
            drawn = numbers(figure)
            display(Image(picture(figure)))
        elif isinstance(figure, Player | Answers):
            drawn = figure.drawn
            display(HTML(figure.html(first_sentence(caption))))
        else:
            display(figure)
        seconds = sum(run.seconds for run in runs)
        named = _seeds(runs) if seeds is None else seeds
        line = self.provenance.line(seconds or None, named)
        data = {
            **{"chapter": self.claims.chapter, "figure": number, "run": line},
            **{"caption": plain_words(caption), "drawn": drawn},
        }
        command = escape(self.provenance.command)
        display(
            HTML(
                f'<p class="caption" id="figure-{number}">'
                f"<b>Figure {number}.</b> {caption}</p>"
                f'<details class="provenance"><summary>{escape(line)}</summary>'
                f"<code>{command}</code></details>"
            ),
            metadata=mark(FIGURE, number, data=data if drawn else None),
        )

    def try_it(
        self,
        run: live.Experiment,
        steps: Mapping[str, Sequence[Any]] | None = None,
        **controls: ValueWidget,
    ) -> None:
        """Show a small experiment that runs again as its controls change.

        ``run(**values)`` yields figures, the last one to stay; between two of them it
        can be stopped. Its docstring is their caption, after "Try it."; the line below
        names no seeds, as the experiment chooses its own. ``controls`` are widgets by
        the names of its arguments. Where nobody can move them, the last figure is
        shown. Shown again, as when its cell is run again, it takes its former place.

        Raises
        ------
        ValueError
            If it has no docstring, yields nothing or takes other arguments.
        """
        caption = f"<b>Try it.</b> {live.check(run, controls)}"
        if live.is_live():
            former = self.panels.pop(run.__name__, None)
            if former is not None:
                former.close()
            panel = self.panels[run.__name__] = live.Panel(run, controls)
            self.show(panel.box, caption, seeds=())
            return
        still: Figure | Answers
        if steps and self._is_page():
            still = live.answers(run, controls, steps)
            answered = [choice.name for choice in still.choices]
        else:
            still, answered = live.last_figure(run, controls), []
        name = self.provenance.chapter
        display(Markdown(live.invitation(name, controls, answered)))
        self.show(still, caption, seeds=())

    def _is_page(self) -> bool:
        """Return whether the book is built; points of a sweep are its changed runs."""
        changed = self.provenance.profile != self.profile
        return bool(os.environ.get("SPECTRAL_BUILD")) and not changed

    def say(self, text: str, **numbers: Any) -> None:
        """Show Markdown, its braces filled with claims by id and ``numbers`` by name.

        ``{claim-id}`` becomes "0.31 (inconclusive)"; `spectral_book.claims.sentences`
        names what else a brace may ask for. A brace that is meant is written twice.

        Raises
        ------
        ValueError
            If a brace names neither a judged claim nor a number, or a number is unused.
        """
        display(Markdown(fill_sentence(text, self.rows, numbers)))

    def remark(self, condition: object, text: str, **numbers: Any) -> None:
        """Say a text only where a condition holds; it is checked in any case."""
        filled = fill_sentence(text, self.rows, numbers)
        if condition:
            display(Markdown(filled))

    def leaves(self, **numbers: Any) -> None:
        """Show what the chapter leaves: the takeaways of its claims file, as a list.

        Their braces name claims by id, and ``numbers`` by name; see `say`.
        """
        text = "\n".join(f"- {leaf}" for leaf in self.claims.leaves)
        self.say(text, **numbers)

    def panel(self, x: ArrayLike, missing: ArrayLike, label: str) -> None:
        """Hand the front page a curve: what is missing [K] at each frequency x [K].

        ``label`` names the frequency. The claims file has the title. Where a number is
        not there, as in a run too short to learn anything, there is no curve.

        Raises
        ------
        ValueError
            If there are not as many numbers as frequencies.
        """
        places, heights = (np.asarray(v, float).tolist() for v in (x, missing))
        if len(places) != len(heights):
            raise ValueError("a panel needs as many numbers as frequencies.")
        if np.isfinite(heights).all():
            self.curve = {"x": places, "missing": heights, "label": label}

    def tabulate(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Show a table of short texts."""
        display(HTML(tables.plain_html(head, rows)))

    def table(self) -> None:
        """Print all claims, rounded so that other machines print the same.

        Raises
        ------
        ValueError
            If the claims file holds a claim that the chapter never judged.
        """
        print(tables.text(self._ordered(), self.expected))

    def publish(self) -> None:
        """Put the claims, with every seed's value, into the notebook's output.

        Only now, with all rows judged, is it known which fail Holm's correction; the
        strips that show one of them are drawn again in their places.
        """
        rows = with_holm(self._ordered())
        if self.waiting:
            raise ValueError(
                f"Claims judged and never shown: {', '.join(self.waiting)}. Show them "
                "by chapter.strips() or chapter.folded()."
            )
        final = {row["id"]: row for row in rows}
        for name, (names, _) in self.drawings.items():
            if any(final[one]["holm"] is False for one in names):
                self._draw(name, final, update=True)
        run = {
            "chapter": self.claims.chapter,
            **self._run(),
            "parameters": self.parameters,
            "differences": [one.to_dict() for one in self.differences],
            "minute": [self._minute(line) for line in self.claims.minute],
            "panel": self._titled_panel(),
        }
        display(
            {
                MIME_TYPE: {"run": run, "claims": rows},
                "text/html": tables.html(rows, self.recorded) + self._differs(),
                "text/plain": "",
            },
            raw=True,
        )

    def _differs(self) -> str:
        """Return the table of what differs from the paper's settings; else nothing."""
        if not self.differences:
            return ""
        head = ("Parameter", "Here", "Profile paper", "What it is")
        rows = [(d.name, d.here, d.paper, d.meaning) for d in self.differences]
        return (
            "<details class='folded'><summary>What differs from the profile paper: "
            f"{len(rows)} parameters</summary>{tables.plain_html(head, rows)}</details>"
        )

    def _minute(self, line: MinuteLine) -> dict[str, str]:
        """Return a line of the page's head, with the numbers of this run."""
        return {
            "says": line.says,
            "measured": fill_sentence(line.measured, self.rows, {}),
            "claim": line.claim,
            "verdict": self.rows[line.claim]["verdict"],
        }

    def _titled_panel(self) -> dict[str, Any] | None:
        """Return the curve for the front page with its title in this run."""
        said = self.claims.panel
        if said is None or self.curve is None:
            return None
        title = said.held if has_held(self.rows[said.claim]) else said.otherwise
        return {"title": title, "about": said.about, **self.curve}

    def _run(self) -> dict[str, str]:
        """What every row says of the run that it belongs to."""
        return {"profile": self.provenance.profile, "device": self.provenance.device}

    def _enter(self, row: dict[str, Any]) -> None:
        """Keep a claim's row; pages link from the claim to the cell that judged it."""
        self.rows[row["id"]] = row
        if row["id"] not in self.waiting:
            self.waiting.append(row["id"])
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

    def _number_figure(self) -> int:
        """Take the number of a figure that this cell has shown before, or a new one."""
        cell = running_cell()
        places = enumerate(self.figures)
        free = len(self.figures)
        place = next((n for n, former in places if runs_again(former, cell)), free)
        self.figures[place : place + 1] = [cell]
        return place + 1

    def _ordered(self) -> list[dict[str, Any]]:
        missing = [c.id for c in self.claims.claims if c.id not in self.rows]
        if missing:
            raise ValueError(f"Claims never judged: {', '.join(missing)}.")
        return [self.rows[c.id] for c in self.claims.claims]


def _seeds(runs: Sequence[Run]) -> list[int] | None:
    """All seeds of some runs, rising; None if one of them no longer knows its own."""
    ensembles = [run.ensemble for run in runs]
    if not ensembles or any(ensemble is None for ensemble in ensembles):
        return None
    return sorted({seed for ensemble in ensembles for seed in ensemble.seeds})


def _profile(name: str, profile: str) -> dict[str, Any]:
    """What a profile's file changes, if the notebook runs in its repository."""
    path = Path("..") / "params" / profile / f"{name}.yaml"
    return read_yaml(path) or {} if path.is_file() else {}


def _claims(name: str) -> Path:
    """A chapter's claims file, beside the notebook and so in the working folder."""
    path = Path("claims") / f"{name}.yaml"
    if not path.is_file():
        near = [str(found.parents[1]) for found in Path().glob(f"*/{path}")]
        folder = (*near, "FOLDER")[0]
        raise ValueError(
            f"There is no claims file {path}. The notebook works in {Path.cwd()}; "
            f"where that is not its own folder, run papermill with --cwd {folder}."
        )
    return path


def open_chapter(name: str, parameters: ChapterParameters) -> Chapter:
    """Prepare device, threads, dtype, figure style and claims for a chapter's notebook.

    The claims are read from ``claims/<name>.yaml`` beside the notebook, and the
    defaults, with which the parameters are compared, from the notebook's file, as it is
    committed where it is.
    """
    claims = load_claims(_claims(name))
    device = prepare(parameters.device)
    torch.set_default_dtype(torch.float32)  # a user's startup file may say otherwise
    use_house_style()
    file = Path(f"{name}.ipynb")
    usual = defaults(file) if file.is_file() else {}
    changed = {
        key: value
        for key, value in parameters.model_dump().items()
        if key not in usual or usual[key] != value
    }
    # A changed run must not be mistaken for its profile, whoever changed what: a sweep,
    # or a reader in the notebook's file.
    kept = committed(file)
    expected = defaults_in(kept) if kept else usual
    expected = expected | _profile(name, parameters.profile)
    altered = [
        key
        for key, value in parameters.model_dump().items()
        if key not in MACHINE and (key not in expected or expected[key] != value)
    ]
    label = f"{parameters.profile}, changed" if altered else parameters.profile
    came_from = provenance(name, label, parameters.seeds, device, changed)
    print(came_from.line())
    here = parameters.model_dump(mode="json")
    paper = _profile(name, "paper")
    differ = differences(here, usual | paper, meanings(file)) if paper else []
    results = Path("..") / "results"
    rounding = {} if altered else read_spreads(results, label)
    recorded: Mapping[str, Row] = {}
    if label == "quick":
        recorded = recorded_marks(results, name, claims.claims)
    return Chapter(
        *(claims, parameters.profile, device, came_from, here, differ, rounding),
        *(recorded, {} if altered else read_expected(results, label)),
    )
