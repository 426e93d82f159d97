"""Recorded runs as others read them: files under ``results``, checked row by row."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spectral_book.claims.claims_file import PROFILES, Claim
from spectral_book.claims.numbers import Row
from spectral_book.claims.published import ChapterRun, check_row
from spectral_book.claims.rows import rejudged

Record = dict[str, Any]

LARGE = PROFILES[1:]
"""Profiles that are recorded, the largest one last."""

FIGURES = "figures"
"""Folder beside records: what their figures draw, and those that claims belong to."""

JUDGED_BY = (
    *("origin", "statistic", "quantity", "direction", "threshold", "no_effect"),
    *("band", "interval", "precondition", "control"),
)
"""What of a claim a verdict rests on; a record with another one counts no more."""


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


def recorded_claims(records: Sequence[Record]) -> dict[str, dict[str, Any]]:
    """The recorded row of each claim, of the largest profile that could test it.

    Reasons are worded as a build words its own.
    """
    rows: dict[str, dict[str, Any]] = {}
    for one in records:
        for row in one["claims"]:
            if row["verdict"] != "not comparable" or row["id"] not in rows:
                why = rejudged(row)["why"]
                rows[row["id"]] = {**row, "why": why, "recorded": told_of(one)}
    return rows


def told_of(record: Record) -> str:
    """What readers are told of a recorded run: profile, data, day and commit.

    Not every claim of a chapter uses its images, and a row does not tell which do.
    """
    made, run = record["made"], record["run"]
    data = run["parameters"].get("data", "")
    data = f"{data} where images are used" if data else ""
    note = made.get("note", "")
    named = f"{data} ({note})" if data and note else data or note
    larger = f"a larger run, profile {run['profile']}"
    parts = (larger, named, made.get("date", ""))
    return ", ".join([*filter(None, parts), f"commit {made['commit'][:7]}"])


def asked_differences(claim: Claim, row: Row) -> dict[str, tuple[Any, Any]]:
    """What a claim asked for when a row was judged, and now, where these differ."""
    now = claim.model_dump(mode="json", include=set(JUDGED_BY))
    held = row["precondition"] and {**row["precondition"]}
    if held:
        del held["measured"]
    then = {**row, "control": row["control"]["name"], "precondition": held}
    return {
        key: (then[key], now[key])
        for key in JUDGED_BY
        # A row without numbers tells of no precondition.
        if then[key] != now[key] and (key != "precondition" or row["values"])
    }


ONE_ALONE = {(True, False): "here", (False, True): "there"}
"""Of a row and its recorded one, which could be tested."""


def compared(
    rows: Sequence[Row], recorded: Mapping[str, Row]
) -> dict[str, list[tuple[Row, Row]]]:
    """Pair rows with recorded ones, by id, and sort them by what became of the verdict.

    It is ``alike`` or ``other``, or could be reached in one of both alone, ``here`` or
    ``there``.
    """
    found: dict[str, list[tuple[Row, Row]]] = {
        kind: [] for kind in ("alike", "other", "here", "there")
    }
    for row in rows:
        if row["id"] not in recorded:
            continue
        then = recorded[row["id"]]
        tested = tuple(one["verdict"] != "not comparable" for one in (row, then))
        kind = "alike" if row["verdict"] == then["verdict"] else "other"
        if any(tested):
            found[ONE_ALONE.get(tested, kind)].append((row, then))
    return found


def recorded_marks(
    results: Path, chapter: str, claims: Sequence[Claim]
) -> Mapping[str, Row]:
    """The recorded row of each of a chapter's claims that still asks for the same."""
    asked = {claim.id: claim for claim in claims}
    records = [r for r in read_records(results) if r["run"]["chapter"] == chapter]
    return {
        name: row
        for name, row in recorded_claims(records).items()
        if name in asked and not asked_differences(asked[name], row)
    }
