"""What the front page shows of claims: a picture, chapters, the ledger."""

from __future__ import annotations

import json
import re
from html import unescape

import pytest
from minibook import MiniBook, claim, claim_cell
from sphinx.errors import ExtensionError

from spectral_book.claims.rows import with_holm
from spectral_book.pages.home import read_findings, said

TINY = """
chapter: tiny
paper: "Euler 1748"
question: "How large is it?"
frozen: "2026-01-01"
minute:
  - says: "It is *large*."
    measured: "It is {no-figure:interval}."
    claim: no-figure
  - says: "It is *large*."
    measured: "Or is it?"
    claim: before-figure
panel: {claim: no-figure, held: "Large", otherwise: "Small", about: "a size"}
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
  - {<<: *first, id: after-figure, otherwise: {}, threshold: 1.75}
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
figure, axes = plt.subplots()
axes.plot([1, 2], [3, 4], label="a line")
chapter.show(figure, "<b>A figure.</b> Of a line.")
"""
FINDINGS = """
- claim: no-figure
  held: "The size is {estimate}: large."
  failed: "The size is small."
  open: "The size is open."
- claim: before-figure
  held: "Very large."
  failed: "Not {threshold}, but {estimate}."
  open: "Open."
- claim: after-figure
  held: "At least {threshold}."
  failed: "Less."
  open: "Open."
"""
FRONT = """
```{lead}
```
```{answer}
```
```{findings}
```
```{verdicts}
```
```{chapters}
```
```{ledger}
```
"""


