"""A running chapter: its parameters, what it says, and what it publishes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from IPython.display import HTML, Markdown, display
from numpy.typing import ArrayLike

from spectral_book.chapter.differences import differences, meanings
from spectral_book.chapter.figures import use_house_style
from spectral_book.chapter.judging import Judging
from spectral_book.chapter.parameters import (
    MACHINE,
    ChapterParameters,
    literals,
    parameters_cell,
)
from spectral_book.chapter.provenance import Provenance
from spectral_book.chapter.showing import Showing
from spectral_book.claims import tables
from spectral_book.claims.claims_file import MinuteLine, load_claims
from spectral_book.claims.ledger import MIME_TYPE
from spectral_book.claims.recorded import recorded_marks
from spectral_book.claims.rounding import read_expected, read_reaches, read_spreads
from spectral_book.claims.sentences import fill_sentence
from spectral_book.claims.words import count_line, has_held
from spectral_book.repository import committed
from spectral_book.yaml_files import read_yaml
from spectral_lib.training.devices import device_name, prepare


@dataclass(kw_only=True)
class Chapter(Judging, Showing):
    """What a chapter notebook keeps at hand; see :func:`open_chapter`."""

    device: torch.device
    parameters: Mapping[str, Any] = field(default_factory=dict)
    differences: Sequence[Mapping[str, str]] = ()
    curve: dict[str, Any] | None = None

    def say(self, text: str, **numbers: Any) -> None:
        """Show Markdown, its braces filled with claims by id and ``numbers`` by name.

        ``{claim-id}`` becomes "0.31 (inconclusive)"; `spectral_book.claims.sentences`
        names what else a brace may ask for. A brace that is meant is written twice.
        ValueError if a brace names neither a judged claim nor a number, or a number is
        unused.
        """
        display(Markdown(fill_sentence(text, self.rows, numbers)))

    def remark(self, condition: object, text: str, **numbers: Any) -> None:
        """Say a text only where a condition holds; it is checked in any case."""
        filled = fill_sentence(text, self.rows, numbers)
        if condition:
            display(Markdown(filled))

    def leaves(self, **numbers: Any) -> None:
        """Show the takeaways of the claims file as a list, filled as by `say`."""
        text = "\n".join(f"- {leaf}" for leaf in self.claims.leaves)
        self.say(text, **numbers)

    def tabulate(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Show a table of short texts."""
        display(HTML(tables.plain_html(head, rows)))

    def panel(self, x: ArrayLike, missing: ArrayLike, label: str) -> None:
        """Hand the front page a curve: what is missing [K] at each frequency x [K].

        ``label`` names the frequency. The claims file has the title. Where a number is
        not there, as in a run too short to learn anything, there is no curve.
        ValueError if there are not as many numbers as frequencies.
        """
        places, heights = (np.asarray(v, float).tolist() for v in (x, missing))
        if len(places) != len(heights):
            raise ValueError("a panel needs as many numbers as frequencies.")
        if np.isfinite(heights).all():
            self.curve = {"x": places, "missing": heights, "label": label}

    def publish(self) -> None:
        """Put the claims, with every seed's value, into the notebook's output."""
        rows = self.final_rows()
        table = tables.html(rows, self.recorded)
        run = {
            "chapter": self.claims.chapter,
            **self._run(),
            "parameters": self.parameters,
            "differences": self.differences,
            "minute": [self._minute(line) for line in self.claims.minute],
            "panel": self._titled_panel(),
        }
        display(
            {
                MIME_TYPE: {"run": run, "claims": rows},
                "text/html": f"<details class='folded'><summary>{count_line(rows)}"
                f"</summary>{table}</details>{self._differs()}",
                "text/plain": "",
            },
            raw=True,
        )

    def _differs(self) -> str:
        """Return the table of what differs from the paper's settings; else nothing."""
        if not self.differences:
            return ""
        head = ("Parameter", "Here", "Profile paper", "What it is")
        rows = [list(one.values()) for one in self.differences]
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
    file, values = Path(f"{name}.ipynb"), parameters.model_dump()
    cell = parameters_cell(file.read_text("utf-8")) if file.is_file() else ""
    usual = literals(cell)
    # A changed run must not be mistaken for its profile, whoever changed what: a sweep,
    # or a reader in the notebook's file.
    kept = committed(file)
    expected = literals(parameters_cell(kept)) if kept else usual
    expected = expected | _profile(name, parameters.profile)
    altered = set(_unlike(values, expected)) - set(MACHINE)
    label = f"{parameters.profile}, changed" if altered else parameters.profile
    changed = _unlike(values, usual)
    came_from = Provenance(name, label, parameters.seeds, device_name(device), changed)
    print(came_from.line())
    here = parameters.model_dump(mode="json")
    paper = _profile(name, "paper")
    results = Path("..") / "results"
    quick = label == "quick"
    return Chapter(
        claims=claims,
        profile=parameters.profile,
        device=device,
        provenance=came_from,
        parameters=here,
        differences=differences(here, usual | paper, meanings(cell)) if paper else (),
        # What was measured for a profile says nothing of a changed run.
        rounding={} if altered else read_spreads(results, label),
        reaches={} if altered else read_reaches(results, label),
        expected={} if altered else read_expected(results, label),
        recorded=recorded_marks(results, name, claims.claims) if quick else {},
    )


def _unlike(values: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    """The values that differ from the usual ones, or have none."""
    return {k: v for k, v in values.items() if k not in usual or usual[k] != v}


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
