"""How far a sweep has come, and its results as one tidy table."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spectral_book.claims.numbers import Row
from spectral_book.readable import InputError
from spectral_book.repository import chapter_code
from spectral_book.sweeps.results import (
    PointRecord,
    read_request,
    records_of,
    storing,
)

if TYPE_CHECKING:
    from pandas import DataFrame
    from xarray import Dataset

_NUMBERS = ("estimate", "ci_low", "ci_high")
_MEASURED = ("verdict", *_NUMBERS, "p_bar", "n", "missing", "values")
_CONTROL = ("shows", *_NUMBERS, "values")
_TEXTS = (
    *("origin", "statement", "statistic", "direction", "threshold", "no_effect"),
    *("band", "profile", "device", "why"),
)


@dataclass(frozen=True)
class Status:
    """The state of a sweep: how many points are `done`, `failed` or `pending`.

    `stale` are done points whose chapter (as of the last call) or library has changed
    since; `seconds_left` follow from the pace of the last call so far, None before its
    first point has ended; `failures` are the records of the failed points.
    """

    counts: Counter[str]
    stale: int
    seconds_left: float | None
    failures: list[PointRecord]

    def text(self) -> str:
        """Return it as lines of text."""
        parts = [f"{number} {state}" for state, number in self.counts.items()]
        lines = [f"{self.counts.total()} points: {', '.join(parts)}"]
        if self.counts["pending"] and self.seconds_left is not None:
            left = timedelta(seconds=round(self.seconds_left))
            lines.append(f"time left at this pace: {left}")
        if self.stale:
            lines.append(
                f"{self.stale} done with an older chapter or library; "
                "run --rerun-stale repeats them"
            )
        for record in self.failures:
            lines.append(
                f"failed: {record['id']}, {record['place']}: {record['error']}"
            )
        return "\n".join(lines)


def status(out: Path) -> Status:
    """Return how far the sweep of a folder has come, also while it runs."""
    started = datetime.fromisoformat(read_request(out)["started"])
    code, records = _current_code(out), [record for _, record in records_of(out)]
    counts = Counter(done=0, failed=0, pending=0)
    counts.update(record["state"] if record else "pending" for record in records)
    ended = [record for record in records if record]
    times = [datetime.fromisoformat(record["finished"]) for record in ended]
    recent = [time for time in times if time >= started]
    left = None
    if recent:
        pace = (max(recent) - started).total_seconds() / len(recent)
        left = counts["pending"] * pace
    done = [record for record in ended if record["state"] == "done"]
    return Status(
        counts=counts,
        stale=sum(record["code"] != code for record in done),
        seconds_left=left,
        failures=[record for record in ended if record["state"] == "failed"],
    )


def collect(out: Path) -> DataFrame:
    """Return one row for each claim of each finished point, or one a point without any.

    The columns are the point's id, the parameters that differ between points, the claim
    with its control and texts, the point's seconds and host, and `stale`: whether the
    library has changed since, or the chapter before the sweep was last called. Lists
    are JSON. Where no point has a claim, its state and what the notebook recorded take
    their place. A parameter with the name of another column is `parameter_<name>`.
    """
    import pandas

    code, records = _current_code(out), [r for _, r in records_of(out) if r is not None]
    done = [record for record in records if record["state"] == "done"]
    if judged := any(record["claims"] for record in done):
        records = done
    names, rows = swept(record["parameters"] for record in records), []
    for record in records:
        about = {key: record[key] for key in ("seconds", "host")}
        about["stale"] = record["code"] != code
        claims = [_of_claim(claim) for claim in record["claims"]]
        for found in claims if judged else [{"state": record["state"]}]:
            others, row = {**found, **about}, {"point": record["id"]}
            for name in names:
                own = f"parameter_{name}" if name in others or name in row else name
                row[own] = _hashable(record["parameters"].get(name))
            row |= others
            for name, value in {} if judged else record.get("scalars", {}).items():
                row[f"recorded_{name}" if name in row else name] = value
            rows.append(row)
    return pandas.DataFrame(rows)


def _of_claim(claim: Row) -> dict[str, Any]:
    """Return a claim's columns."""
    row = {"claim": claim["id"]} | {key: claim[key] for key in _MEASURED}
    row |= {f"control_{key}": claim["control"][key] for key in _CONTROL}
    row |= {key: claim[key] for key in _TEXTS}
    numbers = (*_NUMBERS, *(f"control_{key}" for key in _NUMBERS))
    return {k: _float(v) if k in numbers else _hashable(v) for k, v in row.items()}


def _hashable(value: Any) -> Any:
    """Return a value that can be grouped by."""
    return json.dumps(value) if isinstance(value, list | dict) else value


def swept(parameters: Iterable[dict[str, Any]]) -> list[str]:
    """Return the names whose values differ, in the order of the chapter."""
    values: dict[str, set[str]] = {}
    for point in parameters:
        for name, value in point.items():
            values.setdefault(name, set()).add(json.dumps(value))
    return [name for name, found in values.items() if len(found) > 1]


def write_table(table: DataFrame, path: Path) -> None:
    """Write a table as CSV, parquet or netCDF, by the file's ending."""
    writers: dict[str, Callable[[Path], Any]] = {
        ".csv": lambda file: table.to_csv(file, index=False),
        ".parquet": lambda file: table.to_parquet(file, index=False),
        ".nc": lambda file: on_axes(table).to_netcdf(file),
    }
    if path.suffix not in writers:
        raise InputError(f"{path} must end in .csv, .parquet or .nc")
    partial = path.with_name(f".{path.name}.partial")
    with storing(path):
        try:
            writers[path.suffix](partial)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def on_axes(table: DataFrame) -> Dataset:
    """Return the table of :func:`collect` on axes: points, claims, seeds of values."""
    import pandas

    axes = ["point", "claim"] if "claim" in table else ["point"]
    cells, seeds = table.set_index(axes), {}
    for name in ("values", "control_values") if "claim" in table else ():
        rows = [enumerate(map(_float, json.loads(text))) for text in cells.pop(name)]
        values = pandas.DataFrame(map(dict, rows), cells.index)
        seeds[name] = values.rename_axis(columns="seed").stack()
    whole = cells.to_xarray()
    if seeds:
        whole = whole.merge(pandas.DataFrame(seeds).to_xarray())
    texts = [name for name, cell in whole.items() if cell.dtype == object]
    return whole.assign({name: whole[name].fillna("").astype(str) for name in texts})


def _float(value: float | str | None) -> float:
    """Return a number of the ledger, which holds infinite ones as words."""
    return float("nan" if value is None else value)


def _current_code(out: Path) -> str:
    return f"{read_request(out)['code']}-{chapter_code()}"
