"""A claim that grows, of which a test changes what it is about."""

import numpy as np
import scipy.stats

from spectral_book.claims.claims_file import Claim, ClaimsFile
from spectral_book.claims.rows import judged_row

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
}
BAND = {"direction": "within", "band": (-0.5, 0.5), "threshold": None}
BAND |= {"no_effect": None}
RUN = {"profile": "quick", "device": "cpu", "seconds": 1.0}


def around(mean, half, n=5):
    """Values whose 95 % t interval is mean -+ half."""
    base = np.linspace(-1, 1, n)
    width = scipy.stats.t.ppf(0.975, n - 1) * base.std(ddof=1) / np.sqrt(n)
    return mean + base * half / width


def claim(**changes):
    return Claim.model_validate(CLAIM | changes)


def file_of(*claims):
    return ClaimsFile(chapter="c", paper="P", frozen="then", claims=claims)


def row(
    values,
    control=(0.0, 0.0, 0.0),
    measured=None,
    rounding=None,
    reach=None,
    **changes,
):
    """The ledger's row of a claim that was judged from these values."""
    one = claim(**changes)
    mine, other = {"x": values}, {"x": control}
    if one.statistic == "ratio":
        mine, other = (
            {"numerator": x, "denominator": np.ones(len(x))} for x in (values, control)
        )
    moves = None if rounding is None else (rounding, rounding)
    beside = (mine, other, measured, moves, reach)
    return judged_row(one, file_of(one), *beside, **RUN)
