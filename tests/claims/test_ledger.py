"""The ledger: collected from executed notebooks and checked."""

import nbformat
import pytest
from one_claim import around
from one_claim import row as judged

from spectral_book.claims.ledger import (
    MIME_TYPE,
    Ledger,
    claims_of,
    repeated_ids,
    runs_of,
    without_claims,
)

JUDGED = judged(around(1.5, 0.4), [-1.0, -1.2, 0.0, -0.5, -0.7])
RUN = {"chapter": "one", "profile": "quick", "device": "cpu", "parameters": {}}
RUN |= {"differences": [], "minute": [], "panel": None}


def row(name, **more):
    """What a chapter writes of a claim."""
    return JUDGED | {"id": name, "chapter": "one"} | more


def notebook(*rows, **beside):
    """Return a notebook whose one cell holds claims, and perhaps something beside."""
    published = {"run": RUN, "claims": [*rows]}
    data = {MIME_TYPE: published, **beside}
    output = nbformat.v4.new_output("display_data", data=data)
    return nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell("# Title"),
            nbformat.v4.new_code_cell("1", outputs=[output]),
        ]
    )


def test_claims_come_with_their_page_and_run():
    source = notebook(row("one.a"), row("one.b", origin="book", verdict="holds"))
    rows = claims_of("chapters/one", source)
    assert [one["id"] for one in rows] == ["one.a", "one.b"]
    assert {one["page"] for one in rows} == {"chapters/one"}
    assert rows[0]["values"] == JUDGED["values"]
    assert (rows[0]["figure"], rows[0]["code"]) == (None, None)
    assert runs_of("chapters/one", source) == [RUN | {"page": "chapters/one"}]
    assert runs_of("one", nbformat.v4.new_notebook()) == []


def test_a_bad_claim_is_refused_with_its_page():
    with pytest.raises(ValueError, match=r"^page/one: claim 'one\.a': statement"):
        claims_of("page/one", notebook(row("one.a", statement="")))


@pytest.mark.parametrize(
    "published",
    [[JUDGED], {"claims": []}, {"run": RUN}, {"run": 1, "claims": [], "x": 1}],
)
def test_an_output_holds_a_run_and_its_claims(published):
    source = notebook()
    source.cells[1].outputs[0].data[MIME_TYPE] = published
    for read in (claims_of, runs_of):
        with pytest.raises(ValueError, match="one: its ledger does not hold a run and"):
            read("one", source)


def test_repeated_id_is_found_within_and_across_pages():
    rows = [{"id": "a", "page": "one"}, {"id": "b", "page": "one"}]
    assert repeated_ids(rows) == []
    assert repeated_ids([*rows, {"id": "a", "page": "two"}]) == [
        "claim id 'a' is used 2 times: in one, two"
    ]


def test_a_page_has_its_own_rows_and_run():
    rows = (row("a", page="pages/first"), row("b", page="second"))
    runs = ({"page": "other"}, {"page": "pages/first"})
    ledger = Ledger(rows, ("third",), runs)
    assert ledger.rows_of("pages/first") == [rows[0]]
    assert ledger.run_of("pages/first") == runs[1]
    assert (ledger.rows_of("third"), ledger.run_of("third")) == ([], None)


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
