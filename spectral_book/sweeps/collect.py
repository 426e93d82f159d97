"""The results of a sweep as one tidy table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spectral_book.sweeps.errors import SweepError, storing
from spectral_book.sweeps.manifest import Row, open_manifest
from spectral_book.sweeps.results import read_record
from spectral_lib.code_hash import code_hash

if TYPE_CHECKING:
    from pandas import DataFrame

_MEASURED = ("verdict", "estimate", "ci_low", "ci_high", "p_value", "n")
_TEXTS = ("statement", "statistic", "threshold", "profile", "device", "why")


def collect(out: Path) -> DataFrame:
    """Return one row for each claim of each finished point.

    The columns are the point's id, the parameters that differ between points (lists
    as JSON), the claim's id, its verdict, estimate and interval, those of its control,
    its texts, the point's seconds and host, and `stale`: whether the library has
    changed since, or the chapter before the sweep was last called.

    Raises
    ------
    SweepError
        If there is no sweep in the folder, or pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise SweepError(
            "a table needs pandas: pip install 'spectral-bias-book[batch]'"
        ) from error
    with open_manifest(out) as manifest:
        rows = [row for row in manifest.rows() if row.state == "done"]
        chapter = str(manifest.facts().get("code", "")).partition("-")[0]
    code = f"{chapter}-{code_hash()}"
    names = swept(row.parameters for row in rows)
    lines = []
    for row in rows:
        record = read_record(out, row.id)
        if record is None:
            continue
        for claim in record["claims"]:
            lines.append(_line(row, names, claim, code))
    columns = ["point", *names, "claim", *_MEASURED, "control_verdict"]
    columns += ["control_estimate", "control_ci_low", "control_ci_high"]
    columns += [*_TEXTS, "seconds", "host", "stale"]
    return pandas.DataFrame(lines, columns=columns)


def swept(parameters: Iterable[dict[str, Any]]) -> list[str]:
    """Return the names whose values differ, in the order of the chapter."""
    seen: dict[str, set[str]] = {}
    for values in parameters:
        for name, value in values.items():
            seen.setdefault(name, set()).add(json.dumps(value))
    return [name for name, values in seen.items() if len(values) > 1]


def write_table(table: DataFrame, path: Path) -> None:
    """Write a table as CSV or parquet, by the file's ending.

    Raises
    ------
    SweepError
        If the ending is another one, or parquet's package is missing.
    StorageError
        If the file cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    with storing(path):
        try:
            if path.suffix == ".csv":
                table.to_csv(partial, index=False)
            elif path.suffix == ".parquet":
                table.to_parquet(partial, index=False)
            else:
                raise SweepError(f"{path} must end in .csv or .parquet")
            partial.replace(path)
        except ImportError as error:
            raise SweepError(
                "parquet needs pyarrow: pip install 'spectral-bias-book[images]'"
            ) from error
        finally:
            partial.unlink(missing_ok=True)


def _line(
    row: Row, names: Sequence[str], claim: dict[str, Any], code: str
) -> dict[str, Any]:
    """Return one row of the table."""
    control = claim.get("control") or {}
    return {
        "point": row.id,
        **{name: _cell(row.parameters.get(name)) for name in names},
        "claim": claim["id"],
        **{key: claim.get(key) for key in (*_MEASURED, *_TEXTS)},
        "control_verdict": control.get("verdict"),
        **{f"control_{k}": control.get(k) for k in ("estimate", "ci_low", "ci_high")},
        "seconds": row.seconds,
        "host": row.host,
        "stale": row.code != code,
    }


def _cell(value: Any) -> Any:
    """Return a value that can be grouped by."""
    return json.dumps(value) if isinstance(value, list | dict) else value
