"""Words of verdicts, and the sentence of a count."""

import pytest

from spectral_book.claims.words import (
    CLAIM_WORDS,
    FINDING_WORDS,
    SIGNS,
    count_line,
    has_held,
    word,
)


@pytest.mark.parametrize(
    ("verdict", "finding"),
    [
        ("replicated", "holds"),
        ("weaker than claimed", "does not hold"),
        ("not replicated", "does not hold"),
        ("inconclusive", "open"),
        ("not comparable", "not comparable"),
    ],
)
def test_a_claim_is_replicated_and_a_finding_holds(verdict, finding):
    assert word(verdict, "paper") == verdict
    assert word(verdict, "book") == finding
    held = [has_held({"verdict": one}) for one in (verdict, finding)]
    assert held == [verdict == "replicated"] * 2


def test_every_word_has_a_sign_of_its_own():
    assert set(SIGNS) == {*CLAIM_WORDS, *FINDING_WORDS}
    assert len(set(SIGNS.values())) == len(SIGNS)


A, B = ("one", "paper"), ("one", "book")


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        ([], "0 claims"),
        ([(*A, "replicated")], "1 claim of the paper: 1 replicated"),
        (
            [(*A, "inconclusive"), (*A, "replicated"), (*A, "weaker than claimed")],
            "3 claims of the paper: 1 replicated, 1 weaker than claimed, "
            "1 inconclusive",
        ),
        (
            [(*B, "open"), (*A, "not replicated"), (*B, "holds"), (*B, "holds")],
            "1 claim of the paper: 1 not replicated; 3 findings of this book: 2 hold, "
            "1 open",
        ),
        (
            [
                (*A, "replicated"),
                ("two", "paper", "replicated"),
                ("two", *B[1:], "open"),
            ],
            "2 claims of the papers: 2 replicated; 1 finding of this book: 1 open",
        ),
    ],
)
def test_claims_and_findings_are_counted_apart(rows, line):
    keys = ("chapter", "origin", "verdict")
    assert count_line(dict(zip(keys, one, strict=True)) for one in rows) == line
