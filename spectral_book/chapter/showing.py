"""Figures and experiments of a running chapter, numbered, and where they come from."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from IPython.display import HTML, Image, Markdown, display
from ipywidgets import ValueWidget, Widget
from matplotlib.figure import Figure

from spectral_book.chapter import try_it as live
from spectral_book.chapter.cells import Cell, running_cell, runs_again
from spectral_book.chapter.drawn import numbers
from spectral_book.chapter.figures import picture
from spectral_book.chapter.player import Player, first_sentence, plain_words
from spectral_book.chapter.provenance import Provenance
from spectral_book.claims.claims_file import Profile
from spectral_book.claims.places import FIGURE, mark
from spectral_lib.training.loop import Run


@dataclass(kw_only=True)
class Showing:
    """What a chapter has shown: the cells of its figures, and its live experiments."""

    profile: Profile
    provenance: Provenance
    figures: list[Cell | None] = field(default_factory=list)
    panels: dict[str, live.Panel] = field(default_factory=dict)

    def show(
        self,
        figure: Figure | Player | Widget,
        caption: str,
        runs: Iterable[Run] = (),
        seeds: Sequence[int] | None = None,
    ) -> None:
        """Show a figure or player, numbered, and where it comes from; close it.

        A figure is drawn here and not by the notebook, which would pass over an error.
        Its number can be linked to as ``figure-3``; a cell that runs again keeps it.
        The line below it names ``seeds``: if not given those of the runs, and the
        chapter's where no run tells them.
        """
        runs = list(runs)
        number = self._number_figure()
        drawn: Sequence[Any] = ()
        if isinstance(figure, Figure):
            drawn = numbers(figure)
            display(Image(picture(figure)))
        elif isinstance(figure, Player):
            drawn = figure.drawn
            display(HTML(figure.html(first_sentence(caption))))
        else:
            display(figure)
        seconds = sum(run.seconds for run in runs)
        named = _seeds(runs) if seeds is None else seeds
        line = self.provenance.line(seconds or None, named)
        data = {
            **{"chapter": self.provenance.chapter, "figure": number, "run": line},
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
        can be stopped. Its docstring is their caption; ``controls`` are widgets by the
        names of its arguments. Where nobody can move them, the last figure is shown,
        and on a page one for each combination of ``steps``, values of some controls.
        """
        caption = f"<b>Try it.</b> {live.caption_of(run)}"
        if running_cell() is not None:  # a reader is there to move a control
            former = self.panels.pop(run.__name__, None)
            if former is not None:  # its cell is run again
                former.close()
            panel = self.panels[run.__name__] = live.Panel(run, controls)
            self.show(panel.box, caption, seeds=())
            return
        still: Figure | Player
        if steps and self._is_page():
            still = live.answers(run, controls, steps)
            answered = [choice.name for choice in still.choices]
        else:
            still, answered = live.last_figure(run, live.values_of(controls)), []
        name = self.provenance.chapter
        display(Markdown(live.invitation(name, controls, answered)))
        self.show(still, caption, seeds=())

    def _is_page(self) -> bool:
        """Return whether the book is built; points of a sweep are its changed runs."""
        changed = self.provenance.profile != self.profile
        return bool(os.environ.get("SPECTRAL_BUILD")) and not changed

    def _number_figure(self) -> int:
        """Take the number of a figure that this cell has shown before, or a new one."""
        cell = running_cell()
        places = enumerate(self.figures)
        free = len(self.figures)
        place = next((n for n, former in places if runs_again(former, cell)), free)
        self.figures[place : place + 1] = [cell]
        return place + 1


def _seeds(runs: Sequence[Run]) -> list[int] | None:
    """All seeds of some runs, rising; None if one of them no longer knows its own."""
    ensembles = [run.ensemble for run in runs]
    if not ensembles or any(ensemble is None for ensemble in ensembles):
        return None
    return sorted({seed for ensemble in ensembles for seed in ensemble.seeds})
