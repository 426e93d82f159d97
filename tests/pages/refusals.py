"""What is refused before a kernel starts, or found without one, and what is said.

The rows go on where those of `broken_book` end: what stops a build at its beginning
cannot be in a book with other troubles, and what needs no build is called directly.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

from minibook import claim
from rows import run_of

from spectral_book.pages.checks import left_out, unlike_claims_file
from spectral_book.pages.extension import BookBuild
from spectral_book.pages.settings import checked_budget, drafted_chapter, lock_folder
from spectral_book.records import differences
from spectral_book.runner import NotebookJob

NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Refusal:
    """What is done in an empty folder, and what is said, by an error or in a list."""

    name: str
    done: Callable[[Path], object]
    says: str


class Settings(SimpleNamespace):
    """Settings as Sphinx has them."""

    def __contains__(self, name: str) -> bool:
        return hasattr(self, name)


def settings(environ: Mapping[str, str] = NONE, **changed: Any) -> Callable:
    """Check settings as a build does that begins; None takes one away."""
    usual = {
        "nb_execution_mode": "force",
        "nb_execution_allow_errors": False,
        "nb_execution_excludepatterns": [],
        "master_doc": "alpha",
        "external_toc_path": "_toc.yml",
    }
    known = {k: v for k, v in (usual | changed).items() if v is not None}
    return lambda folder: checked_budget(Settings(**known), environ)


def drafting(folder: Path) -> object:
    """Draft a chapter into the folder of the book."""
    return drafted_chapter(folder / "html", {"SPECTRAL_DRAFT": "alpha"})


def drafting_another(folder: Path) -> object:
    """Draft a chapter that the book has not."""
    config = SimpleNamespace(nb_execution_mode="force")
    app = SimpleNamespace(config=config, outdir=folder / "html", srcdir=folder)
    build = BookBuild()
    build.draft = "gamma"
    return build._results(app, [NotebookJob("alpha", folder / "alpha.ipynb")])  # type: ignore[arg-type]


def in_markdown(folder: Path) -> None:
    """Read a page that myst-nb would take for a notebook."""
    text = ["---\nfile_format: mystnb\n---\n# Page\n"]
    BookBuild().give_source(SimpleNamespace(), "page", text)  # type: ignore[arg-type]


def locked(folder: Path) -> None:
    """Build in a folder where a build is going on."""
    with lock_folder(folder):
        lock_folder(folder)


def comparing(text: str | None, *ids: str) -> Callable:
    """Compare published claims with the text of a claims file, None for no file."""

    def done(folder: Path) -> list[str]:
        if text is not None:
            (folder / "claims").mkdir()
            (folder / "claims" / "alpha.yaml").write_text(text)
        chapter = NotebookJob("alpha", folder / "alpha.ipynb")
        return unlike_claims_file(chapter, [claim(name) for name in ids])

    return done


def apart(*files: str) -> Callable:
    """Compare a book of one chapter with the files that lie in its folder."""

    def done(folder: Path) -> list[str]:
        for file in files:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).touch()
        return left_out(folder, [NotebookJob("alpha", folder / "alpha.ipynb")])

    return done


def outdated(folder: Path) -> list[str]:
    """Compare a record with a repository that has lost its chapter."""
    run = run_of([claim("alpha-one")]) | {"profile": "gpu"}
    kept = {"made": {"commit": "abc"}, "run": run, "claims": []}
    return differences(kept, folder)


WHOLE = "must be a whole number, 0 (automatic) or more; got "

REFUSALS = (
    Refusal(
        "jobs in words",
        settings({"SPECTRAL_JOBS": "many"}),
        f"SPECTRAL_JOBS {WHOLE}'many'",
    ),
    Refusal(
        "results of a cache",
        settings(nb_execution_mode="cache"),
        'execute_notebooks must be "force" or "off", not \'cache\'',
    ),
    Refusal(
        "errors allowed",
        settings(nb_execution_allow_errors=True),
        "allow_errors would hide a failing chapter",
    ),
    Refusal(
        "a chapter that is not executed",
        settings(nb_execution_excludepatterns=["alpha.ipynb"]),
        "execute.exclude_patterns would show results of another time",
    ),
    Refusal(
        "a page alone",
        settings(external_toc_path=None),
        "for a draft of one chapter: make page CHAPTER=alpha",
    ),
    Refusal("a draft in place of the book", drafting, "SPECTRAL_DRAFT is set, but"),
    Refusal(
        "a draft of no chapter",
        drafting_another,
        "the book has no chapter 'gamma' to draft",
    ),
    Refusal("a second build", locked, f"process {os.getpid()} on "),
    Refusal(
        "claims without a file",
        comparing(None, "one"),
        "chapter alpha publishes claims, but there is no claims/alpha.yaml",
    ),
    Refusal(
        "a claims file that is none",
        comparing("chapter: alpha\nclaims: 7\n", "one"),
        "claims/alpha.yaml is not valid",
    ),
    Refusal(
        "a notebook in a folder of its own",
        apart("drafts/beta.ipynb"),
        "drafts/beta.ipynb is not in the table of contents",
    ),
    Refusal(
        "claims of a chapter that is gone",
        apart("claims/beta.yaml"),
        "the table of contents has no notebook beta.ipynb",
    ),
    Refusal(
        "a notebook that nothing executes",
        in_markdown,
        "page is a notebook in Markdown; a chapter must be .ipynb",
    ),
    Refusal("a record of a chapter that is gone", outdated, "alpha, gpu: "),
)
