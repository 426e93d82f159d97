"""The state of a sweep, and its table."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import nbformat
import pandas
import pytest

from spectral_book.readable import InputError
from spectral_book.sweeps.cli import main
from spectral_book.sweeps.collect import collect, status, swept
from spectral_book.sweeps.page import write_page
from spectral_book.sweeps.results import notebook_path, read_record, records_of, store


def change(out, number, **values):
    """Change a point's record, as if it had been stored so."""
    name = [name for name, _ in records_of(out)][number]
    notebook = nbformat.read(notebook_path(out, name), 4)
    store(out, read_record(out, name) | values, notebook)


def test_a_row_for_each_point_and_claim(done):
    table = collect(done)
    assert len(table) == 16
    assert list(table.columns[:4]) == ["point", "size", "word", "claim"]
    grows = table[table["claim"] == "grows"]
    found = {
        (row.size, row.word): (row.estimate, row.verdict) for row in grows.itertuples()
    }
    assert found == {
        (s, w): (s * 0.5, "replicated" if s < 3 else "not replicated")
        for s in (1, 2, 3, 4)
        for w in "ab"
    }
    assert (table["ci_high"] - table["estimate"]).round(9).eq(0.1).all()
    assert table["control_estimate"].eq(0).all()
    assert not table["stale"].any()


def test_swept_are_the_names_that_differ():
    values = [{"a": 1, "b": [1, 2], "c": "x"}, {"a": 1, "b": [1, 3], "c": "x"}]
    assert swept(values) == ["b"]
    assert swept(values[:1]) == []


def test_lists_are_text_by_which_to_group(done):
    change(done, 0, parameters={"size": 4, "rate": 0.5, "word": "a", "list": [1, 2]})
    assert set(collect(done)["list"]) == {"[1]", "[1, 2]"}


def test_parameters_with_the_name_of_another_column_have_one_of_their_own(done):
    """Two columns of one name stopped page and parquet, and hid the parameter."""
    for number, word in enumerate("ab" * 4):
        device = {"a": "cpu", "b": "auto"}[word]
        values = {"size": number // 2, "device": device}
        change(done, number, parameters=values)
    table = collect(done)
    assert table.columns.is_unique
    assert set(table["parameter_device"]) == {"cpu", "auto"}
    assert set(table["device"]) == {"cpu"}
    assert "- `parameter_device`: cpu, auto" in write_page(done).read_text()


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_tables_as_files(done, tmp_path, ending, capsys):
    file = tmp_path / f"table.{ending}"
    assert main(["collect", str(done), str(file)]) == 0
    assert capsys.readouterr().out == f"16 rows in {file}\n"
    assert main(["collect", str(done), str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"rows": 16, "file": str(file)}
    read = pandas.read_csv if ending == "csv" else pandas.read_parquet
    table = collect(done)
    for name in ("point", "size", "word", "claim", "verdict", "estimate"):
        assert read(file)[name].tolist() == table[name].tolist()
    assert (
        json.loads(table["values"][0])
        == read_record(done, table["point"][0])["claims"][0]["values"]
    )
    assert not list(tmp_path.glob(".*"))


def test_netcdf_has_points_claims_and_seeds_as_axes(done, tmp_path):
    xarray = pytest.importorskip("xarray")
    claims = read_record(done, next(iter(records_of(done)))[0])["claims"]
    claims[0]["values"], claims[0]["control"]["values"] = [1.0, None, "inf"], [2.0]
    change(done, 0, claims=claims[:1])
    file = tmp_path / "table.nc"
    assert main(["collect", str(done), str(file)]) == 0
    with xarray.open_dataset(file) as found:
        point = collect(done)["point"][0]
        own = found.sel(point=point, claim=claims[0]["id"])
        assert str(own["verdict"].values) == claims[0]["verdict"]
        assert own["values"].values[:3].tolist()[::2] == [1, float("inf")]
        assert own["values"].isnull()[1]
        assert own["control_values"].values[0] == 2
        assert own["control_values"].isnull()[1:].all()
        assert found.sel(point=point, claim=claims[1]["id"])["estimate"].isnull()


def test_tables_that_cannot_be_written(done, tmp_path, capsys):
    assert main(["collect", str(done), str(tmp_path / "table.xls")]) == 2
    assert "must end in .csv, .parquet or .nc" in capsys.readouterr().err


def test_points_without_claims_have_a_row_each(done):
    for number in range(8):
        scalars = {"final_loss": 0.5 + number, "size": "large"}
        change(done, number, claims=[], scalars=scalars)
    change(done, 1, state="failed", place="cell 3", error="E: m", scalars={})
    table = collect(done)
    usual = ["point", "size", "word", "state", "seconds", "host", "stale"]
    assert list(table.columns) == [*usual, "final_loss", "recorded_size"]
    assert table["state"].tolist() == ["done", "failed", *["done"] * 6]
    assert table["final_loss"].dropna().tolist() == [
        0.5,
        *(n + 0.5 for n in range(2, 8)),
    ]
    text = write_page(done).read_text()
    assert "- 8 points: 7 done, 1 failed, 0 pending\n" in text
    assert "![final_loss against size, word.](figures/recorded_0.svg)" in text
    assert "final_loss" in (done / "page/figures/recorded_0.svg").read_text()
    assert "| 4 | a | done | 1 | here | False | 0.5 | large |" in text
    assert "| 4 | b | failed | 1 | here | False | - | - |" in text


def test_status_and_the_time_left(done, capsys):
    request = json.loads((done / "sweep.json").read_text())
    started = datetime.fromisoformat(request["started"])

    def after(seconds):
        return (started + timedelta(seconds=seconds)).isoformat()

    # Six of eight points ended, four of them since this call began, in 50 seconds.
    for number, seconds in enumerate([-9, -5, 20, 30, 40, 50]):
        change(done, number, finished=after(seconds))
    change(done, 1, code="older")
    change(done, 5, state="failed", place="cell 3", error="E: m")
    for name in request["points"][6:]:
        notebook_path(done, name).with_suffix(".json").unlink()
    found = status(done)
    assert found.seconds_left == pytest.approx(25)
    assert found.text().splitlines() == [
        "8 points: 5 done, 1 failed, 2 pending",
        "time left at this pace: 0:00:25",
        "1 done with an older chapter or library; run --rerun-stale repeats them",
        f"failed: {request['points'][5]}, cell 3: E: m",
    ]

    assert main(["status", str(done), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["counts"] == {"done": 5, "failed": 1, "pending": 2}
    assert said["seconds_left"] == pytest.approx(25)


def test_no_time_is_said_before_the_first_point_has_ended(done):
    for path in (done / "points").glob("*.json"):
        path.unlink()
    assert status(done).text() == "8 points: 0 done, 0 failed, 8 pending"
    with pytest.raises(InputError, match="holds no sweep"):
        status(done.parent)
