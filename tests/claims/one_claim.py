"""A claim that grows, of which a test changes what it is about."""

from spectral_book.claims.claims_file import Claim

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


def claim(**changes):
    return Claim.model_validate(CLAIM | changes)
