"""The Sphinx extension that makes the book: runs its chapters and checks the outcome.

Sphinx and myst-nb by themselves skip chapters that did not change, run the others
one after another, and report a failed one as a mere warning. With this extension
every build in the mode `force` executes every chapter, several at a time, before
any page is read; myst-nb gets the executed notebooks and only renders them. A
chapter that fails still gets its page, and the build ends with a nonzero status.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
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

from spectral_book.budget import Budget
from spectral_book.claims.ledger import (
    Ledger,
    Row,
    claims_of,
    repeated_ids,
    runs_of,
    without_claims,
)
from spectral_book.claims.places import with_code_anchors
from spectral_book.claims.recorded import name_of, read_records, recorded_claims
from spectral_book.files import remove_all
from spectral_book.pages import assets, bibliography, site
from spectral_book.pages.checks import Warnings, left_out, unlike_claims_file
from spectral_book.pages.directives import CostsDirective, claims_directive
from spectral_book.pages.docstrings import keep_together
from spectral_book.pages.execution import (
    CodeWatch,
    Results,
    chapters_of,
    execute_chapters,
    read_chapters,
)
from spectral_book.pages.figure_data import with_data_links, write_figure_data
from spectral_book.pages.home import FRONT_PAGE
from spectral_book.pages.ledger_files import LEDGER_FILES, write_ledger
from spectral_book.pages.reading import CHAPTER_PAGE, for_reading
from spectral_book.pages.recorded_figures import (
    copy_recorded_figures,
    with_recorded_figures,
)
from spectral_book.pages.rule_directives import RULE, claim_example
from spectral_book.pages.settings import checked_budget, drafted_chapter, lock_folder
from spectral_book.records import differences
from spectral_book.repository import knows_commit
from spectral_book.runner import NotebookJob

_logger = logging.getLogger(__name__)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension with Sphinx."""
    bibliography.register()
    for name, fill in {**FRONT_PAGE, **CHAPTER_PAGE, **RULE}.items():
        app.add_directive(name, claims_directive(fill))
    app.add_directive("claim-example", claims_directive(claim_example, arguments=1))
    app.add_directive("costs", CostsDirective)
    app.add_css_file("chapter.css")
    app.add_css_file("ledger.css")
    app.add_css_file("strip.css")
    app.add_css_file("home.css")
    app.connect("config-inited", site.place)
    app.connect("config-inited", assets.use_local_scripts)
    app.connect("builder-inited", assets.copy_scripts)

    app.connect("html-page-context", site.describe)
    app.connect("html-collect-pages", site.missing_page)
    app.connect("build-finished", site.write_sitemap)

    # After napoleon, which makes fields of the sections.
    app.connect("autodoc-process-docstring", keep_together, priority=600)

    build = BookBuild()
    app.connect("config-inited", build.begin)
    app.connect("env-get-outdated", build.name_outdated)
    app.connect("env-before-read-docs", build.prepare)
    app.connect("source-read", build.give_source)
    app.connect("build-finished", build.conclude)
    return {"parallel_read_safe": False, "parallel_write_safe": True}


