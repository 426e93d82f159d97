"""What is published: rows checked, a ledger that its schema allows, a table."""

import csv
import io
import json

import jsonschema
import numpy as np
import pytest
from one_claim import BAND, RUN, around, claim, file_of, row

from spectral_book.claims.published import check_row, schema, to_csv, to_json
from spectral_book.claims.rows import row_without_numbers

FAR = [-1.0, -1.2, 0.0, -0.5, -0.7]
PRINTED = {"value": 0.88, "spread": 0.1, "where": "Table 2"}
CONDITION = {"quantity": "NMSE", "below": 0.1}
FULL = row(
    around(1.5, 0.4), FAR, measured=[0.05], printed=PRINTED, precondition=CONDITION
)
ROWS = (
    FULL,
    row([np.inf, 1.0, np.nan, 2.0], FAR[:4]),
    row(around(0, 0.3), FAR, **BAND, origin="book"),
    row([0.9, 0.8, 1.0], FAR[:3], bounds=(-1.0, 1.0), threshold=0.5, rounding=0.1),
    row_without_numbers(
        claim(), file_of(claim()), "not comparable", 'Not "run".', **RUN
    ),
)
RUN_OF = {
    "chapter": "c",
    "profile": "quick",
    "device": "cpu",
    "parameters": {"seeds": [1, 2], "rate": 0.1},
    "differences": [{"name": "a", "here": "1", "paper": "2", "meaning": "size"}],
    "minute": [{"says": "x", "measured": "y", "claim": "a", "verdict": "open"}],
    "panel": {"title": "t", "about": "a", "label": "k", "x": [1.0], "missing": [0.5]},
}
BUILT = {"book": "2", "commit": "abc", "date": "2026-01-01"}


@pytest.mark.parametrize("one", ROWS, ids=lambda one: one["verdict"])
def test_every_row_that_is_judged_can_be_published(one):
    check_row(one)
    check_row(json.loads(json.dumps(one)) | {"page": "p", "figure": 3, "code": "c"})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"verdict": "yes"}, "the verdict 'yes' is not the word for 'replicated'"),
        ({"origin": "book"}, "'replicated' is not the word for 'replicated'"),
        ({"verdict": "holds"}, "'holds' is not the word"),
        ({"rule": "direction only"}, "rule = 'direction only'"),
        ({"origin": "me"}, "origin = 'me'"),
        ({"statement": ""}, "statement"),
        ({"id": ""}, "id"),
        ({"estimate": "0.5"}, "estimate"),
        ({"estimate": float("nan")}, "estimate"),
        ({"ci_low": True}, "ci_low"),
        ({"ci_high": float("inf")}, "ci_high"),
        ({"n": -1}, "n = -1"),
        ({"n": 5.0}, "n = 5.0"),
        ({"values": [float("nan")]}, "values.0"),
        ({"values": "all"}, "values"),
        ({"p_bar": float("nan")}, "p_bar"),
        ({"control": "shuffled"}, "control"),
        ({"control": {**FULL["control"], "shows": "it"}}, "control.shows"),
        ({"difference": {}}, "Field 'difference.how' is missing"),
        ({"printed": {**PRINTED, "value": "0.88"}}, "printed.value"),
        ({"precondition": {**FULL["precondition"], "below": "1"}}, "precondition"),
        ({"scale": {**FULL["scale"], "margin": None}}, "scale.margin"),
        ({"verdikt": 1}, "Unknown field 'verdikt': did you mean 'verdict'"),
    ],
)
def test_what_is_no_row_is_refused_by_name(change, told):
    with pytest.raises(ValueError, match=r"claim '.*': ") as caught:
        check_row(FULL | change)
    assert told in str(caught.value)


# Records made before rows had "elsewhere" count still.
@pytest.mark.parametrize("name", sorted(set(FULL) - {"id", "elsewhere"}))
def test_a_field_that_is_missing_is_named(name):
    with pytest.raises(ValueError, match=f"Field '{name}' is missing"):
        check_row({key: value for key, value in FULL.items() if key != name})


def test_a_row_is_a_mapping():
    with pytest.raises(ValueError, match="a claim is list, not a mapping"):
        check_row([])


def test_the_schema_allows_what_is_written_and_nothing_else():
    rule = json.loads(schema())
    jsonschema.Draft202012Validator.check_schema(rule)
    written = json.loads(to_json(ROWS, (RUN_OF, RUN_OF | {"panel": None}), **BUILT))
    jsonschema.validate(written, rule)
    assert written["schema"] == 1
    assert [one["id"] for one in written["claims"]] == ["a-claim"] * 5
    for wrong in (
        {"commit": 1},
        {"claims": [FULL | {"rule": "yes"}]},
        {"claims": [FULL | {"extra": 1}]},
        {"claims": [{k: v for k, v in FULL.items() if k != "values"}]},
        {"chapters": [{"chapter": "c"}]},
        {"schema": 2},
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(written | wrong, rule)


def test_a_ledger_that_is_not_of_its_form_is_not_written():
    with pytest.raises(ValueError, match="commit"):
        to_json(ROWS, [RUN_OF], book="2", date="d")
    with pytest.raises(ValueError, match="values"):
        to_json([FULL | {"values": [float("nan")]}], [RUN_OF], **BUILT)


def test_the_table_has_a_line_a_row_and_every_seed():
    text = to_csv([*ROWS, FULL | {"statement": 'two\nlines, and "quotes"'}])
    lines = list(csv.DictReader(io.StringIO(text)))
    assert len(lines) == 6
    first, second, third = lines[:3]
    assert first["verdict"] == "replicated"
    assert [float(x) for x in first["values"].split()] == FULL["values"]
    assert (first["printed"], third["printed"]) == ("0.88", "")
    assert second["values"].split() == ["inf", "1.0", "nan", "2.0"]
    assert (third["band"], third["threshold"]) == ("-0.5 0.5", "")
    assert (third["origin"], third["verdict"]) == ("book", "holds")
    assert lines[4]["values"] == ""
    assert lines[5]["statement"] == 'two\nlines, and "quotes"'
    assert text.count("\n") == 8
