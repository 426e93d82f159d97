"""Sentences about claims that did not hold: checked when read, filled from the run."""

import numpy as np
import pytest
from one_claim import claim

from spectral_book.claims.claims_file import ClaimsFile, entry
from spectral_book.claims.sentences import FIELDS, check_sentence, fill
from spectral_book.claims.verdicts import estimate, judge

ROW = {
    "estimate": 0.12345,
    "ci_low": -2e-5,
    "ci_high": 0.5,
    "n": 5,
    "control": {"estimate": 7.0, "ci_low": None, "ci_high": None},
}


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


PLACES = {
    "between": ("Equation (3)", "the text beside it"),
    "direction": "within",
    "band": (0.99, 1.01),
    "threshold": None,
    "no_effect": None,
}
AGREES = (1.0, 1.0, 1.0)


def test_two_places_of_the_paper_that_disagree_make_it_inconsistent():
    found = row([2.0, 2.0, 2.0], AGREES, **PLACES)
    assert found["verdict"] == "paper inconsistent"
    assert found["why"].startswith("Equation (3) and the text beside it contradict")
    assert found["between"] == ["Equation (3)", "the text beside it"]
    assert row(AGREES, AGREES, **PLACES)["verdict"] == "replicated"
    assert row([0.9, 1.0, 1.1], AGREES, **PLACES)["verdict"] == "inconclusive"
    for text in ("off by {estimate}", {"paper inconsistent": "off by {estimate}"}):
        found = row([2.0, 2.0, 2.0], AGREES, **PLACES, otherwise=text)
        assert found["otherwise"] == "off by 2"


@pytest.mark.parametrize("control", [(1000.0,) * 3, (2.0,) * 3, (0.9, 1.0, 1.1)])
def test_a_paper_is_not_blamed_for_a_statistic_that_misses_a_known_agreement(control):
    found = row([1000.0] * 3, control, **PLACES)
    assert found["verdict"] == "inconclusive"
    assert "control" in found["why"]
    assert row(AGREES, control, **PLACES)["verdict"] == "inconclusive"


def test_a_paper_is_not_blamed_where_the_interval_holds_the_threshold():
    one_sided = {"between": PLACES["between"]}
    known = (2.0, 2.1, 2.2)
    straddling = row([0.7, 0.9, 1.1, 1.3, 0.8, 1.4], known, **one_sided)
    assert straddling["ci_low"] > 0
    assert straddling["verdict"] == "direction only"
    assert row([0.0, 2.0, -1.0], known, **one_sided)["verdict"] == "inconclusive"
    excluded = row([0.0, 0.0, 0.0], known, **one_sided)
    assert excluded["verdict"] == "paper inconsistent"
