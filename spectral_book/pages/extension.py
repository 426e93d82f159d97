"""The Sphinx extension that makes the book: runs its chapters and checks the outcome.

Sphinx and myst-nb by themselves skip chapters that did not change, run the others
one after another, and report a failed one as a mere warning. With this extension
every build in the mode `force` executes every chapter, several at a time, before
any page is read; myst-nb gets the executed notebooks and only renders them. A
chapter that fails still gets its page, and the build ends with a nonzero status.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from myst_nb.core.read import is_myst_markdown_notebook
from nbformat import NotebookNode
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.errors import ConfigError, ExtensionError
from sphinx.util import logging

from spectral_book.claims.ledger import (
    ChapterRun,
    Ledger,
    Row,
    claims_of,
    repeated_ids,
    runs_of,
    without_claims,
)
from spectral_book.claims.places import with_code_anchors
from spectral_book.files import remove_all, write_atomic
from spectral_book.pages import assets, bibliography
from spectral_book.pages.chapter_directives import CiteDirective, MinuteDirective
from spectral_book.pages.directives import (
    ChaptersDirective,
    CostsDirective,
    LedgerDirective,
    SurprisesDirective,
    VerdictsDirective,
)
from spectral_book.pages.draft import announcement, drafted_chapter, last_executed
from spectral_book.pages.home import AnswerDirective, FindingsDirective
from spectral_book.pages.ledger_files import LEDGER_FILES, write_ledger
from spectral_book.pages.reading import for_reading
from spectral_book.pages.rule_directives import RULE_DIRECTIVES
from spectral_book.records import (
    differences,
    name_of,
    read_records,
    recorded_claims,
)
from spectral_book.repository import knows_commit
from spectral_book.runner import (
    Budget,
    Execution,
    NotebookJob,
    execute_notebooks,
    resolve_budget,
    stored_failure,
    usable_cores,
)

_logger = logging.getLogger(__name__)

Results = tuple[dict[str, NotebookNode], dict[str, str]]
"""Notebooks to render and messages of those that failed, by document name."""


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension with Sphinx."""
    bibliography.register()
    app.add_config_value("spectral_jobs", 0, "")
    app.add_config_value("spectral_threads", 0, "")
    app.add_directive("chapters", ChaptersDirective)
    app.add_directive("costs", CostsDirective)
    app.add_directive("ledger", LedgerDirective)
    app.add_directive("surprises", SurprisesDirective)
    app.add_directive("verdicts", VerdictsDirective)
    app.add_directive("answer", AnswerDirective)
    app.add_directive("findings", FindingsDirective)
    app.add_directive("minute", MinuteDirective)
    app.add_directive("cite-chapter", CiteDirective)
    for name, directive in RULE_DIRECTIVES.items():
        app.add_directive(name, directive)
    app.add_css_file("chapter.css")
    app.add_css_file("ledger.css")
    app.add_css_file("strip.css")
    app.add_css_file("home.css")
    app.connect("config-inited", assets.use_local_scripts)
    app.connect("builder-inited", assets.copy_scripts)

    build = BookBuild()
    app.connect("config-inited", build.check_settings)
    app.connect("env-get-outdated", build.name_outdated)
    app.connect("env-before-read-docs", build.prepare)
    app.connect("source-read", build.give_source)
    app.connect("build-finished", build.conclude)
    return {"parallel_read_safe": False, "parallel_write_safe": True}


