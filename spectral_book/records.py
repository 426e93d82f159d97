"""Recorded results: the ledger of a large run, kept in the repository.

``python -m spectral_book.records CHAPTER PROFILE`` executes a chapter with the
parameters of a profile and writes ``results/<profile>/<chapter>.json``: its claims with
all values, in the form of `ledger.json`, its run, and what it ran on. The front page
shows it beside each build's own run. A record counts only as long as the repository
still holds the parameters and thresholds it was made with, knows its commit, and its
verdicts follow from its values.
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat

from spectral_book.chapter.parameters import MACHINE, defaults
from spectral_book.claims.claims_file import Claim, load_claims
from spectral_book.claims.ledger import claims_of, runs_of
from spectral_book.claims.numbers import Row
from spectral_book.claims.published import ChapterRun, check_row
from spectral_book.claims.rows import contradictions, with_holm
from spectral_book.files import write_atomic
from spectral_book.repository import checkout, knows_commit
from spectral_book.runner import NotebookJob, execute_notebooks
from spectral_book.yaml_files import profile_values
from spectral_lib.data.sources import HUB, SETTING, SOURCES, find_files

Record = dict[str, Any]

LARGE = ("gpu", "paper")
"""Profiles that are recorded, the larger one last."""

JUDGED_BY = (
    *("origin", "statistic", "quantity", "direction", "threshold", "no_effect"),
    *("band", "interval", "precondition", "control"),
)
"""What of a claim a verdict rests on; a record with another one counts no more."""


def record(
    root: Path, chapter: str, profile: str, machine: Mapping[str, str] | None = None
) -> Path:
    """Run a chapter with a profile's parameters and write its record.

    The executed notebook is kept in ``book/_build/records``. Trainings leave their
    checkpoints beside it, so that the same command takes up an interrupted run.

    Parameters
    ----------
    root
        The repository.
    chapter, profile
        Names, of ``book/<chapter>.ipynb`` and ``params/<profile>/<chapter>.yaml``.
    machine
        Values for parameters of `MACHINE`.

    Returns
    -------
    Path
        The record's file.

    Raises
    ------
    ValueError
        If a name is unknown, images are not there, or files differ from the commit that
        the record would name.
    RuntimeError
        If the chapter fails, or files change while it runs; nothing is recorded then.
    """
    machine = dict(machine or {})
    strange = sorted(set(machine) - set(MACHINE))
    if strange:
        raise ValueError(
            f"{strange[0]} cannot be set here: a record has its profile's parameters. "
            f"Only {' and '.join(MACHINE)} may differ."
        )
    given = {**_profile(root, chapter, profile), **machine}
    environment = dict(os.environ)
    for place, name in ((given, "data_root"), (environment, SETTING)):
        if place.get(name) not in (None, "", HUB):  # the chapter runs in book/
            place[name] = str(Path(place[name]).expanduser().absolute())
    usual = defaults(root / "book" / f"{chapter}.ipynb")
    _check_data({**usual, **given})
    commit = _clean_commit(root)
    work = root / "book" / "_build" / "records" / profile
    work.mkdir(parents=True, exist_ok=True)
    checkpoints = {"SPECTRAL_CHECKPOINTS": str(work / f"{chapter}.checkpoints")}
    print(
        f"Running {chapter} with params/{profile}/{chapter}.yaml; its notebook and "
        f"checkpoints are kept in {work}.",
        flush=True,
    )
    job = NotebookJob(chapter, root / "book" / f"{chapter}.ipynb", parameters=given)
    (run,) = execute_notebooks([job], at_once=1, environment=checkpoints | environment)
    nbformat.write(run.notebook, work / f"{chapter}.ipynb")
    if run.failure is not None:
        raise RuntimeError(run.failure.describe(chapter))
    rows = claims_of(chapter, run.notebook)
    if not rows:
        raise RuntimeError(f"{chapter} published no claims; nothing can be recorded.")
    if _clean_commit(root) != commit:
        raise RuntimeError(
            f"the repository moved on from {commit} during the run; run it again: the "
            "trainings whose code is the same are taken from their checkpoints."
        )
    import torch

    made = {
        "commit": commit,
        "date": datetime.now(UTC).date().isoformat(),
        "device": rows[0]["device"],
        "python": platform.python_version(),
        "torch": torch.__version__,
        "seconds": round(run.seconds),
    }
    parameters = {k: v for k, v in {**usual, **given}.items() if k not in MACHINE}
    path = root / "results" / profile / f"{chapter}.json"
    (of_run,) = runs_of(chapter, run.notebook)
    content = {
        "made": made,
        "run": {**of_run, "parameters": parameters},
        "claims": rows,
    }
    unlike = differences(content, root)
    if unlike:
        raise RuntimeError(f"{unlike[0]} Nothing was recorded.")
    write_atomic(path, json.dumps(content, indent=1, allow_nan=False) + "\n")
    return path


def read_records(results: Path) -> list[Record]:
    """Read all records of a folder ``results``, smaller profiles first.

    Raises
    ------
    ValueError
        If a file is not a record, or lies under another name than its own.
    """
    found = []
    for profile in LARGE:
        for path in sorted((results / profile).glob("*.json")):
            try:
                content = json.loads(path.read_text("utf-8"))
                run = ChapterRun.model_validate(content["run"])
                for row in content["claims"]:
                    check_row(row)
                complete = content["claims"] and str(content["made"]["commit"])
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(
                    f"{path} is not a record: {error!r}; make it anew."
                ) from error
            if (run.profile, run.chapter) != (profile, path.stem) or not complete:
                raise ValueError(
                    f"{path} holds a record of {run.chapter}, {run.profile}; "
                    "make it anew."
                )
            found.append(content)
    return found


def name_of(record: Record) -> str:
    """Return the chapter and profile that a record is of."""
    return f"{record['run']['chapter']}, {record['run']['profile']}"


def differences(record: Record, root: Path) -> list[str]:
    """Where a record does not match the repository or itself, one sentence each."""
    commit = record["made"]["commit"]
    rows = record["claims"]
    told = contradictions(rows)
    for row, again in zip(rows, with_holm(rows), strict=True):
        if row["holm"] != again["holm"]:
            told.append(f"{row['id']}: its mark of Holm's correction does not follow.")
    told += _outdated(record, root)
    if knows_commit(root, commit) is False:
        told.append(
            f"the repository knows no commit {commit}; fetch it, or make the record "
            "anew."
        )
    return [f"{name_of(record)}: {line}" for line in told]


def _outdated(record: Record, root: Path) -> list[str]:
    """In what the repository's parameters and claims are no longer a record's."""
    chapter, profile = record["run"]["chapter"], record["run"]["profile"]
    try:
        wanted = {
            **defaults(root / "book" / f"{chapter}.ipynb"),
            **_profile(root, chapter, profile),
        }
        claims = load_claims(root / "book" / "claims" / f"{chapter}.yaml").claims
    except (ValueError, OSError) as error:
        return [str(error)]
    told, had = [], record["run"]["parameters"]
    for name in sorted((set(wanted) | set(had)) - set(MACHINE)):
        if wanted.get(name) != had.get(name):
            told.append(f"{name} was {had.get(name)!r} and is {wanted.get(name)!r}.")
    rows = {row["id"]: row for row in record["claims"]}
    for name in sorted(set(rows) ^ {claim.id for claim in claims}):
        where = "the record" if name in rows else "the claims file"
        told.append(f"the claim {name!r} is in {where} alone.")
    for claim in claims:
        if claim.id not in rows:
            continue
        then = _asked_then(rows[claim.id])
        for key, value in _asked_now(claim).items():
            # A row without numbers tells of no precondition.
            if then[key] != value and (key != "precondition" or then["values"]):
                told.append(
                    f"{key} of {claim.id!r} was {then[key]!r} and is {value!r}."
                )
    return told


def _asked_now(claim: Claim) -> dict[str, Any]:
    """What a claims file asks for, by the keys of a row."""
    asked = claim.model_dump(mode="json", include=set(JUDGED_BY))
    return {key: asked[key] for key in JUDGED_BY}


def _asked_then(row: Row) -> dict[str, Any]:
    """The same of a row, whose precondition and control hold more."""
    held = row["precondition"] and {**row["precondition"]}
    if held:
        del held["measured"]
    return {**row, "control": row["control"]["name"], "precondition": held}


def recorded_claims(records: Sequence[Record]) -> dict[str, dict[str, Any]]:
    """The recorded row of each claim, of the largest profile that could test it."""
    rows: dict[str, dict[str, Any]] = {}
    for one in records:
        for row in one["claims"]:
            if row["verdict"] != "not comparable" or row["id"] not in rows:
                rows[row["id"]] = row
    return rows


def _profile(root: Path, chapter: str, profile: str) -> dict[str, Any]:
    """Parameters of a profile's file."""
    if profile not in LARGE:
        raise ValueError(f"profile is {profile!r}; recorded are {' and '.join(LARGE)}.")
    return profile_values(root / "book" / f"{chapter}.ipynb", profile)


