"""A running chapter: its parameters, claims, figures and where they come from."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import torch
from IPython.display import HTML, Image, Markdown, display
from ipywidgets import ValueWidget, Widget
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from spectral_book.chapter import try_it as live
from spectral_book.chapter.cells import Cell, running_cell, runs_again
from spectral_book.chapter.figures import picture, use_house_style
from spectral_book.chapter.parameters import (
    MACHINE,
    ChapterParameters,
    defaults,
    defaults_in,
)
from spectral_book.chapter.player import Player, first_sentence
from spectral_book.chapter.provenance import Provenance, provenance
from spectral_book.claims import tables
from spectral_book.claims.claims_file import (
    Claim,
    ClaimsFile,
    Profile,
    entry,
    load_claims,
)
from spectral_book.claims.ledger import MIME_TYPE
from spectral_book.claims.places import CLAIM, FIGURE, mark
from spectral_book.claims.sentences import fill_sentence
from spectral_book.claims.verdicts import Verdict, estimate, judge
from spectral_book.repository import committed
from spectral_book.yaml_files import read_yaml
from spectral_lib.training.devices import prepare
from spectral_lib.training.loop import Run

Inputs = Mapping[str, ArrayLike]


@dataclass
class Chapter:
    """What a chapter notebook keeps at hand; see :func:`open_chapter`."""

    claims: ClaimsFile
    profile: Profile
    device: torch.device
    provenance: Provenance
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    judged: dict[str, Cell | None] = field(default_factory=dict)
    figures: list[Cell | None] = field(default_factory=list)
    panels: dict[str, live.Panel] = field(default_factory=dict)

    def judge(
        self, claim_id: str, *, control: Inputs, runs: Iterable[Run] = (), **inputs: Any
    ) -> None:
        """Judge a claim from its statistic's inputs and show its row.

        ``control`` holds the same inputs measured on the negative control; ``runs`` are
        the runs the numbers come from, for the time they took.

        Raises
        ------
        KeyError
            If the chapter's claims file has no such claim.
        ValueError
            If another cell has judged the claim; one that runs again judges it anew.
        """
        claim = self._claim(claim_id)
        measured = estimate(claim, inputs)
        compared = estimate(claim, control)
        verdict, control_verdict, why = judge(claim, measured, compared)
        self._enter(
            claim,
            **measured.model_dump(),
            control={
                "name": claim.control,
                **compared.model_dump(include={"estimate", "ci_low", "ci_high"}),
                "verdict": control_verdict,
                "values": compared.values,
            },
            verdict=verdict,
            why=why,
            seconds=round(sum(run.seconds for run in runs), 1),
        )

    def not_comparable(self, claim_id: str, why: str) -> None:
        """Record that this run's parameters do not include a claim's experiment."""
        self._enter_without_numbers(claim_id, "not comparable", why)

    def inconclusive(self, claim_id: str, why: str) -> None:
        """Record that a claim's experiment ran and gave nothing to judge it by."""
        self._enter_without_numbers(claim_id, "inconclusive", why)

    def show(
        self,
        figure: Figure | Player | Widget,
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
        if isinstance(figure, Figure):
            display(Image(picture(figure)))
        elif isinstance(figure, Player):
            display(HTML(figure.html(first_sentence(caption))))
        else:
            display(figure)
        seconds = sum(run.seconds for run in runs)
        named = _seeds(runs) if seeds is None else seeds
        line = escape(self.provenance.line(seconds or None, named))
        command = escape(self.provenance.command)
        display(
            HTML(
                f'<p class="caption" id="figure-{number}">'
                f"<b>Figure {number}.</b> {caption}</p>"
                f'<details class="provenance"><summary>{line}</summary>'
                f"<code>{command}</code></details>"
            ),
            metadata=mark(FIGURE, number),
        )

    def try_it(self, run: live.Experiment, **controls: ValueWidget) -> None:
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
        display(Markdown(live.invitation(self.provenance.chapter, controls)))
        self.show(live.last_figure(run, controls), caption, seeds=())

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
        print(tables.text(self._ordered()))

    def publish(self) -> None:
        """Put the claims, with every seed's value, into the notebook's output."""
        rows = self._ordered()
        display(
            {MIME_TYPE: rows, "text/html": tables.html(rows), "text/plain": ""},
            raw=True,
        )

    def _enter(self, claim: Claim, **measured: Any) -> None:
        """Keep a claim's row, with the run it belongs to, and show it."""
        self.rows[claim.id] = entry(
            claim,
            self.claims,
            **measured,
            differs=claim.differs.get(self.profile, ""),
            profile=self.provenance.profile,
            device=self.provenance.device,
        )
        display(
            HTML(tables.row_html(self.rows[claim.id])),
            metadata=mark(CLAIM, claim.id),
        )

    def _enter_without_numbers(self, claim_id: str, verdict: Verdict, why: str) -> None:
        claim = self._claim(claim_id)
        empty = {"estimate": None, "ci_low": None, "ci_high": None}
        self._enter(
            claim,
            **empty,
            ci_method="",
            p_value=None,
            n=0,
            values=(),
            control={"name": claim.control, **empty, "verdict": verdict},
            verdict=verdict,
            why=why,
            seconds=0.0,
        )

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
    return Chapter(claims, parameters.profile, device, came_from)
