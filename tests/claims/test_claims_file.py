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
    no_effect: 1.0
    threshold: 2.0
    control: "nothing"
    differs: "Half the images."
    late: bar
    printed: {value: 0.88, spread: 0.1, where: "Table 2"}
    precondition: {quantity: "NMSE", below: 1e-1}
"""

PANEL = "{claim: frist, held: a, otherwise: b, about: c}"


@pytest.fixture
def loaded(tmp_path):
    """A function that writes and loads a file."""

    def load(text):
        path = tmp_path / "claims.yaml"
        path.write_text(text)
        return load_claims(path)

    return load


def test_a_claims_file_is_read(loaded):
    file = loaded(FILE + "minute:\n  - {says: a, measured: '{first}', claim: first}\n")
    (one,) = file.claims
    assert (one.statistic, one.origin, one.interval) == ("ratio", "paper", "t")
    assert (one.differs, one.late) == ("Half the images.", "bar")
    assert (one.printed.value, one.printed.spread) == (0.88, 0.1)
    assert (one.precondition.below, one.precondition.above) == (0.1, None)
    assert claim(bounds=[0, 2], **BAND | {"band": (0.5, 1)}).bounds == (0.0, 2.0)
    assert file.minute[0].claim == "first"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("ratio", "ratios", "statistic = 'ratios': .*did you mean 'ratio'"),
        ("ratio", "zzz", "known are value"),
        ("threshold", "treshold", "treshold"),
        ("threshold: 2.0", "threshold: .nan", "threshold = nan: .*finite number"),
        ("no_effect: 1.0", "no_effect: -.inf", "no_effect = -inf: .*finite number"),
        ("no_effect: 1.0", "band: [-.inf, 1]", "band, 0 = -inf: .*finite number"),
        ("late: bar", "late: never", "claim 'first', late = 'never'"),
        ("value: 0.88", "value: .nan", "claim 'first', printed, value = nan"),
        ("value: 0.88, ", "", "Field \"claim 'first', printed, value\" is missing"),
        ("value: 0.88", 'value: "0.88"', "printed, value = '0.88': .*valid number"),
        ("below: 1e-1", "below: 1, above: 2", "names one of above and below"),
        ("below: 1e-1", "beneath: 1", "beneath"),
        ("claims:", 'claims:\n  - "no mapping"', "claim 0"),
        ("claims:\n", "claims:\n" + FILE.partition("claims:\n")[2], "share an id"),
        ("Half the images.", "[]", "valid string"),
        ("threshold: 2.0", "threshold: 2.0\n    threshold: 3.0", "'threshold' stands"),
        ("frozen", "paper: P\nfrozen", "line 2: 'paper' stands here twice"),
        ("ratio", "[ratio", "line 10"),
        ("frozen", f"panel: {PANEL}\nfrozen", "claim 'frist': did you mean 'first'"),
    ],
)
def test_a_wrong_claims_file_names_file_claim_and_remedy(
    loaded, tmp_path, old, new, words
):
    with pytest.raises(ValueError, match=f"(?s){words}") as caught:
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
        ({"origin": "me"}, "'paper' or 'book'"),
        # No scale has a place for a bar that the statistic cannot reach.
        ({"statistic": "ratio"}, "0 cannot be reached: 'ratio' lies between"),
        (BAND | {"statistic": "magnitude"}, "-0.5 cannot be reached"),
        (
            {"statistic": "spearman", "threshold": 1.1},
            "1.1 cannot be reached: 'spearman'",
        ),
        ({"bounds": (0.0, 0.9)}, "1 cannot be reached: 'value' lies between 0 and 0.9"),
        (BAND | {"bounds": (0.0, 1.0)}, "-0.5 cannot be reached"),
        ({"bounds": (1.0, 0.0)}, r"bounds are \[low, high\]"),
        ({"bounds": (0.0, float("inf"))}, "finite"),
    ],
)
def test_claims_that_cannot_be_judged_are_refused(changes, words):
    with pytest.raises(ValidationError, match=words):
        claim(**changes)
