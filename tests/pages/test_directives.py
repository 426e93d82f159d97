"""What the front page shows of claims: a picture, surprises, chapters, the ledger."""

from __future__ import annotations

import json
import re
from html import unescape

import nbformat
import pytest
import yaml
from minibook import MiniBook, claim, claim_cell

from spectral_book.claims.ledger import Ledger
from spectral_book.pages.directives import no_surprise, plain_sentence
from spectral_book.records import differences


def test_ledger_file_follows_the_table_of_contents(good_book):
    rows = json.loads((good_book.html / "ledger.json").read_text())
    assert [row["id"] for row in rows] == ["alpha-one", "alpha-two", "beta-one"]
    where = {"page": "alpha", "figure": None, "code": None}
    assert rows[0] == claim("alpha-one") | where


def test_unknown_chapter_is_an_error(new_book):
    book = new_book("unknown")
    book.add("alpha")
    book.configure("```{ledger}\n:chapter: gamma\n```\n", execute_notebooks="off")
    result = book.build("-W", "--keep-going")
    assert result.returncode != 0
    assert "the book has no chapter named 'gamma'" in result.stdout


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({}, "It grows: measured 0.5 [0.4, 0.6], where ≥ 1 was needed."),
        (
            {"verdict": "inconclusive", "why": "Too wide."},
            "It grows: measured 0.5 [0.4, 0.6], where ≥ 1 was needed. Too wide.",
        ),
        ({"estimate": None, "why": "Two seeds."}, "It grows: no number was reached."),
        ({"estimate": None, "why": "Withdrawn: old."}, "It grows: Withdrawn: old."),
        ({"threshold": None}, "It grows: measured 0.5 [0.4, 0.6]."),
    ],
)
def test_a_claim_without_a_sentence_gets_a_plain_one(change, shown):
    row = claim("a", "not replicated", statement="It grows.", threshold="≥ 1")
    row |= {"estimate": 0.5, "ci_low": 0.4, "ci_high": 0.6} | change
    assert plain_sentence(row).startswith(shown)


@pytest.mark.parametrize(
    ("verdicts", "failed", "start"),
    [
        (["replicated"], (), "Every claim that could be judged held."),
        (["replicated", "not comparable"], (), "Every claim"),
        (["replicated", "inconclusive"], (), "No claim failed that could be judged."),
        (["replicated"], ("broken",), "No claim failed that could be judged."),
        (["inconclusive", "not comparable"], (), "No claim could be judged."),
        ([], (), "No claim could be judged."),
    ],
)
def test_without_surprises_the_page_says_how_much_that_tells(verdicts, failed, start):
    rows = tuple(claim(f"a-{i}", verdict) for i, verdict in enumerate(verdicts))
    assert no_surprise(Ledger(rows, failed)).startswith(start)


TINY = """
chapter: tiny
paper: "Euler 1748"
question: "How large is it?"
frozen: "2026-01-01"
claims:
  - &first
    id: before-figure
    source: "Fig. 1"
    statement: "The size is *large*."
    statistic: value
    quantity: "size"
    direction: greater
    no_effect: 0.0
    threshold: 9.0
    control: "size 0"
    otherwise: "The size is {estimate}, of $9$ that were asked."
    differs: {quick: "", gpu: "", paper: ""}
  - {<<: *first, id: after-figure, otherwise: {}}
  - {<<: *first, id: no-figure, threshold: 1.0}
"""

OPEN = """
from spectral_book.chapter.chapter import open_chapter
from spectral_book.chapter.parameters import ChapterParameters

class Parameters(ChapterParameters):
    pass

P = Parameters(profile="quick", seeds=[1, 2, 3], device="cpu")
chapter = open_chapter("tiny", P)
x = [2.1, 2.0, 1.9]
"""
JUDGE = 'chapter.judge("{}", x=x, control={{"x": [0.0, 0.0, 0.0]}})'
SHOW = """
import matplotlib.pyplot as plt
chapter.show(plt.figure(), "<b>A figure.</b> Nothing is drawn.")
"""
FRONT = """
```{verdicts}
```
```{surprises}
```
```{chapters}
```
```{ledger}
```
"""


TAGS = ("<script>alert", "<img src=x", "<svg onload")
ALIVE = (
    "<script>alert(1)</script> $1<x$ <img src=x onerror=alert(1)> "
    "`<svg onload=alert(1)>`"
)