PRINTED = {"value": 0.58, "where": "Table 2"}
TAGS = ("<script>alert", "<img src=x", "<svg onload")
ALIVE = (
    "<script>alert(1)</script> $1<x$ <img src=x onerror=alert(1)> "
    "`<svg onload=alert(1)>`"
)
LIVING = {"statement": f"Alive? {ALIVE}", "otherwise": f"Dead. {ALIVE}"}


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
    (book.folder / "findings.yaml").write_text(FINDINGS)
    book.add(
        "tiny",
        OPEN,
        *("#! ## First", JUDGE.format("before-figure"), STRIPS, SHOW),
        *(JUDGE.format("after-figure"), STRIPS),
        *("#! ## Second", JUDGE.format("no-figure"), STRIPS),
        *('chapter.panel([1, 2, 4], [0.0, 0.5, 1.0], "wave")', "chapter.publish()"),
    )
    rows = [
        claim("lucky", values=LUCKY, chapter="plain", printed=PRINTED),
        claim("alive", "weaker than claimed", chapter="plain", **LIVING),
        *many("not replicated", 9),
        *many("weaker than claimed", 3),
        *many("inconclusive", 2, values=[0.6, 0.61, 0.62], rounding=(0.5, 0.5)),
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


def test_a_figure_leads_to_the_numbers_that_it_draws(front):
    shown = (front.html / "tiny.html").read_text()
    link = '<a class="figure-data" href="_data/tiny/figure-1.json">data of figure 1</a>'
    assert shown.count(link) == 1
    held = json.loads((front.html / "_data" / "tiny" / "figure-1.json").read_text())
    assert (held["chapter"], held["caption"]) == ("tiny", "A figure. Of a line.")
    (curve,) = held["drawn"][0]["curves"]
    assert curve == {"label": "a line", "x": [1.0, 2.0], "y": [3.0, 4.0]}


def test_a_strip_says_on_its_face_that_it_fails_holm(front):
    shown = (front.html / "tiny.html").read_text()
    faces = {
        name: between(shown, f'id="{name}"><summary>', "</summary>")
        for name in ("after-figure", "no-figure")
    }
    assert "may be chance (p = 0.02, fails Holm)" in words(faces["after-figure"])
    assert "✓ replicated" in words(faces["no-figure"])
    assert "Holm" not in faces["no-figure"]


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
    assert "Rounding on another processor could turn that." in unclear[0]
    _, lucky = (row for row in shown_rows if "fails Holm" in row)
    assert "✓ replicated" in lucky
    assert "p = 0.02 against the bar" in lucky
    assert "the paper: 0.58 (Table 2); inside our interval 0.559 [" in lucky


def test_the_ledger_unfolds_chapter_by_chapter(front):
    shown = (front.html / "intro.html").read_text()
    ledger = shown.partition('class="ledger"')[2]
    tiny, plain = ledger.split("<details")[1:]
    assert "Chapter tiny" in words(ledger.partition("<details")[0])
    assert words(tiny.partition("<summary>")[2]).startswith(
        "3 claims of the paper: 2 replicated, 1 weaker than claimed"
    )
    assert tiny.count('class="ledger-claim') == 3
    assert plain.count('class="ledger-claim') == 20
    assert ledger.count("</details>") == 2


def test_the_picture_has_a_square_for_each_claim_and_a_circle_for_each_finding(front):
    shown = (front.html / "intro.html").read_text()
    picture = between(shown, 'class="verdicts"', 'id="after-verdicts"')
    claims, findings, *rows = re.split("verdicts-legend|verdicts-row", picture)[1:]
    assert "19 claims of the papers" in words(claims)
    counted = r"(\d+) (\w[a-z ]+)<"
    assert re.findall(counted, claims.partition("papers")[2]) == [
        ("3", "replicated"),
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
    assert marks.count('class="verdict verdict-paper') == 19
    assert marks.count('class="verdict verdict-book') == 4
    assert marks.count("✗") == 9
    assert 'title="weaker than claimed: The size is large."' in marks


def test_html_in_claims_and_sentences_is_text_on_the_page(front):
    shown = (front.html / "intro.html").read_text()
    assert shown.count("Alive?") == 2  # in the ledger, and in the picture's title
    for tag in TAGS:
        assert tag not in shown
    assert shown.count("alert(1)") == 6
    assert r"\(1&lt; x\)" in shown  # the space does not show


def test_chapters_are_listed_in_order_with_paper_question_and_claims(front):
    shown = (front.html / "intro.html").read_text()
    cards = between(shown, 'class="cards"', 'class="ledger"').split(
        'class="chapter-card"'
    )
    told = [words(f"<{card}").removesuffix(" <div") for card in cards[1:]]
    assert told[0] == (
        "still missing ↑ wave → Chapter tiny Euler 1748 How large is it? "
        "It is large . ✓ replicated It is 2 [1.75, 2.25]. "
        "3 claims of the paper: 2 replicated, 1 weaker than claimed"
    )
    assert told[1] == (
        "Chapter plain 16 claims of the paper: 1 replicated, 4 weaker than claimed, "
        "9 not replicated, 2 inconclusive; 4 findings of this book: 1 holds, "
        "2 do not hold, 1 open"
    )


def test_the_answer_is_a_curve_that_leads_to_its_chapter(front):
    shown = (front.html / "intro.html").read_text()
    panel = between(shown, 'class="panels"', 'class="findings"')
    assert 'href="tiny.html"' in panel
    # Nothing is missing at the lowest frequency, all of it at the highest.
    assert 'points="0.0,80.0 66.7,40.0 200.0,0.0"' in panel
    assert "<b>Large</b>" in panel
    assert "0.00 to 1.00" in panel


def test_findings_are_told_by_the_verdict_of_the_build(front):
    page = (front.html / "intro.html").read_text()
    lead, rest = (words(part) for part in page.split('class="panels"'))
    assert "The size is 2: large. ( Euler 1748, replicated )" in lead
    assert "Not 9, but 2. ( Euler 1748, weaker than claimed )" in lead
    told = "At least 1.75. ( Euler 1748, replicated )"
    assert told in rest
    assert told not in lead
    assert "large. (" not in rest


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- {claim: gone, held: a, failed: b, open: c}", "names no claim of the book"),
        ("- {claim: a, held: '{size}', failed: b, open: c}", "names {size}"),
        ("- {claim: a, held: a, failed: b}", "'0.open' is missing"),
        ("- {claim: a\n", "findings.yaml"),
    ],
)
def test_findings_that_cannot_be_told_are_refused(tmp_path, text, message):
    path = tmp_path / "findings.yaml"
    path.write_text(text)
    with pytest.raises((ValueError, ExtensionError), match=re.escape(message)):
        said(read_findings(path), [], complete=True)


def test_a_page_begins_with_the_answer_and_ends_with_how_to_cite_it(front):
    page = (front.html / "tiny.html").read_text()
    assert page.index('class="minute"') < page.index('<section id="first"')
    minute = words(between(page, 'class="minute"', "</table>"))
    assert "It is large . It is 2 [1.75, 2.25]. ✓ replicated" in minute
    # What is quoted twice stands there once, with two verdicts.
    assert minute.count("It is large .") == 1
    assert minute.index("Or is it?") < minute.index("↗ weaker than claimed")
    assert 'rowspan="2"' in page
    cite = words(between(page, 'class="folded cite"', "</details>"))
    assert "title = {Chapter tiny} , booktitle = {The Spectral Bias Book}" in cite
    assert 'class="minute"' not in (front.html / "plain.html").read_text()


def test_a_page_folds_its_code(front):
    page = (front.html / "tiny.html").read_text()
    assert page.count("tag_hide-input") == page.count("cell_input")
