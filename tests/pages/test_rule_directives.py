"""What pages show of the rule itself, against numbers counted by hand."""

from __future__ import annotations

import re
from html import unescape
from types import SimpleNamespace

import numpy as np
import pytest
from minibook import claim, claim_cell
from pages import barriers

from spectral_book.claims import coverage
from spectral_book.claims.printed import papers_claims
from spectral_book.claims.rows import with_holm
from spectral_book.claims.scales import Scale
from spectral_book.claims.verdicts import Bar
from spectral_book.pages.rule_directives import (
    FACTORS,
    chance,
    claim_example,
    drawn,
    moved,
    replicated_by_factor,
)

ZERO_BAND = {"direction": "within", "band": [-0.5, 0.5], "threshold": None}
ZERO_BAND |= {"no_effect": None, "controls": [3.0, 3.1, 2.9]}
INFINITE = [float("inf"), 2.0, 3.0, 3.0]

# Each bar is 0.5 from no effect; behind each row, the factors up to which it clears it.
ROWS = with_holm(
    [
        claim("just", printed={"value": 0.61, "where": "Table 1"}),  # 1
        claim("never", "weaker than claimed"),  # none
        claim("lower", values=[0.4, 0.41, 0.39, 0.4, 0.4]),  # 0.7
        claim("far", values=INFINITE, printed={"value": 9.0, "where": "Fig. 2"}),  # 2
        claim("band", values=[0.285, 0.29, 0.295], **ZERO_BAND),  # 1.6
        claim("nothing", "not replicated", printed={"value": 0.9, "where": "Table 1"}),
        claim("unrun", "not comparable"),
        claim("ours", origin="book"),
        claim("ours-not", "weaker than claimed", origin="book"),
    ]
)
COUNTS = [4, 4, 4, 3, 3, 3, 2, 2, 2, 1, 1]


def test_bars_are_moved_as_counted_by_hand():
    rows = papers_claims(ROWS)
    assert [row["id"] for row in rows][-1] == "nothing"
    counts = replicated_by_factor(rows)
    assert list(counts) == list(FACTORS)
    assert list(counts.values()) == COUNTS


def test_bars_are_moved_on_the_scale_of_their_claim():
    share = {"bounds": [0.0, 1.0], "no_effect": 0.5, "threshold": 0.9}
    row = claim("a", values=[0.97, 0.971, 0.972], controls=[0.5, 0.51, 0.49], **share)
    # Log odds of 0.9 are 2.2, of 0.97 3.5: 1.58 times as far; by shares it were 1.18.
    counts = replicated_by_factor([row])
    assert (counts[1.4], counts[1.6]) == (1, 0)


@pytest.mark.parametrize(
    ("bar", "scale", "factor", "far"),
    [
        (Bar("greater", (1.0, 3.0)), Scale(), 2, 5.0),
        (Bar("less", (1.0, -1.0)), Scale(), 0.5, 0.0),
        (Bar("less", (1.0, 0.3)), Scale("logarithms"), 2, 0.09),
        (Bar("greater", (0.5, 0.8)), Scale("log odds", (0.0, 1.0), 1e-3), 2, 16 / 17),
        (Bar("within", (1.0, 5.0)), Scale(), 0.5, (2.0, 4.0)),
        (Bar("within", (0.5, 2.0)), Scale("logarithms"), 2, (0.25, 4.0)),
    ],
)
def test_a_bar_is_moved_on_its_scale(bar, scale, factor, far):
    found = moved(bar, factor, scale)
    start = far[0] if bar.direction == "within" else bar.ends[0]
    assert found.ends == pytest.approx((start, np.ravel(far)[-1]))
    assert found.direction == bar.direction


def test_the_curve_lies_where_its_marks_say():
    picture = drawn(replicated_by_factor(papers_claims(ROWS)), 8)
    levels = {label: y for y, label in picture["up"]}
    assert levels.keys() == {"0", "4", "8"}
    assert picture["dots"][0][1] == levels["4"]
    assert picture["dots"][-1][1] == levels["0"] - (levels["0"] - levels["8"]) / 8
    places = {label: x for x, label in picture["across"]}
    assert picture["dots"][FACTORS.index(1.0)][0] == places["1"]
    assert drawn(dict.fromkeys(FACTORS, 0), 0)["dots"][0][1] == levels["0"]


