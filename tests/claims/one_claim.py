"""A claim that grows, of which a test changes what it is about."""

from spectral_book.claims.claims_file import Claim, ClaimsFile, entry
from spectral_book.claims.verdicts import estimate, judge

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
BAND = {"direction": "within", "band": (-0.5, 0.5), "threshold": None}
BAND |= {"no_effect": None}


def claim(**changes):
    return Claim.model_validate(CLAIM | changes)


def judged(values, control=(0.0, 0.0, 0.0), **changes):
    """The ledger's row of a claim that was judged from these values."""
    one = claim(**changes)
    measured, compared = estimate(one, {"x": values}), estimate(one, {"x": control})
    verdict, of_control, why = judge(one, measured, compared)
    file = ClaimsFile(chapter="c", paper="P", frozen="then", claims=(one,))
    beside = {"name": one.control, "verdict": of_control, **compared.model_dump()}
    numbers = measured.model_dump()
    return entry(one, file, **numbers, verdict=verdict, why=why, control=beside)
