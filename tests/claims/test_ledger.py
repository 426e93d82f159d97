"""The ledger: collected from executed notebooks and checked."""

import nbformat
import pytest

from spectral_book.claims.ledger import (
    MIME_TYPE,
    VERDICTS,
    Ledger,
    claims_of,
    repeated_ids,
    without_claims,
)


def row(name, verdict="replicated", **more):
    """What a chapter writes of a claim."""
    return {
        "id": name,
        "chapter": "one",
        "statement": "It grows",
        "estimate": 0.6,
        "ci_low": 0.5,
        "ci_high": 0.7,
        "n": 5,
        "control": {"name": "shuffled"},
        "values": [0.5, 0.6, 0.7],
        "verdict": verdict,
        **more,
    }


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
    rows = claims_of("chapters/one", notebook(row("one.a"), row("one.b")))
    assert [one["id"] for one in rows] == ["one.a", "one.b"]
    assert {one["page"] for one in rows} == {"chapters/one"}
    assert rows[0]["values"] == [0.5, 0.6, 0.7]


@pytest.mark.parametrize("verdict", VERDICTS)
def test_every_verdict_is_known(verdict):
    assert claims_of("one", notebook(row("one.a", verdict)))[0]["verdict"] == verdict


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
        claims_of("one", notebook(row("one.a") | change))


def test_repeated_id_is_found_within_and_across_pages():
    rows = [{"id": "a", "page": "one"}, {"id": "b", "page": "one"}]
    assert repeated_ids(rows) == []
    assert repeated_ids([*rows, {"id": "a", "page": "two"}]) == [
        "claim id 'a' is used 2 times: in one, two"
    ]


def test_count_line_tells_verdicts_in_their_order():
    rows = [row("a", "inconclusive"), row("b"), row("c")]
    rows = [one | {"page": "one", "origin": "paper"} for one in rows]
    line = Ledger(tuple(rows)).count_line()
    assert line == "3 claims, the paper's: 2 replicated, 1 inconclusive"


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        ([], "0 claims"),
        ([("one", None)], "1 claim, the paper's: 1 replicated"),
        ([("one", "book")] * 2, "2 claims, the book's own: 2 replicated"),
        (
            [("one", "paper"), ("one", "book")],
            "2 claims, 1 of them the paper's: 2 replicated",
        ),
        (
            [("one", "paper"), ("two", "paper"), ("two", "book")],
            "3 claims, 2 of them the papers': 3 replicated",
        ),
    ],
)
def test_count_line_of_a_page_says_whose_claims_they_are(rows, line):
    claims = tuple(row("a", page=page, origin=origin) for page, origin in rows)
    assert Ledger(claims).count_line() == line


def test_a_chapter_is_named_by_its_document_or_by_itself():
    rows = (row("a", page="pages/first", chapter="first"), row("b", page="second"))
    ledger = Ledger(rows, ("third",))
    for name in ("first", "pages/first"):
        assert ledger.of_chapter(name) == Ledger(rows[:1])
    assert ledger.of_chapter("third") == Ledger((), ("third",))


def test_page_keeps_what_stands_beside_the_claims():
    source = notebook(row("a"), **{"text/plain": "a table"})
    source.metadata["widgets"] = {"a-mime-type": {"state": {}}}
    page = without_claims(source)
    assert "widgets" in source.metadata
    assert "widgets" not in page.metadata
    assert page.cells[1].outputs[0].data == {"text/plain": "a table"}
    assert MIME_TYPE in source.cells[1].outputs[0].data
    assert without_claims(notebook(row("a"))).cells[1].outputs == []
    nbformat.validate(page)
