"""Claims files: what they may say, and sentences for what they may not."""

import pytest
from one_claim import BAND, claim
from pydantic import ValidationError

from spectral_book.claims.claims_file import load_claims

FILE = """
chapter: c
paper: "P 2024"
frozen: "2026-01-01"
claims:
  - id: first
    source: "Figure 1"
    statement: "It grows."
    statistic: ratio
    quantity: "x"
    direction: greater
    no_effect: 0.0
    threshold: 1.0
    control: "nothing"
    differs: {quick: "smaller", gpu: "", paper: ""}
"""


@pytest.fixture
def loaded(tmp_path):
    """A function that writes and loads a file."""

    def load(text):
        path = tmp_path / "claims.yaml"
        path.write_text(text)
        return load_claims(path)

    return load


def test_a_claims_file_is_read(loaded):
    (one,) = loaded(FILE).claims
    assert one.statistic == "ratio"
    assert one.differs == {"quick": "smaller", "gpu": "", "paper": ""}
    assert one.bar() == "≥ 1 (no effect 0)"
    assert one.resolution() == pytest.approx(0.05)
    assert claim(**BAND).bar() == "within [-0.5, 0.5]"
    assert claim(**BAND).resolution() == pytest.approx(0.05)


def test_what_differs_is_said_once_for_all_profiles_or_all_claims(loaded):
    own = FILE.partition("    differs")[2]
    second = FILE.partition("claims:\n")[2].replace("first", "second")
    bare = second.replace(f"    differs{own}", "")
    found = loaded('differs: "choices"' + FILE + bare).claims
    assert found[0].differs["quick"] == "smaller"
    assert found[1].differs == dict.fromkeys(("quick", "gpu", "paper"), "choices")
    with pytest.raises(ValueError, match="\"claim 'second', differs\" is missing"):
        loaded(FILE + bare)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "ratio",
            "ratios",
            "claim 'first', statistic = 'ratios': .*did you mean 'ratio'",
        ),
        ("ratio", "zzz", "known are value"),
        ("threshold", "treshold", "treshold"),
        ("claims:", 'claims:\n  - "no mapping"', "claim 0"),
        ("claims:\n", "claims:\n" + FILE.partition("claims:\n")[2], "share an id"),
        ("smaller", "[]", "valid string"),
    ],
)
def test_a_wrong_claims_file_names_file_claim_and_remedy(
    loaded, tmp_path, old, new, words
):
    with pytest.raises(ValueError, match=words) as caught:
        loaded(FILE.replace(f'"{old}"', new).replace(old, new))
    assert str(tmp_path / "claims.yaml") in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match="no claims file"):
        load_claims(tmp_path / "absent.yaml")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"threshold": -1.0}, "wrong side"),
        ({"threshold": 0.0}, "wrong side"),
        ({"direction": "less", "threshold": 0.0}, "wrong side"),
        ({"direction": "less"}, "wrong side"),
        ({"threshold": None}, "threshold and no_effect"),
        ({"no_effect": None}, "threshold and no_effect"),
        ({"direction": "within"}, "needs a band"),
        ({"band": (0.0, 1.0)}, "takes no band"),
        ({"direction": "within", "band": (0.0, 1.0)}, "nothing else"),
        ({"direction": "within", "band": (1.0, 1.0)}, "needs a band"),
        ({"id": "Has Spaces"}, "pattern"),
        ({"interval": "bootstrap"}, "'t' or 'range'"),
    ],
)
def test_claims_that_cannot_be_judged_are_refused(changes, words):
    with pytest.raises(ValidationError, match=words):
        claim(**changes)
