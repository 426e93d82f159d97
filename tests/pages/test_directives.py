"""What the front page shows of claims: a picture, surprises, chapters, the ledger."""

from __future__ import annotations

import json
import re
from html import unescape

import pytest
from minibook import MiniBook, claim, claim_cell

from spectral_book.claims.ledger import Ledger
from spectral_book.claims.rows import with_holm
from spectral_book.pages.directives import no_surprise, plain_sentence


def test_ledger_file_follows_the_table_of_contents(good_book):
    held = json.loads((good_book.html / "ledger.json").read_text())
    rows = held["claims"]
    assert [row["id"] for row in rows] == ["alpha-one", "alpha-two", "beta-one"]
    where = {"page": "alpha", "figure": None, "code": None}
    assert rows[0] == claim("alpha-one") | where
    assert [run["chapter"] for run in held["chapters"]] == ["alpha", "beta"]


def test_unknown_chapter_is_an_error(new_book):
    book = new_book("unknown")
    book.add("alpha")
    book.configure("```{ledger}\n:chapter: gamma\n```\n", execute_notebooks="off")
    result = book.build("-W", "--keep-going")
    assert result.returncode != 0
    assert "the book has no chapter named 'gamma'" in result.stdout


@pytest.mark.parametrize(
    ("verdict", "shown"),
    [
        (
            "not replicated",
            "It grows: measured 0 [−0.0196, 0.0196], where ≥\xa00.5 was",
        ),
        ("weaker than claimed", "needed. It reaches 42 % of the effect asked for."),
        ("inconclusive", "needed. Right sign, but the interval holds the bar."),
        ("not comparable", "It grows: no number was reached. Not run at this size."),
    ],
)
def test_a_claim_without_a_sentence_gets_a_plain_one(verdict, shown):
    assert shown in plain_sentence(claim("a", verdict, statement="It grows."))


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
    rows = [claim(f"a-{i}", verdict) for i, verdict in enumerate(verdicts)]
    ours = claim("ours", "inconclusive", origin="book")
    assert no_surprise(Ledger((*rows, ours), failed)).startswith(start)


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
STRIPS = "chapter.strips()"
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


PRINTED = {"value": 0.58, "where": "Table 2"}


def many(verdict, number, **more):
    """Return so many claims of a verdict."""
    kind = verdict.replace(" ", "-")
    named = {"chapter": "plain"} | more
    whose = named.get("origin", "paper")
    return [claim(f"{whose}-{kind}-{i}", verdict, **named) for i in range(number)]


OURS = {"origin": "book", "threshold": 1e-6, "no_effect": -0.5, "late": "bar"}
SMALL = {"values": [-0.2, -0.22, -0.21], "controls": [-0.5, -0.51, -0.49]}
LUCKY = [0.505, 0.55, 0.6, 0.54, 0.6]
"""Clear the bar of 0.5 with p = 0.016, too much for one of several tests."""


@pytest.fixture(scope="module")
def front(new_book) -> MiniBook:
    """A book of a real chapter and one that only publishes claims."""
    book = new_book("front")
    (book.folder / "claims").mkdir()
    (book.folder / "claims" / "tiny.yaml").write_text(TINY)
    book.add(
        "tiny",
        OPEN,
        *("#! ## First", JUDGE.format("before-figure"), STRIPS, SHOW),
        *(JUDGE.format("after-figure"), STRIPS),
        *("#! ## Second", JUDGE.format("no-figure"), STRIPS, "chapter.publish()"),
    )
    rows = [
        claim("lucky", values=LUCKY, chapter="plain", printed=PRINTED),
        *many("not replicated", 9),
        *many("weaker than claimed", 3),
        *many("inconclusive", 2, values=[0.6, 0.61, 0.62], rounding=0.5),
        *many("replicated", 1, origin="book"),
        *many("weaker than claimed", 2, otherwise="It is small $x$.", **OURS, **SMALL),
        *many("inconclusive", 1, origin="book"),
    ]
    rows = with_holm(rows)
    book.add("plain", claim_cell(*rows))
    book.configure(FRONT)
    built = book.build("-W", "--keep-going")
    assert built.returncode == 0, built.stdout
    return book


def test_figures_are_numbered_and_claims_know_theirs(front):
    held = json.loads((front.html / "ledger.json").read_text())
    rows = {row["id"]: row for row in held["claims"]}
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


@pytest.fixture(scope="module")
def shown_rows(front) -> list[str]:
    """The words of each row of the ledger on the front page."""
    shown = (front.html / "intro.html").read_text()
    return [words(f"<tr{row}") for row in shown.split('class="ledger-claim')[1:]]