class BookBuild:
    """What one build knows of its chapters, from their execution to its end.

    Attributes
    ----------
    problems
        Messages of what went wrong; any of them makes the build fail.
    notebooks
        The notebooks as the pages show them, by document name.
    ledger
        The claims of the chapters that did not fail.
    draft
        The one chapter that is executed, if this is a draft (`pages.draft`).
    """

    def __init__(self) -> None:
        self.budget = Budget(1, 1)
        self.draft = ""
        self.problems: list[str] = []
        self.notebooks: dict[str, NotebookNode] = {}
        self.ledger = Ledger(())

    def check_settings(self, app: Sphinx, config: Config) -> None:
        """Refuse settings under which a failing chapter could pass unseen.

        Raises
        ------
        ConfigError
            With a message that names the setting.
        """
        mode = config.nb_execution_mode
        if mode not in ("force", "off"):
            raise ConfigError(
                f'execute_notebooks must be "force" or "off", not {mode!r}: the others '
                "do not see that the library has changed"
            )
        if config.nb_execution_allow_errors:
            raise ConfigError(
                "allow_errors would hide a failing chapter; "
                "tag a cell with raises-exception where an error is meant"
            )
        if config.nb_execution_excludepatterns:
            raise ConfigError(
                "execute.exclude_patterns would show results of another time; "
                "leave the chapter out of the table of contents instead"
            )
        try:
            self.budget = resolve_budget(
                config.spectral_jobs,
                config.spectral_threads,
                os.environ,
                usable_cores(),
            )
        except ValueError as error:
            raise ConfigError(str(error)) from error
        self.draft = drafted_chapter(Path(app.outdir), os.environ)
        if self.draft:
            config.html_theme_options["announcement"] = announcement(self.draft)

    def name_outdated(
        self,
        app: Sphinx,
        env: BuildEnvironment,
        added: set[str],
        changed: set[str],
        removed: set[str],
    ) -> list[str]:
        """Return the documents to read again: all, when chapters are executed."""
        return sorted(env.found_docs) if _executes(app) else []

    def prepare(self, app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
        """Get all chapters' results, by execution or from their files."""
        html, build = Path(app.outdir), Path(app.outdir).parent
        remove_all(html / name for name in LEDGER_FILES)
        chapters = _chapters(app, env)
        if not _executes(app):
            notebooks, failed = _read(chapters)
        else:
            remove_all([html / "_images", html / "reports", build / "jupyter_execute"])
            if self.draft:
                notebooks, failed = self._execute_one(app, chapters)
            else:
                remove_all([build / "executed"])
                notebooks, failed = self._execute(app, chapters)
            # From here on the chapters are only to be rendered.
            env.mystnb_config = env.mystnb_config.copy(  # type: ignore[attr-defined]
                execution_mode="off"
            )
        self._keep(notebooks, failed)
        # The directives of the front page have the environment to find these.
        env.spectral_chapters = [c.name for c in chapters]  # type: ignore[attr-defined]
        env.spectral_ledger = self.ledger  # type: ignore[attr-defined]
        env.spectral_records = self._records(  # type: ignore[attr-defined]
            Path(app.srcdir).parent
        )

    def give_source(self, app: Sphinx, docname: str, source: list[str]) -> None:
        """Hand the executed notebook to the parser in place of the file's text.

        Raises
        ------
        ExtensionError
            If a page is a notebook of another format: nothing would execute it.
        """
        if docname in self.notebooks:
            source[0] = nbformat.writes(self.notebooks[docname])
        elif is_myst_markdown_notebook(source[0]):
            raise ExtensionError(
                f"{docname} is a notebook in Markdown; a chapter must be .ipynb"
            )

    def conclude(self, app: Sphinx, exception: Exception | None) -> None:
        """Write the ledger, or report what went wrong and fail the build."""
        complete = not (self.problems or exception or self.draft)
        if complete and app.builder.format == "html":
            try:
                write_ledger(Path(app.outdir), self.ledger, Path(app.srcdir).parent)
            except ValueError as error:
                self.problems.append(f"the ledger cannot be published: {error}")
        if self.problems:
            # The status is set whatever happens to the messages.
            app.statuscode = 1
            with logging.skip_warningiserror():
                for problem in self.problems:
                    _logger.error("%s", problem)

    def _execute_one(self, app: Sphinx, chapters: list[NotebookJob]) -> Results:
        """Execute the chapter of a draft; take the others as last executed.

        Raises
        ------
        ExtensionError
            If the book has no such chapter.
        """
        one = [job for job in chapters if job.name == self.draft]
        if not one:
            raise ExtensionError(f"the book has no chapter {self.draft!r} to draft")
        builds = [Path(app.outdir).parent, Path(app.srcdir) / "_build"]
        others = [last_executed(job, builds) for job in chapters if job not in one]
        (notebooks, failed), (rest, wrong) = self._execute(app, one), _read(others)
        return notebooks | rest, failed | wrong

    def _execute(self, app: Sphinx, chapters: list[NotebookJob]) -> Results:
        """Execute chapters; return their notebooks, and how some failed."""
        budget, build = self.budget, Path(app.outdir).parent
        _logger.info(
            "executing %d chapters, %d at a time, %d thread(s) each",
            len(chapters),
            budget.jobs,
            budget.threads,
        )

        def on_finish(run: Execution) -> None:
            path = build / "executed" / f"{run.name}.ipynb"
            write_atomic(path, nbformat.writes(run.notebook) + "\n")
            word = "done" if run.failure is None else "FAILED"
            _logger.info("  %s: %s, %.1f s", run.name, word, run.seconds)

        runs = execute_notebooks(
            chapters,
            at_once=budget.jobs,
            environment=budget.kernel_environment(os.environ),
            cell_seconds=max(0, app.config.nb_execution_timeout),
            on_finish=on_finish,
        )
        failed = {
            run.name: run.failure.describe(run.name)
            for run in runs
            if run.failure is not None
        }
        return {run.name: run.notebook for run in runs}, failed

    def _records(self, root: Path) -> Mapping[str, Row]:
        """Return the claims of recorded runs; one that cannot be believed is a problem.

        Where nothing tells whether a record's commit is one of the repository's, the
        log says so.
        """
        try:
            records = read_records(root / "results")
        except ValueError as error:
            self.problems.append(str(error))
            return {}
        told = [line for record in records for line in differences(record, root)]
        self.problems += [f"recorded results do not fit: {line}" for line in told]
        for record in records:
            if knows_commit(root, record["made"]["commit"]) is None:
                _logger.info(
                    "%s: cannot tell here whether the repository knows the commit of "
                    "these recorded results",
                    name_of(record),
                )
        return recorded_claims(records)

    def _keep(self, notebooks: dict[str, NotebookNode], failed: dict[str, str]) -> None:
        """Keep the notebooks to render, the problems, and the ledger."""
        self.problems += failed.values()
        claims: list[Row] = []
        runs: list[ChapterRun] = []
        for docname, notebook in notebooks.items():
            shown = without_claims(with_code_anchors(notebook))
            self.notebooks[docname] = for_reading(shown)
            if docname in failed:
                continue
            try:
                claims += claims_of(docname, notebook)
                runs += runs_of(docname, notebook)
            except ValueError as error:
                self.problems.append(str(error))
        self.problems += repeated_ids(claims)
        self.ledger = Ledger(tuple(claims), tuple(failed), tuple(runs))


def _read(chapters: list[NotebookJob]) -> Results:
    """Return chapters with the results that their files hold, and how some failed."""
    notebooks = {job.name: nbformat.read(job.path, as_version=4) for job in chapters}
    failures = {name: stored_failure(nb) for name, nb in notebooks.items()}
    return notebooks, {n: f.describe(n) for n, f in failures.items() if f is not None}


def _executes(app: Sphinx) -> bool:
    """Return whether this build executes the chapters."""
    return app.config.nb_execution_mode == "force"


def _chapters(app: Sphinx, env: BuildEnvironment) -> list[NotebookJob]:
    """Return the book's notebooks in the order of its table of contents."""
    order = {name: place for place, name in enumerate(_toc(app))}
    # Pages outside of the table of contents come last, by name.
    docnames = sorted(sorted(env.found_docs), key=lambda n: order.get(n, len(order)))
    paths = [(name, Path(env.doc2path(name))) for name in docnames]
    return [NotebookJob(name, path) for name, path in paths if path.suffix == ".ipynb"]


def _toc(app: Sphinx) -> list[str]:
    """Return the documents of the table of contents, depth first."""
    site = app.config.external_site_map

    def below(docname: str) -> list[str]:
        children = site[docname].child_files() if docname in site else []
        return [docname, *(name for child in children for name in below(str(child)))]

    documents = below(site.root.docname)
    return [name.removesuffix(".ipynb").removesuffix(".md") for name in documents]