def _check_data(parameters: Mapping[str, Any]) -> None:
    """Raise a ValueError if the images are not there, before a kernel starts."""
    name = parameters.get("data", "digits")
    if name in SOURCES:
        find_files(name, "train", parameters.get("data_root", ""))


def _clean_commit(root: Path) -> str:
    """The commit a record is made from."""
    commit, changed = checkout(root)
    if changed:
        raise ValueError(
            f"files differ from the commit: {changed[0]} ...; "
            "commit them first, as a record names the commit it was made from."
        )
    return commit


def main(arguments: Sequence[str] | None = None) -> int:
    """Record a chapter; 1 if it fails, 2 if it was asked for wrongly."""
    parser = argparse.ArgumentParser(
        prog="python -m spectral_book.records",
        description="Run a chapter at a large profile and record its results.",
    )
    parser.add_argument("chapter", help="derivative_operator, for instance")
    parser.add_argument("profile", choices=LARGE)
    parser.add_argument("--data-root", help="folder of the image sets, or 'hub'")
    parser.add_argument("--device", help="auto, cpu or cuda")
    given = vars(parser.parse_args(arguments))
    machine = {k: v for k in MACHINE if (v := given[k]) is not None}
    try:
        path = record(Path.cwd(), given["chapter"], given["profile"], machine)
    except (ValueError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, ValueError) else 1
    print(f"Recorded in {path}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