def many(verdict, number, **more):
    """Return so many claims of a verdict."""
    kind = verdict.replace(" ", "-")
    return [claim(f"{kind}-{i}", verdict, **more) for i in range(number)]


OURS = {
    "origin": "book",
    "statistic": "log_log_slope",
    "threshold": "≥ 1e-06 (no effect -0.5)",
    "control": {"name": "shuffled", "estimate": 2.0, "verdict": "not replicated"},
}


@pytest.fixture(scope="module")
def front(new_book) -> MiniBook:
    """A book of a real chapter and one that only publishes claims."""
    book = new_book("front")
    (book.folder / "claims").mkdir()
    (book.folder / "claims" / "tiny.yaml").write_text(TINY)
    book.add(
        "tiny",
        OPEN,
        *("#! ## First", JUDGE.format("before-figure"), SHOW),
        JUDGE.format("after-figure"),
        *("#! ## Second", JUDGE.format("no-figure"), "chapter.publish()"),
    )
    rows = [
        *many("not replicated", 9, why="Not told."),
        *many("direction only", 3, otherwise="It is small $x$.", **OURS),
        *many("inconclusive", 2, why="Too wide.", rounding_decides=True),
    ]
    book.add("plain", claim_cell(*rows))
    book.configure(FRONT)
    built = book.build("-W", "--keep-going")
    assert built.returncode == 0, built.stdout
    return book


def test_figures_are_numbered_and_claims_know_theirs(front):
    rows = {r["id"]: r for r in json.loads((front.html / "ledger.json").read_text())}
    assert rows["before-figure"]["figure"] == 1
    assert rows["after-figure"]["figure"] == 1
    assert rows["no-figure"]["figure"] is None
    assert rows["no-figure"]["code"] == "code-no-figure"
    shown = (front.html / "tiny.html").read_text()
    assert '<p class="caption" id="figure-1"><b>Figure 1.</b> <b>A figure.' in shown


def test_all_links_of_the_front_page_to_the_chapter_lead_somewhere(front):
    shown = (front.html / "intro.html").read_text()
    links = re.findall(r'href="tiny\.html#([^"]*)"', shown)
    names = ("before-figure", "after-figure", "no-figure")
    assert set(links) == {*names, *(f"code-{name}" for name in names), "figure-1"}
    there = (front.html / "tiny.html").read_text()
    assert all(there.count(f'id="{anchor}"') == 1 for anchor in set(links))


def between(text, start, end):
    """Return the part of a page from one mark to the next."""
    return text.partition(start)[2].partition(end)[0]


def words(html):
    """Return the visible words of a part of a page, with plain apostrophes."""
    return " ".join(re.sub("<[^>]*>", " ", unescape(html)).replace("’", "'").split())


def test_rows_say_whose_the_claim_is_why_it_is_open_and_what_the_control_shows(front):
    shown = (front.html / "intro.html").read_text()
    rows = [words(row) for row in shown.split('class="ledger-claim')[1:]]
    theirs, unclear = (
        next(row for row in rows if sign in row)
        for sign in ("Fig. 1 · figure 1 here", "? inconclusive")
    )
    ours = [row for row in rows if "log log slope, n = 5" in row]
    assert len(ours) == 3
    for row in ours:
        assert "Fig. 3 · this book's own claim" in row
        assert "≥ 1.0·10⁻⁶ (no effect −0.5)" in row
        assert "2 shuffled: does not show it" in row
    assert "own claim" not in theirs
    assert "Too wide. rounding decides" in unclear
    assert not any("Not told" in row for row in rows)


def test_the_ledger_unfolds_chapter_by_chapter(front):
    shown = (front.html / "intro.html").read_text()
    ledger = shown.partition('class="ledger"')[2]
    tiny, plain = ledger.split("<details")[1:]
    assert "Chapter tiny" in words(ledger.partition("<details")[0])
    assert words(tiny.partition("<summary>")[2]).startswith(
        "3 claims, the paper's: 1 replicated, 2 direction only"
    )
    assert tiny.count('class="ledger-claim') == 3
    assert plain.count('class="ledger-claim') == 14
    assert ledger.count("</details>") == 2