def test_chance_is_counted_by_hand():
    found = chance(ROWS)
    # Of nine rows one was not run, and one is judged by a range.
    assert found.pop("expected") == pytest.approx(7 * 0.025)
    assert found == {"tested": 7, "held": 3, "fail_holm": 0}
    lucky = claim("lucky", values=[0.505, 0.55, 0.6, 0.54, 0.6])
    marked = with_holm([lucky, claim("no", "not replicated")])
    assert (chance(marked)["held"], chance(marked)["fail_holm"]) == (1, 1)


@pytest.fixture(scope="module")
def ruled(new_book):
    """A book whose front page shows what it can of the rule."""
    book = new_book("ruled")
    book.add("plain", claim_cell(*ROWS))
    shown = "".join(
        f"```{{{name}}}\n```\n\n"
        for name in ("criteria", "bars", "expected-false", "coverage")
    )
    book.configure(f"{shown}```{{claim-example}} just\n```\n")
    built = book.build("-W", "--keep-going")
    assert built.returncode == 0, built.stdout
    return book


@pytest.fixture(scope="module")
def words(ruled) -> str:
    """The words of its front page."""
    text = (ruled.html / "intro.html").read_text().partition("<article")[2]
    return " ".join(re.sub("<[^>]*>", " ", unescape(text)).replace("’", "'").split())


def test_criteria_are_shown_as_counted_by_hand(words):
    assert "bar cleared, and told from the control 3 of 6" in words
    # All but "nothing" have an effect; a band has no side.
    assert "alone: “no effect” excluded 4 of 5" in words
    # 9 lies in the range from 2 to infinity, 0.9 not between -0.02 and 0.02.
    assert "the paper's number lies inside our interval 2 of 3" in words
    assert "our estimate is at least half the paper's effect 1 of 3" in words


def test_the_picture_of_the_bars_says_its_numbers(ruled, words):
    page = (ruled.html / "intro.html").read_text()
    assert "A curve: 4 claims are replicated with all bars at half" in page
    assert "Of the papers' 6 tested claims, 3 are replicated." in words
    assert "it would be 4, at twice the distance 1." in words
    table = words.partition("Claims replicated")[2]
    pairs = [f"{factor:g} {n}" for factor, n in zip(FACTORS, COUNTS, strict=True)]
    assert table.strip().startswith(" ".join(pairs))


def test_chance_is_told_in_a_sentence(words):
    assert "about 0.175 of the 7 rows judged by a t interval" in words
    assert "rows that are replicated or hold and have a p-value, 0 fail Holm's" in words


def test_the_example_is_a_row_of_the_build_with_its_parts_named(ruled, words):
    page = (ruled.html / "intro.html").read_text()
    assert page.count('id="just"') == 1
    assert 'href="plain.html#just"' in page
    assert "0.61 [0.598, 0.622]: the mean over seeds (n = 5)" in words
    assert "here the effect should be absent. It does not show it." in words
    assert "The diamond is the number that the paper prints." in words
    assert '<details open class="strip strip-paper strip-replicated"' in page


def test_coverage_is_that_of_the_simulation(words):
    table = words.partition("Replicated at twice the bar")[2].partition("The last")[0]
    for kind in coverage.table():
        others = f", control {kind.controls}" if kind.controls != kind.seeds else ""
        start = f"{kind.statistic} {kind.distribution} {kind.seeds}{others} "
        held = f"{100 * kind.coverage:.0f} %" + (" (low)" if kind.low else "")
        assert f"{start}{held} {100 * kind.false_positives:.1f} %" in table


def test_an_example_is_an_error_unless_a_chapter_without_results_may_hold_it():
    ledger = SimpleNamespace(claims=[claim("just") | {"page": "plain"}])

    def shown(*chapters):
        directive = SimpleNamespace(
            ledger=ledger,
            arguments=["other"],
            env=SimpleNamespace(spectral_chapters=chapters),
            error=LookupError,
            uri=None,
        )
        return claim_example(directive)

    with pytest.raises(LookupError, match="the book has no claim named 'other'"):
        shown("plain")
    assert shown("plain", "failed")["row"] is None


def test_the_picture_is_legible_on_a_phone(ruled, open_page):
    with open_page(ruled.html / "intro.html", 360, "dark") as seen:
        page = seen.page
        box = page.locator(".bars svg").bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 360
        assert page.evaluate("document.documentElement.scrollWidth") <= 361
        heights = page.locator(".bars text").evaluate_all(
            "all => all.map(e => e.getBoundingClientRect().height)"
        )
        assert min(heights) >= 10
        colour = page.locator(".bars svg").evaluate(
            "e => [getComputedStyle(e).fill, getComputedStyle(e.parentElement).color]"
        )
        assert colour[0] == colour[1]
        assert not barriers(page)