class BookBuild:
    """What one build knows of its chapters, from their execution to its end.

    Any of ``problems``, messages of what went wrong, makes the build fail. The
    ``notebooks`` are as pages show them, by document name; the ``ledger`` is that of
    the chapters that did not fail. Of a ``draft`` one chapter alone is executed.
    """

    def __init__(self) -> None:
        self.budget = Budget(1, 1)
        self.watch = CodeWatch()
        self.draft = ""
        self.problems: list[str] = []
        self.notebooks: dict[str, NotebookNode] = {}
        self.ledger = Ledger(())

    def begin(self, app: Sphinx, config: Config) -> None:
        """Check the settings, take the folder for this build, and keep its warnings.

        Raises
        ------
        SystemExit
            With a sentence, if the book cannot be built so. An error would come with
            a page of Sphinx's and Jupyter Book's own code.
        """
        try:
            self.budget = checked_budget(config, os.environ)
            self.draft = drafted_chapter(Path(app.outdir), os.environ)
            self.lock = lock_folder(Path(app.outdir).parent)
        except ConfigError as error:
            sys.exit(f"error: {error}")
        if self.draft:
            config.html_theme_options["announcement"] = (
                f"<strong>Draft.</strong> Only <em>{self.draft}</em> was executed for "
                "these pages; other chapters are shown as they were last executed "
                "here, if they were."
            )
        self.warnings = Warnings(Path(app.srcdir))

    def name_outdated(
        self,
        app: Sphinx,
        env: BuildEnvironment,
        added: set[str],
        changed: set[str],
        removed: set[str],
    ) -> list[str]:
        """Return the documents to read again: all, as results are on many pages."""
        return sorted(env.found_docs)

    def prepare(self, app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
        """Get all chapters' results, by execution or from their files."""
        html, build = Path(app.outdir), Path(app.outdir).parent
        remove_all(html / name for name in LEDGER_FILES)
        chapters = chapters_of(app, env)
        notebooks, failed = self._results(app, chapters)
        # All pages are written anew; those of an earlier build would stay.
        remove_all(html / name for name in ("_images", "_sources", "reports"))
        remove_all([build / "jupyter_execute", *_pages(html)])
        # From here on the chapters are only to be rendered.
        env.mystnb_config = env.mystnb_config.copy(  # type: ignore[attr-defined]
            execution_mode="off"
        )
        root = Path(app.srcdir).parent
        recorded = self._records(root)
        self._keep(notebooks, failed, recorded, root / "results")
        if app.builder.format == "html":
            write_figure_data(html, notebooks)
            copy_recorded_figures(html, root / "results")
        self._compare(Path(app.srcdir), chapters)
        # The directives of the front page have the environment to find these.
        env.spectral_chapters = [c.name for c in chapters]  # type: ignore[attr-defined]
        env.spectral_ledger = self.ledger  # type: ignore[attr-defined]
        env.spectral_records = recorded  # type: ignore[attr-defined]

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
        self.watch.look("the last page")
        self.problems += self.watch.problems()
        self.problems += self.warnings.messages(self.notebooks)
        complete = not (self.problems or exception or self.draft)
        if complete and app.builder.format == "html":
            write_ledger(Path(app.outdir), self.ledger, Path(app.srcdir).parent)
        if self.problems:
            # The status is set whatever happens to the messages.
            app.statuscode = 1
            with logging.skip_warningiserror():
                for problem in self.problems:
                    _logger.error("%s", problem)

    def _results(self, app: Sphinx, chapters: list[NotebookJob]) -> Results:
        """Execute chapters, of a draft one alone; take the others as last executed.

        Raises
        ------
        ExtensionError
            If the book has no such chapter.
        """
        if app.config.nb_execution_mode != "force":
            return read_chapters(chapters)
        build, others = Path(app.outdir).parent, list[NotebookJob]()
        if self.draft:
            builds = [build, Path(app.srcdir) / "_build"]
            others = [
                _last_executed(job, builds)
                for job in chapters
                if job.name != self.draft
            ]
            chapters = [job for job in chapters if job.name == self.draft]
            if not chapters:
                raise ExtensionError(f"the book has no chapter {self.draft!r} to draft")
        else:
            remove_all([build / "executed"])
        seconds = max(0, app.config.nb_execution_timeout)
        root = Path(app.srcdir).parent
        notebooks, failed = execute_chapters(
            chapters, self.budget, seconds, build, self.watch, root
        )
        rest, wrong = read_chapters(others)
        return notebooks | rest, failed | wrong

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

    def _keep(
        self,
        notebooks: dict[str, NotebookNode],
        failed: dict[str, str],
        recorded: Mapping[str, Row],
        results: Path,
    ) -> None:
        """Keep the notebooks to render, the problems, and the ledger."""
        self.problems += failed.values()
        claims: list[Row] = []
        runs: list[Mapping[str, Any]] = []
        unread: list[str] = []
        for docname, notebook in notebooks.items():
            shown = with_recorded_figures(docname, notebook, recorded, results)
            shown = for_reading(without_claims(with_code_anchors(shown)))
            self.notebooks[docname] = with_data_links(docname, shown)
            if docname in failed:
                continue
            try:
                claims += claims_of(docname, notebook)
                runs += runs_of(docname, notebook)
            except ValueError as error:
                self.problems.append(str(error))
                unread.append(docname)
        self.problems += repeated_ids(claims)
        self.ledger = Ledger(tuple(claims), (*failed, *unread), tuple(runs))

    def _compare(self, source: Path, chapters: list[NotebookJob]) -> None:
        """Find what is published unlike the claims files, and what is left out.

        A chapter that failed has said so. Of a draft only the one chapter is new.
        """
        for chapter in chapters:
            name = chapter.name
            if name in self.ledger.failed or self.draft not in ("", name):
                continue
            if not self.notebooks[name].cells:
                self.problems.append(f"chapter {name} has no cells")
            self.problems += unlike_claims_file(chapter, self.ledger.rows_of(name))
        if not self.draft:
            self.problems += left_out(source, chapters)


def _last_executed(job: NotebookJob, builds: list[Path]) -> NotebookJob:
    """Return a chapter as the newest of some builds has executed it.

    Where none has, it stays as it is, without results.
    """
    files = [build / "executed" / f"{job.name}.ipynb" for build in builds]
    there = [file for file in files if file.is_file()]
    if not there:
        return job
    return replace(job, path=max(there, key=lambda file: file.stat().st_mtime))


def _pages(html: Path) -> list[Path]:
    """Return the pages of an earlier build; folders named by "_" hold none."""
    paths = [path.relative_to(html) for path in html.rglob("*.html")]
    return [html / path for path in paths if not path.parts[0].startswith("_")]
