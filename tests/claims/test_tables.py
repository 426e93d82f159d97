"""Claims as a box, as a table and as text to compare."""

import pytest

from spectral_book.claims.tables import control_found, html, plain_html, row_html, text

ROW = {
    "id": "a-claim",
    "source": "Figure 1",
    "origin": "book",
    "statement": "x < y & more",
    "quantity": "x",
    "threshold": "≤ 1e-05 (no effect 0.01)",
    "estimate": 0.0312,
    "ci_low": 0.01,
    "ci_high": 0.09,
    "ci_method": "95 % t interval of logarithms",
    "p_value": 7e-51,
    "n": 5,
    "control": {"name": "none", "estimate": None, "ci_low": None, "ci_high": None},
    "differs": "smaller",
    "rounding_decides": False,
    "resolution": 0.001,
    "verdict": "not replicated",
    "profile": "quick, changed",
    "device": "cpu",
    "why": "The interval excludes the threshold.",
}
OPEN = ROW | {"rounding_decides": True}


@pytest.mark.parametrize(
    "part",
    [
        '<div class="claim" id="a-claim">',
        "x &lt; y &amp; more",
        "the paper's Figure 1 · found by this book",
        "0.0312 [0.01, 0.09]",
        "95 % t interval of logarithms, n = 5, p &lt; 1.0·10⁻¹²; ",
        "needed ≤ 1.0·10⁻⁵ (no effect 0.01); quick, changed, cpu",
        "differs:</span> smaller",
        "✗ not replicated",
    ],
)
def test_a_box_holds_the_numbers_and_escapes_the_words(part):
    assert part in row_html(ROW)


def test_a_box_leaves_out_what_is_not_so():
    assert "another processor" in row_html(OPEN)
    assert "another processor" not in row_html(ROW)
    plain = row_html(
        ROW | {"source": "Derived", "origin": "paper", "differs": "", "p_value": None}
    )
    for part in ("the paper's", "found by", "differs:", "p ="):
        assert part not in plain


def test_a_table_has_what_was_needed_and_marks_what_rounding_decides():
    assert "<td>≤ 1.0·10⁻⁵ (no effect 0.01)</td>" in html([ROW])
    assert "(rounding decides)" in html([OPEN])
    assert "(rounding decides)" not in html([ROW])
    assert "<td>a &lt; b</td>" in plain_html(["head"], [["a < b"]])


def test_the_text_to_compare_is_coarse_and_leaves_open_what_rounding_decides():
    head, first, last = text([ROW, OPEN | {"id": "another"}]).splitlines()
    assert head.split() == ["claim", "estimate", "needed", "n", "verdict"]
    assert first.split()[:2] == ["a-claim", "~0.03"]
    assert first.endswith("5  not replicated")
    assert last.split()[:2] == ["another", "open"]
    assert last.endswith("-  open")
    assert first.index("not replicated") == head.index("verdict")
    (only,) = text([ROW | {"resolution": 0.05}]).splitlines()[1:]
    assert only.split()[1] == "~0"


@pytest.mark.parametrize(
    ("verdict", "words"),
    [("replicated", "shows it"), ("direction only", "shows some of it"), (None, "")],
)
def test_what_a_control_shows(verdict, words):
    assert control_found({"control": {"verdict": verdict}}) == words
    assert control_found({"control": None}) == ""
