"""Recorded results: the ledger of a large run, kept in the repository.

``python -m spectral_book.records CHAPTER PROFILE`` executes a chapter with the
parameters of a profile and writes ``results/<profile>/<chapter>.json``: its claims with
all values, in the form of `ledger.json`, its run, and what it ran on. The figures that
claims belong to are left in ``results/<profile>/figures``, and what they draw, as far
as it is small. Pages show both beside each build's own run. A record counts only as
long as the repository still holds the parameters and thresholds it was made with, knows
its commit, and its verdicts follow from its values.
"""

import argparse
import hashlib
import io
import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from typing import Any

import nbformat
from PIL import Image

from spectral_book import crate
from spectral_book.chapter.parameters import MACHINE, defaults
from spectral_book.claims.claims_file import load_claims
from spectral_book.claims.ledger import claims_of, runs_of
from spectral_book.claims.places import data_of_figures, pictures_of_claims
from spectral_book.claims.recorded import (
    FIGURES,
    LARGE,
    Record,
    asked_differences,
    name_of,
)
from spectral_book.claims.rows import contradictions, with_holm
from spectral_book.files import remove_all, write_atomic
from spectral_book.machine import peak_memory, processor
from spectral_book.progress import Progress
from spectral_book.repository import checkout, knows_commit
from spectral_book.runner import NotebookJob, execute_notebooks
from spectral_book.yaml_files import profile_values
from spectral_lib.data.sources import HUB, SETTING, SOURCES, find_files
from spectral_lib.threads import usable_cores

MOST_DRAWN = 150_000
"""Bytes of what a record's figures draw; git keeps each of them for ever."""


def record(
    root: Path,
    chapter: str,
    profile: str,
    machine: Mapping[str, str] | None = None,
    note: str = "",
) -> Path:
    """Run a chapter with a profile's parameters and write its record.

    The executed notebook is kept in ``book/_build/records``. Trainings leave their
    checkpoints beside it, so that the same command takes up an interrupted run.
    ``machine`` has values for parameters of `MACHINE`, and ``note`` says what readers
    have to know of the images, such as "JPEG-recompressed".

    ValueError if a name is unknown, images are not there, or files differ from the
    commit that the record would name; RuntimeError if the chapter fails, or files
    change while it runs. Nothing is recorded then.
    """
    given = {**_profile(root, chapter, profile), **(machine or {})}
    environment = dict(os.environ)
    for place, name in ((given, "data_root"), (environment, SETTING)):
        if place.get(name) not in (None, "", HUB):  # the chapter runs in book/
            place[name] = str(Path(place[name]).expanduser().absolute())
    usual = defaults(root / "book" / f"{chapter}.ipynb")
    checksums = _data_checksums({**usual, **given})
    commit = _clean_commit(root)
    path = root / "results" / profile / f"{chapter}.json"
    work = root / "book" / "_build" / "records" / profile
    work.mkdir(parents=True, exist_ok=True)
    checkpoints = {"SPECTRAL_CHECKPOINTS": str(work / f"{chapter}.checkpoints")}
    print(
        f"Running {chapter} with params/{profile}/{chapter}.yaml; its notebook and "
        f"checkpoints are kept in {work}.",
        flush=True,
    )
    job = NotebookJob(chapter, root / "book" / f"{chapter}.ipynb", parameters=given)
    progress = Progress()
    (run,) = execute_notebooks(
        [job], at_once=1, environment=checkpoints | environment, on_cell=progress.show
    )
    with progress.end(chapter):
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
        "machine": f"{processor()}, {usable_cores()} cores",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "seconds": round(run.seconds),
        "memory_gb": round(peak_memory() / 1e9, 2),
        "data": checksums,
        "note": note,
    }
    parameters = {k: v for k, v in {**usual, **given}.items() if k not in MACHINE}
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
    keep_figures(path, run.notebook)
    write_atomic(root / "results" / crate.FILE, crate.crate(root / "results"))
    return path


def keep_figures(path: Path, notebook: nbformat.NotebookNode) -> None:
    """Write the figures of a recorded run beside its record, in place of former ones.

    A picture is named by the first claim of its figure: numbers move as chapters are
    edited, a claim keeps its name.
    """
    drawn = drawn_within(MOST_DRAWN, data_of_figures(notebook))
    write_atomic(path.parent / FIGURES / path.name, drawn)
    folder = path.parent / FIGURES / path.stem
    remove_all([folder])
    for claim, picture in pictures_of_claims(notebook).items():
        small = io.BytesIO()
        Image.open(io.BytesIO(picture)).save(small, "webp", lossless=True, method=6)
        write_atomic(folder / f"{claim}.webp", small.getvalue())


def drawn_within(most: int, figures: Mapping[int, Mapping[str, Any]]) -> str:
    """Return what figures draw as JSON, the smallest ones first, in so many bytes."""
    lines = [f'"{n}": {json.dumps(d, allow_nan=False)}' for n, d in figures.items()]
    lines.sort(key=len)
    totals = accumulate(len(line) for line in lines)
    kept = [line for line, total in zip(lines, totals, strict=True) if total <= most]
    return "{\n" + ",\n".join(kept) + "\n}\n"


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
        if claim.id in rows:
            moved = asked_differences(claim, rows[claim.id])
            told += [
                f"{key} of {claim.id!r} was {then!r} and is {now!r}."
                for key, (then, now) in moved.items()
            ]
    return told


def _profile(root: Path, chapter: str, profile: str) -> dict[str, Any]:
    return profile_values(root / "book" / f"{chapter}.ipynb", profile)


def _data_checksums(parameters: Mapping[str, Any]) -> dict[str, str]:
    """SHA-256 of each file of a run's images, by name; empty where they are built in.

    ValueError if the images are not there, before a kernel starts.
    """
    name, root = parameters.get("data", "digits"), parameters.get("data_root", "")
    if name not in SOURCES:
        return {}
    found = {}
    for split in ("train", "test"):
        for path in find_files(name, split, root):
            with path.open("rb") as file:
                found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


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
    parser.add_argument("--note", default="", help="what to say of the images")
    given = vars(parser.parse_args(arguments))
    machine = {k: v for k in MACHINE if (v := given[k]) is not None}
    try:
        path = record(
            Path.cwd(), given["chapter"], given["profile"], machine, given["note"]
        )
    except (ValueError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, ValueError) else 1
    print(f"Recorded in {path}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
