"""Sentences about claims that did not hold: checked when read, filled from the run."""

import numpy as np
import pytest

from spectral_lib.report.claims import (
    Claim,
    ClaimsFile,
    entry,
    estimate,
    judge,
)
from spectral_lib.report.sentences import FIELDS, check_sentence, fill

CLAIM = {
    "id": "a-claim",
    "source": "Figure 1",
    "statement": "It grows.",
    "statistic": "value",
    "quantity": "x",
    "direction": "greater",
    "no_effect": 0.0,
    "threshold": 1.0,
    "control": "nothing",
    "differs": {},
}
ROW = {
    "estimate": 0.12345,
    "ci_low": -2e-5,
    "ci_high": 0.5,
    "n": 5,
    "control": {"estimate": 7.0, "ci_low": None, "ci_high": None},
}


def claim(**changes):
    return Claim.model_validate(CLAIM | changes)


def row(values, control=(0.0, 0.0, 0.0), **changes):
    """The ledger's row of a claim that was judged from these values."""
    c = claim(**changes)
    measured, compared = estimate(c, {"x": values}), estimate(c, {"x": control})
    verdict, of_control, why = judge(c, measured, compared)
    file = ClaimsFile(chapter="c", paper="P", frozen="then", claims=(c,))
    beside = {"name": c.control, "verdict": of_control}
    beside |= compared.model_dump(include={"estimate", "ci_low", "ci_high"})
    numbers = measured.model_dump()
    return entry(c, file, **numbers, verdict=verdict, why=why, control=beside)


def test_numbers_are_written_as_everywhere_in_the_book():
    text = "{estimate} [{low}, {high}], {estimate:%}, n = {n}, {threshold}, {control}"
    shown = "0.123 [−2.0·10⁻⁵, 0.5], 12.3 %, n = 5, 1, 7"
    assert fill(text, ROW, 1.0) == shown
    assert fill("{band_low} to {band_high}", ROW, band=(0.5, 2.0)) == "0.5 to 2"


def test_a_sentence_with_a_number_that_is_missing_is_not_told():
    assert fill("{control} [{control_low}]", ROW) == ""
    assert fill("{threshold}", ROW) == ""
    assert fill("{estimate}", ROW | {"estimate": None}) == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("was {mean}", r"names \{mean\}; known are estimate"),
        ("was {}", r"names \{\}"),
        ("was {estimate:.3f}", "formats"),
        ("was {estimate!r}", "formats"),
        ("was {estimate.real}", r"names \{estimate.real\}"),
        ("was {estimate", "expected '}'"),
    ],
)
def test_a_sentence_that_could_not_be_filled_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        check_sentence(text)
    with pytest.raises(ValueError, match=message):
        claim(otherwise=text)


def test_every_field_that_a_sentence_may_name_can_be_filled():
    control = dict.fromkeys(("estimate", "ci_low", "ci_high"), 1.0)
    text = "".join(f"{{{name}}}" for name in FIELDS)
    check_sentence(text)
    assert fill(text, ROW | {"control": control}, 1.0, (0.0, 2.0))


def test_a_claim_names_its_own_kind_of_bar():
    with pytest.raises(ValueError, match="direction 'greater' has not"):
        claim(otherwise="{band_low} was asked")
    band = {"direction": "within", "band": (0, 1), "threshold": None, "no_effect": None}
    with pytest.raises(ValueError, match="direction 'within' has not"):
        claim(**band, otherwise="{threshold} was asked")
    claim(**band, otherwise="{band_low} was asked")


def test_the_row_holds_the_sentence_of_its_verdict():
    weak, failed, held = [0.5, 0.6, 0.7], [-0.1, 0.0, 0.1], [2.0, 2.1, 2.2]
    both = {"otherwise": "only {estimate}"}
    assert row(weak, **both)["otherwise"] == "only 0.6"
    assert row(failed, **both)["otherwise"] == "only 0"
    assert row(held, **both)["otherwise"] == ""
    assert row([0.0, 2.0, -1.0], **both)["verdict"] == "inconclusive"
    assert row([0.0, 2.0, -1.0], **both)["otherwise"] == ""
    single = {"otherwise": {"direction only": "a little", "inconclusive": "who knows"}}
    assert row(weak, **single)["otherwise"] == "a little"
    assert row(failed, **single)["otherwise"] == ""
    assert row([0.0, 2.0, -1.0], **single)["otherwise"] == "who knows"
    assert row([np.nan] * 3, **single)["otherwise"] == "who knows"


def test_no_sentence_is_for_a_claim_that_held():
    with pytest.raises(ValueError, match="replicated"):
        claim(otherwise={"replicated": "as claimed"})


def test_two_places_of_the_paper_that_disagree_make_it_inconsistent():
    places = {"between": ("Equation (3)", "the text beside it")}
    for values in ([0.0, 0.0, 0.0], [0.5, 0.6, 0.7]):
        found = row(values, **places)
        assert found["verdict"] == "paper inconsistent"
        assert found["why"].startswith("Equation (3) and the text beside it contradict")
        assert row(values)["verdict"] in ("not replicated", "direction only")
    assert row([2.0, 2.1, 2.2], **places)["verdict"] == "replicated"
    assert row([0.0, 2.0, -1.0], **places)["verdict"] == "inconclusive"
    for text in ("off by {estimate}", {"paper inconsistent": "off by {estimate}"}):
        found = row([0.5, 0.5, 0.5], **places, otherwise=text)
        assert found["otherwise"] == "off by 0.5"
