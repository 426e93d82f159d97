"""The ledger: collected from the chapters, checked, and shown as a table."""

from __future__ import annotations

import json

import nbformat
import pytest
from minibook import claim

from spectral_lib.book.ledger import (
    MIME_TYPE,
    VERDICTS,
    Ledger,
    claims_of,
    repeated_ids,
    without_claims,
)


def notebook(*rows, **beside):
    """Return a notebook whose one cell holds claims, and perhaps something beside."""
    output = nbformat.v4.new_output("display_data", data={MIME_TYPE: [*rows], **beside})
    return nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell("# Title"),
            nbformat.v4.new_code_cell("1", outputs=[output]),
        ]
    )


def test_claims_come_with_their_page():
    rows = claims_of("chapters/one", notebook(claim("one.a"), claim("one.b")))
    assert [row["id"] for row in rows] == ["one.a", "one.b"]
    assert {row["page"] for row in rows} == {"chapters/one"}
    assert rows[0]["values"] == [0.5, 0.6, 0.7]


@pytest.mark.parametrize("verdict", VERDICTS)
def test_every_verdict_is_known(verdict):
    assert claims_of("one", notebook(claim("one.a", verdict)))[0]["verdict"] == verdict


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"verdict": "yes"}, "none of: replicated"),
        ({"statement": ""}, "has no statement"),
        ({"id": None}, "has no id"),
        ({"estimate": "0.5"}, "estimate = '0.5', not a number"),
        ({"ci_low": True}, "ci_low = True, not a number"),
        ({"control": "shuffled"}, "control that is no mapping"),
        ({"values": [float("nan")]}, "not JSON compliant"),
    ],
)
def test_bad_claim_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        claims_of("one", notebook(claim("one.a") | change))


def test_repeated_id_is_found_within_and_across_pages():
    rows = [{"id": "a", "page": "one"}, {"id": "b", "page": "one"}]
    assert repeated_ids(rows) == []
    assert repeated_ids([*rows, {"id": "a", "page": "two"}]) == [
        "claim id 'a' is used 2 times: in one, two"
    ]


def test_count_line():
    rows = [claim("a", "inconclusive"), claim("b"), claim("c")]
    line = Ledger(tuple(rows)).count_line()
    assert line == "3 claims: 2 replicated, 1 inconclusive"
    assert Ledger(()).count_line() == "0 claims"


def test_page_keeps_what_stands_beside_the_claims():
    source = notebook(claim("a"), **{"text/plain": "a table"})
    page = without_claims(source)
    assert page.cells[1].outputs[0].data == {"text/plain": "a table"}
    assert MIME_TYPE in source.cells[1].outputs[0].data
    assert without_claims(notebook(claim("a"))).cells[1].outputs == []
    nbformat.validate(page)


def test_ledger_file_follows_the_table_of_contents(good_book):
    rows = json.loads((good_book.html / "ledger.json").read_text())
    assert [row["id"] for row in rows] == ["alpha.one", "alpha.two", "beta.one"]
    assert rows[0] | {"page": None} == claim("alpha.one") | {"page": None}


def test_unknown_chapter_is_an_error(new_book):
    book = new_book("unknown")
    book.add("alpha")
    book.configure("```{ledger}\n:chapter: gamma\n```\n", execute_notebooks="off")
    result = book.build("-W", "--keep-going")
    assert result.returncode != 0
    assert "the book has no chapter named 'gamma'" in result.stdout