def test_the_picture_has_a_square_for_each_claim(front):
    shown = (front.html / "intro.html").read_text()
    picture = between(shown, 'class="verdicts"', 'id="after-verdicts"')
    legend, _, rows = picture.partition("verdicts-row")
    assert "17 claims , 14 of them the papers'" in words(legend)
    assert re.findall(r"(\d+) (\w[a-z ]+)<", legend.partition("17 claims")[2])[:4] == [
        ("1", "replicated"),
        ("5", "direction only"),
        ("9", "not replicated"),
        ("2", "inconclusive"),
    ]
    assert rows.count('class="name"') == 17
    assert rows.count("✗") == 9
    assert "3 claims, the paper's: 1 replicated, 2 direction only" in words(picture)
    assert 'title="direction only: The size is large."' in rows


def test_surprises_are_told_by_verdict_and_folded_if_there_are_many(front):
    shown = unescape((front.html / "intro.html").read_text())
    told = between(shown, 'class="surprises"', "<table")
    plain = re.sub("<[^>]*>", "", told)
    open_part, weaker, unclear = told.split("<details")
    assert open_part.count("✗") == 9
    assert "but not surely in the size asked for: 5" in weaker
    assert "The size is 2, of" in plain
    assert "The size is large: measured 2 [" in plain
    assert "Claims that stayed open: 2" in unclear
    assert "✓" not in told


@pytest.fixture(scope="module")
def few(new_book) -> MiniBook:
    """A book of few surprises, whose last claim holds HTML."""
    book = new_book("few")
    book.add(
        "alpha", claim_cell(*many("direction only", 2), *many("not replicated", 1))
    )
    book.add("beta", claim_cell(claim("failed", "not replicated"), claim("held")))
    told = {"statement": f"Alive? {ALIVE}", "otherwise": f"Dead. {ALIVE}"}
    book.add("gamma", claim_cell(claim("alive", "direction only", **told)))
    shown = ("surprises", "verdicts", "ledger")
    book.configure("\n".join(f"```{{{name}}}\n```\n" for name in shown))
    built = book.build()
    assert built.returncode == 0, built.stdout
    return book


def test_few_surprises_are_all_shown(few):
    told = between(
        (few.html / "intro.html").read_text(), 'class="surprises"', 'class="verdicts"'
    )
    order = ["Chapter alpha", "✗", "↗", "↗", "Chapter beta", "✗", "Chapter gamma", "↗"]
    assert re.findall("Chapter [a-z]+|[↗✗]", told) == order
    assert "<details" not in told


def test_html_in_claims_and_sentences_is_text_on_the_page(few):
    front = (few.html / "intro.html").read_text()
    assert front.count("Alive?") == 2  # in the ledger, and in the picture's title
    assert front.count("Dead.") == 1
    for tag in TAGS:
        assert tag not in front
    assert front.count("alert(1)") == 9
    assert r"\(1&lt; x\)" in front  # the space does not show


def test_chapters_are_listed_in_order_with_paper_question_and_claims(front):
    shown = (front.html / "intro.html").read_text()
    table = between(shown, 'class="table chapters"', "</table>")
    told = [words(f"<tr{row}") for row in table.split("<tr")[2:]]
    assert told == [
        "Chapter tiny Euler 1748 How large is it? 3, the paper's",
        "Chapter plain 14, 11 of them the paper's",
    ]


def test_another_wording_does_not_outdate_a_record(tmp_path):
    (tmp_path / "book" / "claims").mkdir(parents=True)
    (tmp_path / "params" / "gpu").mkdir(parents=True)
    (tmp_path / "params" / "gpu" / "tiny.yaml").write_text("profile: gpu\n")
    cell = nbformat.v4.new_code_cell('profile = "quick"')
    cell.metadata["tags"] = ["parameters"]
    notebook = nbformat.v4.new_notebook(cells=[cell])
    nbformat.write(notebook, tmp_path / "book" / "tiny.ipynb")
    path = tmp_path / "book" / "claims" / "tiny.yaml"
    rows = [
        {
            **{key: one[key] for key in ("id", "statistic", "quantity")},
            "interval": "t",
            "threshold": f"≥ {one['threshold']:g} (no effect 0)",
            "control": {"name": one["control"]},
            "otherwise": "an older wording",
        }
        for one in yaml.safe_load(TINY)["claims"]
    ]
    record = {"chapter": "tiny", "profile": "gpu", "claims": rows}
    record["parameters"] = {"profile": "gpu"}
    path.write_text(TINY)
    assert differences(record, tmp_path) == []
    path.write_text(TINY.replace("How large", "How big").replace("asked", "wanted"))
    assert differences(record, tmp_path) == []
    path.write_text(TINY.replace("threshold: 9.0", "threshold: 8.0"))
    assert len(differences(record, tmp_path)) == 2
