"""Sentences with a run's numbers: every field as the book writes it, none by chance."""

import numpy as np
import pytest
import torch
from one_claim import BAND, claim, row

from spectral_book.claims.sentences import (
    FIELDS,
    check_sentence,
    fill_from_row,
    fill_sentence,
)

ROWS = {
    "low-first": {
        "estimate": -0.314159,
        "ci_low": -0.5,
        "ci_high": -0.1,
        "verdict": "replicated",
        "control": {"estimate": 0.02},
    },
    "not-run": {
        "estimate": None,
        "ci_low": None,
        "ci_high": None,
        "verdict": "not comparable",
        "control": {"estimate": None},
    },
}


@pytest.mark.parametrize(
    ("text", "numbers", "filled"),
    [
        ("{low-first}", {}, "−0.314 (replicated)"),
        ("{low-first:verdict}", {}, "replicated"),
        ("{low-first:interval}", {}, "−0.314 [−0.5, −0.1]"),
        ("{low-first:control}", {}, "0.02"),
        ("{low-first:%}", {}, "−31.4 %"),
        ("{low-first:.2f}", {}, "−0.31"),
        ("{not-run}", {}, "– (not comparable)"),
        ("{not-run:.2f}", {}, "–"),
        ("{a}", {"a": 12}, "12"),
        ("{a}", {"a": "words"}, "words"),
        ("R<sub>k</sub>: {a}", {"a": "<script>x"}, "R<sub>k</sub>: < script>x"),
        ("{a:.0%}", {"a": 0.414}, "41 %"),
        ("{a}", {"a": float("nan")}, "–"),
        ("{a}", {"a": torch.tensor(0.5)}, "0.5"),
        ("{a}", {"a": np.int64(12345)}, "12345"),
        ("{a:.1f}", {"a": torch.tensor([1.0, 2.0, 3.0])}, "1.0, 2.0 and 3.0"),
        ("{a}", {"a": ["one", "two"]}, "one and two"),
        ("{a}", {"a": [None, 2.5]}, "– and 2.5"),
        ("{a}", {"a": [7]}, "7"),
        ("{{as it is}}", {}, "{as it is}"),
    ],
)
def test_field(text, numbers, filled):
    assert fill_sentence(text, ROWS, numbers) == filled


@pytest.mark.parametrize(
    ("text", "numbers", "why"),
    [
        ("{low}", {}, "names {low}, which is no claim judged so far"),
        ("none", {"a": 1}, "never uses the number 'a'"),
        ("{not-run}", {"not-run": 1}, "'not-run' is a claim"),
    ],
)
def test_a_slip_in_a_sentence_of_the_notebook(text, numbers, why):
    with pytest.raises(ValueError, match=why):
        fill_sentence(text, ROWS, numbers)


ROW = {
    "estimate": 0.12345,
    "ci_low": -2e-5,
    "ci_high": "inf",
    "n": 5,
    "threshold": 1.0,
    "band": None,
    "control": {"estimate": 7.0, "ci_low": 6.0, "ci_high": None},
}
ALL = dict.fromkeys(("estimate", "ci_low", "ci_high"), 1.0)


@pytest.mark.parametrize(
    ("text", "change", "filled"),
    [
        ("{estimate} [{low}, {high}]", {}, "0.123 [−2.0·10⁻⁵, ∞]"),
        ("{estimate:%}, n = {n}, {threshold}", {}, "12.3 %, n = 5, 1"),
        ("{band_low} to {band_high}", {"band": [0.5, 2.0]}, "0.5 to 2"),
        ("{control} [{control_low}]", {}, "7 [6]"),
        # A number that the run did not give leaves no sentence.
        ("{control} [{control_high}]", {}, ""),
        ("{band_low} to {band_high}", {}, ""),
        ("{threshold}", {"threshold": None}, ""),
        ("{estimate}", {"estimate": None}, ""),
    ],
)
def test_a_claims_sentence(text, change, filled):
    assert fill_from_row(text, ROW | change) == filled


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("was {mean}", r"names \{mean\}; known are estimate"),
        ("was {}", r"names \{\}"),
        ("was {estimate:.3f}", "formats"),
        ("was {estimate!r}", "formats"),
        ("was {estimate", "expected '}'"),
    ],
)
def test_a_sentence_that_could_not_be_filled_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        check_sentence(text)
    with pytest.raises(ValueError, match=message):
        claim(otherwise=text)


def test_every_field_that_a_sentence_may_name_can_be_filled():
    text = "".join(f"{{{name}}}" for name in FIELDS)
    check_sentence(text)
    assert fill_from_row(text, ROW | {"control": ALL, "band": [0.0, 2.0]})


def test_a_claim_names_its_own_kind_of_bar():
    with pytest.raises(ValueError, match="direction 'greater' has not"):
        claim(otherwise="{band_high} was asked")
    with pytest.raises(ValueError, match="direction 'within' has not"):
        claim(**BAND, otherwise="{threshold} was asked")
    claim(**BAND, otherwise="{band_low} was asked")


WEAK, NONE, OPEN = [0.5, 0.6, 0.7], [-0.1, 0, 0.1], [0, 2, -1]
EACH = {"weaker than claimed": "a little", "inconclusive": "who knows"}


@pytest.mark.parametrize(
    ("values", "otherwise", "sentence"),
    [
        (WEAK, "only {estimate}", "only 0.6"),
        (NONE, "only {estimate}", "only 0"),
        ([2.0, 2.1, 2.2], "only {estimate}", ""),
        (OPEN, "only {estimate}", ""),
        (WEAK, EACH, "a little"),
        (NONE, EACH, ""),
        (OPEN, EACH, "who knows"),
        ([np.nan] * 3, EACH, "who knows"),
    ],
)
def test_the_row_holds_the_sentence_of_its_verdict(values, otherwise, sentence):
    assert row(values, otherwise=otherwise)["otherwise"] == sentence


def test_no_sentence_is_for_a_claim_that_held():
    with pytest.raises(ValueError, match="replicated"):
        claim(otherwise={"replicated": "as claimed"})