def test_rows_say_whose_the_claim_is_and_what_the_control_shows(shown_rows):
    theirs = shown_rows[0]
    assert "Fig. 1 · figure 1 here" in theirs
    assert "finding of this book" not in theirs
    assert "It reaches 22 % of the effect asked for." in theirs
    ours = [row for row in shown_rows if row.startswith("Verdict × does not hold")]
    assert len(ours) == 2
    for row in ours:
        assert "Fig. 3 · a finding of this book · bar set after a run was seen" in row
        assert "≥ 1.0·10⁻⁶ (no effect −0.5)" in row
        assert "value, n = 3" in row
        assert "shuffled: does not show it" in row
        assert "less the control: 0.29 [" in row


def test_rows_say_why_a_claim_is_open_and_what_chance_may_have_done(shown_rows):
    unclear = [row for row in shown_rows if row.startswith("Verdict ? inconclusive")]
    assert len(unclear) == 2
    assert "Rounding decides: on this machine replicated, on" in unclear[0]
    (lucky,) = (row for row in shown_rows if "fails Holm" in row)
    assert "✓ replicated" in lucky
    assert "p = 0.02 against the bar" in lucky
    assert "the paper: 0.58 (Table 2); inside our interval 0.559 [" in lucky


def test_the_ledger_unfolds_chapter_by_chapter(front):
    shown = (front.html / "intro.html").read_text()
    ledger = shown.partition('class="ledger"')[2]
    tiny, plain = ledger.split("<details")[1:]
    assert "Chapter tiny" in words(ledger.partition("<details")[0])
    assert words(tiny.partition("<summary>")[2]).startswith(
        "3 claims of the paper: 1 replicated, 2 weaker than claimed"
    )
    assert tiny.count('class="ledger-claim') == 3
    assert plain.count('class="ledger-claim') == 19
    assert ledger.count("</details>") == 2


def test_the_picture_has_a_square_for_each_claim_and_a_circle_for_each_finding(front):
    shown = (front.html / "intro.html").read_text()
    picture = between(shown, 'class="verdicts"', 'id="after-verdicts"')
    claims, findings, *rows = re.split("verdicts-legend|verdicts-row", picture)[1:]
    assert "18 claims of the papers" in words(claims)
    counted = r"(\d+) (\w[a-z ]+)<"
    assert re.findall(counted, claims.partition("papers")[2]) == [
        ("2", "replicated"),
        ("5", "weaker than claimed"),
        ("9", "not replicated"),
        ("2", "inconclusive"),
    ]
    assert "4 findings of this book" in words(findings)
    assert re.findall(counted, findings.partition("book")[2])[:3] == [
        ("1", "holds"),
        ("2", "does not hold"),
        ("1", "open"),
    ]
    marks = "".join(rows)
    assert marks.count('class="verdict verdict-paper') == 18
    assert marks.count('class="verdict verdict-book') == 4
    assert marks.count("✗") == 9
    assert 'title="weaker than claimed: The size is large."' in marks


def test_surprises_are_told_by_verdict_and_folded_if_there_are_many(front):
    shown = unescape((front.html / "intro.html").read_text())
    told = between(shown, 'class="surprises"', "<table")
    plain = re.sub("<[^>]*>", "", told)
    open_part, weaker, unclear, findings = told.split("<details")
    assert open_part.count("✗") == 9
    assert "of the right sign, weaker than claimed: 5" in weaker
    assert "The size is 2, of" in plain
    assert "The size is large: measured 2 [" in plain
    assert "Claims that stayed open: 2" in unclear
    assert "that do not hold, or are open: 3" in findings
    assert findings.count("×") == 2
    assert "✓" not in told


def test_few_surprises_are_all_shown(new_book):
    book = new_book("few")
    book.add(
        "alpha", claim_cell(*many("weaker than claimed", 2), *many("not replicated", 1))
    )
    book.add("beta", claim_cell(claim("failed", "not replicated"), claim("held")))
    book.add("gamma", claim_cell(claim("also-held")))
    book.configure("```{surprises}\n```\n\n```{verdicts}\n```")
    assert book.build().returncode == 0
    told = between(
        (book.html / "intro.html").read_text(), 'class="surprises"', 'class="verdicts"'
    )
    order = ["Chapter alpha", "✗", "↗", "↗", "Chapter beta", "✗"]
    assert re.findall("Chapter [a-z]+|[↗✗]", told) == order
    assert "<details" not in told


def test_chapters_are_listed_in_order_with_paper_question_and_claims(front):
    shown = (front.html / "intro.html").read_text()
    table = between(shown, 'class="table chapters"', "</table>")
    told = [words(f"<tr{row}") for row in table.split("<tr")[2:]]
    assert told == [
        "Chapter tiny Euler 1748 How large is it? 3 claims of the paper: "
        "1 replicated, 2 weaker than claimed",
        "Chapter plain 15 claims of the paper: 1 replicated, 3 weaker than claimed, "
        "9 not replicated, 2 inconclusive; 4 findings of this book: 1 holds, "
        "2 does not hold, 1 open",
    ]
