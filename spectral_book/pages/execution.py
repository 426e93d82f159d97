"""The chapters of a book: which there are, in what order they run, what came out."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

from spectral_book.budget import Budget
from spectral_book.failures import Failure, stored_failure
from spectral_book.files import write_atomic
from spectral_book.pages.costs import read_costs
from spectral_book.progress import Progress
from spectral_book.repository import chapter_code
from spectral_book.runner import Execution, NotebookJob, execute_notebooks

_logger = logging.getLogger(__name__)

Results = tuple[dict[str, NotebookNode], dict[str, str]]
"""Notebooks to render and messages of those that failed, by document name."""

_SLOW = (
    "\n(what other programs take from a cell does not count; the limit is timeout, "
    "under execute in _config.yml)"
)


@dataclass
class CodeWatch:
    """Whether all chapters of a build have run with the same code.

    Attributes
    ----------
    begun
        The hash of the code when the build began.
    edited
        The chapter after which another was first seen; None if none was.
    """

    begun: str = field(default_factory=chapter_code)
    edited: str | None = None

    def look(self, after: str) -> None:
        """Look at the code again, after a chapter or at the end."""
        if self.edited is None and chapter_code() != self.begun:
            self.edited = after

    def problems(self) -> list[str]:
        """Return a message if the code was edited."""
        if self.edited is None:
            return []
        return [
            f"the library was edited while the book was built, as seen after "
            f"{self.edited}: its chapters may have run with different code; build again"
        ]


def chapters_of(app: Sphinx, env: BuildEnvironment) -> list[NotebookJob]:
    """Return the book's notebooks in the order of its table of contents."""
    order = {name: place for place, name in enumerate(_toc(app))}
    # Pages outside of the table of contents come last, by name.
    docnames = sorted(sorted(env.found_docs), key=lambda n: order.get(n, len(order)))
    paths = [(name, Path(env.doc2path(name))) for name in docnames]
    return [NotebookJob(name, path) for name, path in paths if path.suffix == ".ipynb"]


def read_chapters(chapters: Iterable[NotebookJob]) -> Results:
    """Return chapters with the results that their files hold, and how some failed."""
    notebooks = {job.name: nbformat.read(job.path, as_version=4) for job in chapters}
    failures = {name: stored_failure(nb) for name, nb in notebooks.items()}
    return notebooks, {n: f.describe(n) for n, f in failures.items() if f is not None}


def execute_chapters(
    chapters: list[NotebookJob],
    budget: Budget,
    cell_seconds: float,
    build: Path,
    watch: CodeWatch,
    root: Path,
) -> Results:
    """Execute chapters; return their notebooks, and how some failed.

    They are kept in the folder `executed` of `build`, and how long they took beside it.
    The first build in a clone knows that from the results in the repository at `root`.
    """
    _logger.info(
        "executing %d chapters, %d at a time, %d thread(s) each",
        len(chapters),
        budget.jobs,
        budget.threads,
    )
    progress, seconds = Progress(), last_seconds(build)

    def on_finish(run: Execution) -> None:
        watch.look(run.name)
        path = build / "executed" / f"{run.name}.ipynb"
        write_atomic(path, nbformat.writes(run.notebook) + "\n")
        if run.failure is None:
            seconds[run.name] = round(run.seconds, 1)
            write_atomic(build / "seconds.json", json.dumps(seconds) + "\n")
        word = "done" if run.failure is None else "FAILED"
        with progress.end(run.name):
            _logger.info("  %s: %s, %.1f s", run.name, word, run.seconds)

    runs = execute_notebooks(
        longest_first(chapters, measured_seconds(root) | seconds),
        at_once=budget.jobs,
        environment=budget.kernel_environment(os.environ),
        cell_seconds=cell_seconds,
        on_cell=progress.show,
        on_finish=on_finish,
    )
    ended = {run.name: run for run in runs}
    failures = {job.name: ended[job.name].failure for job in chapters}
    return (
        {job.name: ended[job.name].notebook for job in chapters},
        {n: _described(n, f) for n, f in failures.items() if f is not None},
    )


def longest_first(
    chapters: Iterable[NotebookJob], seconds: Mapping[str, float]
) -> list[NotebookJob]:
    """Return chapters by how long they took before, so that none ends late.

    One that is new may take any time; it comes first.
    """
    return sorted(chapters, key=lambda job: -seconds.get(job.name, float("inf")))


def last_seconds(build: Path) -> dict[str, float]:
    """Return how long the chapters took when they were last executed in a folder."""
    path = build / "seconds.json"
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def measured_seconds(root: Path) -> dict[str, float]:
    """Return how long chapters took where the costs in a repository were measured."""
    try:
        groups = read_costs(root / "results" / "costs" / "cpu.json").groups
    except (OSError, ValueError):  # the page of costs says what is wrong
        return {}
    rows = groups["book"].rows if "book" in groups else []
    return {row.quantity: row.ours for row in rows}


def _described(name: str, failure: Failure) -> str:
    """Return a failure in words; one of time with what can be done about it."""
    advice = _SLOW if failure.error.startswith("CellTimeoutError") else ""
    return failure.describe(name) + advice


def _toc(app: Sphinx) -> list[str]:
    """Return the documents of the table of contents, depth first."""
    site = app.config.external_site_map

    def below(docname: str) -> list[str]:
        children = site[docname].child_files() if docname in site else []
        return [docname, *(name for child in children for name in below(str(child)))]

    documents = below(site.root.docname)
    return [name.removesuffix(".ipynb").removesuffix(".md") for name in documents]
