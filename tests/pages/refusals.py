"""What is refused before a kernel starts, or found without one, and what is said.

The rows go on where those of `broken_book` end: what stops a build at its beginning
cannot be in a book with other troubles, and what needs no build is called directly.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import nbformat
import yaml
from minibook import MiniBook, claim
from rows import published, run_of

from spectral_book.claims.claims_file import load_claims
from spectral_book.claims.ledger import MIME_TYPE, claims_of, repeated_ids
from spectral_book.claims.recorded import read_records
from spectral_book.pages.checks import left_out, unlike_claims_file
from spectral_book.pages.costs import read_costs
from spectral_book.pages.settings import checked_budget, drafted_chapter, lock_folder
from spectral_book.records import differences, record
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
        "spectral_jobs": 0,
        "spectral_threads": 0,
        "master_doc": "alpha",
        "external_toc_path": "_toc.yml",
    }
    known = {k: v for k, v in (usual | changed).items() if v is not None}
    return lambda folder: checked_budget(Settings(**known), environ)


def drafting(folder: Path) -> object:
    """Draft a chapter into the folder of the book."""
    return drafted_chapter(folder / "html", {"SPECTRAL_DRAFT": "alpha"})


def locked(folder: Path) -> None:
    """Build in a folder where a build is going on."""
    with lock_folder(folder):
        lock_folder(folder)


def publishing(*rows: object) -> Callable:
    """Read the claims of an executed notebook."""
    shown = {"run": run_of([claim("a")]), "claims": list(rows)}
    output = nbformat.v4.new_output("display_data", {MIME_TYPE: shown})
    cell = nbformat.v4.new_code_cell("", outputs=[output])
    notebook = nbformat.v4.new_notebook(cells=[cell])
    return lambda folder: claims_of("alpha", notebook)


def sharing(folder: Path) -> list[str]:
    """Publish one claim in two chapters."""
    return repeated_ids([claim("a") | {"page": page} for page in ("one", "two")])


def comparing(text: str | None, *ids: str) -> Callable:
    """Compare published claims with the text of a claims file, None for no file."""

    def done(folder: Path) -> list[str]:
        if text is not None:
            (folder / "claims").mkdir()
            (folder / "claims" / "alpha.yaml").write_text(text)
        chapter = NotebookJob("alpha", folder / "alpha.ipynb")
        return unlike_claims_file(chapter, [claim(name) for name in ids])

    return done


def file_of_claims(folder: Path) -> dict[str, Any]:
    """Return the content of a claims file of two claims."""
    MiniBook(folder).write_claims("alpha", ["one", "two"])
    return yaml.safe_load((folder / "claims" / "alpha.yaml").read_text())


def claims_file(**changed: object) -> Callable:
    """Read a claims file whose second claim is changed."""

    def done(folder: Path) -> object:
        content = file_of_claims(folder)
        content["claims"][1] |= changed
        path = folder / "claims" / "alpha.yaml"
        path.write_text(yaml.safe_dump(content))
        return load_claims(path)

    return done


def apart(*files: str) -> Callable:
    """Compare a book of one chapter with the files that lie in its folder."""

    def done(folder: Path) -> list[str]:
        for file in files:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).touch()
        return left_out(folder, [NotebookJob("alpha", folder / "alpha.ipynb")])

    return done


def recorded(text: str) -> Callable:
    """Read a file of records that holds a text."""

    def done(folder: Path) -> object:
        (folder / "gpu").mkdir()
        (folder / "gpu" / "alpha.json").write_text(text)
        return read_records(folder)

    return done


def outdated(folder: Path) -> list[str]:
    """Compare a record with a repository that has lost its chapter."""
    run = run_of([claim("alpha-one")]) | {"profile": "gpu"}
    kept = {"made": {"commit": "abc"}, "run": run, "claims": []}
    return differences(kept, folder)


def measured(folder: Path) -> object:
    """Read measurements from a file that holds something else."""
    (folder / "cpu.json").write_text('{"groups": {"a": 7}}')
    return read_costs(folder / "cpu.json")


WHOLE = "must be a whole number, 0 (automatic) or more; got "
OTHER = published(claim("beta-one", profile="gpu")) | {"made": {"commit": "abc"}}

REFUSALS = (
    Refusal(
        "jobs in words",
        settings({"SPECTRAL_JOBS": "many"}),
        f"SPECTRAL_JOBS {WHOLE}'many'",
    ),
    Refusal(
        "jobs below none", settings({"SPECTRAL_JOBS": "-1"}), f"SPECTRAL_JOBS {WHOLE}"
    ),
    Refusal(
        "half a thread", settings({"SPECTRAL_THREADS": "0.5"}), f"THREADS {WHOLE}'0.5'"
    ),
    Refusal("jobs: yes", settings(spectral_jobs=True), f"spectral_jobs {WHOLE}True"),
    Refusal(
        "results of a cache",
        settings(nb_execution_mode="cache"),
        'execute_notebooks must be "force" or "off", not \'cache\'',
    ),
    Refusal(
        "results where there are some",
        settings(nb_execution_mode="auto"),
        'execute_notebooks must be "force" or "off", not \'auto\'',
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
    Refusal("a second build", locked, f"process {os.getpid()} on "),
    Refusal(
        "a verdict that is none",
        publishing(claim("a") | {"verdict": "certainly"}),
        "alpha: claim 'a': the verdict 'certainly' is not the word for 'replicated'",
    ),
    Refusal(
        "a claim without a statement",
        publishing(claim("a") | {"statement": ""}),
        "alpha: claim 'a': statement = '': String should have at least 1 character",
    ),
    Refusal(
        "a claim without an id",
        publishing(claim("a") | {"id": ""}),
        "claim '': id = ''",
    ),
    Refusal(
        "an estimate in words",
        publishing(claim("a") | {"estimate": "large"}),
        "alpha: claim 'a': estimate.float = 'large': Input should be a valid number",
    ),
    Refusal(
        "an estimate that is no number",
        publishing(claim("a") | {"estimate": float("nan")}),
        "alpha: claim 'a': estimate.float = nan: Input should be a finite number",
    ),
    Refusal(
        "a control that is a number",
        publishing(claim("a") | {"control": 0.5}),
        "alpha: claim 'a': control = 0.5: Input should be a valid dictionary",
    ),
    Refusal("a claim that is a number", publishing(7), "alpha: a claim is int"),
    Refusal("one claim in two chapters", sharing, "'a' is used 2 times: in one, two"),
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
        "two claims with one id",
        claims_file(id="one"),
        "claims/alpha.yaml is not valid: two claims share an id",
    ),
    Refusal(
        "an unknown statistic",
        claims_file(statistic="spearmann"),
        "statistic 'spearmann' is unknown; did you mean 'spearman'?",
    ),
    Refusal(
        "a threshold that nothing passes by chance",
        claims_file(threshold=-1.0),
        "the threshold lies on the wrong side of no_effect",
    ),
    Refusal("a claim of no size", claims_file(threshold=None), "claim 'two'"),
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
    Refusal("a record cut short", recorded('{"chapter": "al'), "is not a record"),
    Refusal("a record of nothing", recorded("[]"), "is not a record"),
    Refusal(
        "a record under another name",
        recorded(json.dumps(OTHER)),
        "alpha.json holds a record of beta, gpu; make it anew",
    ),
    Refusal("a record of a chapter that is gone", outdated, "alpha, gpu: "),
    Refusal(
        "a profile that is not recorded",
        lambda folder: record(folder, "alpha", "quick"),
        "profile 'quick': there is no",
    ),
    Refusal("measurements that are none", measured, "cpu.json holds no measurements"),
)
