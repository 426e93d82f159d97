"""Recorded runs as an RO-Crate: what other tools can read of how each was made.

Source: RO-Crate 1.1, with a `CreateAction` for each run.
"""

import json
from pathlib import Path
from typing import Any

from spectral_book.claims.recorded import Record, name_of, read_records

FILE = "ro-crate-metadata.json"

_SPECIFICATION = "https://w3id.org/ro/crate/1.1"


def crate(results: Path) -> str:
    """Describe all records of a folder ``results``, as the text of its `FILE`."""
    records = read_records(results)
    parts: dict[str, dict[str, Any]] = {}
    for record in records:
        parts |= {part["@id"]: part for part in _parts(record)}
    files = [part for part in parts.values() if part["@type"] == "File"]
    graph = [
        {
            "@id": FILE,
            "@type": "CreativeWork",
            "about": {"@id": "./"},
            "conformsTo": {"@id": _SPECIFICATION},
        },
        {
            "@id": "./",
            "@type": "Dataset",
            "name": "Recorded runs of The Spectral Bias Book",
            "description": "A record holds each claim of a chapter with its bar, the "
            "values of all seeds, its control and its verdict.",
            "license": "https://spdx.org/licenses/MIT",
            "datePublished": max((r["made"]["date"] for r in records), default=""),
            "hasPart": [{"@id": file["@id"]} for file in files],
            "mentions": [{"@id": p["@id"]} for p in parts.values() if p not in files],
        },
        *parts.values(),
    ]
    content = {"@context": f"{_SPECIFICATION}/context", "@graph": graph}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _parts(record: Record) -> list[dict[str, Any]]:
    """A record's file, the run it came from, and what that took: code and images."""
    made, run = record["made"], record["run"]
    file = f"{run['profile']}/{run['chapter']}.json"
    code = {
        "@id": f"#commit-{made['commit']}",
        "@type": "SoftwareSourceCode",
        "name": "The Spectral Bias Book",
        "version": made["commit"],
        "programmingLanguage": f"Python {made['python']}, torch {made['torch']}",
    }
    images = [
        {"@id": f"#sha256-{digest}", "@type": "CreativeWork", "name": name}
        for name, digest in made["data"].items()
    ]
    action = {
        "@id": f"#run-{run['profile']}-{run['chapter']}",
        "@type": "CreateAction",
        "name": name_of(record),
        "description": ". ".join(
            filter(None, (made["machine"], f"{made['seconds']} s", made["note"]))
        ),
        "endTime": made["date"],
        "instrument": {"@id": code["@id"]},
        "object": [{"@id": image["@id"]} for image in images],
        "result": {"@id": file},
    }
    of = f"Claims of {name_of(record)}"
    return [
        {
            "@id": file,
            "@type": "File",
            "name": of,
            "encodingFormat": "application/json",
        },
        *(code, *images, action),
    ]
