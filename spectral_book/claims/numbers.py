"""How the book writes numbers: three digits, powers of ten, a true minus sign."""

import math
from collections.abc import Mapping
from typing import Any

Row = Mapping[str, Any]
"""A claim of the ledger: what its file says, and what a run measured."""

NOTHING = "–"
"""Stands for a number that is not there or not finite."""

LEAST_P = 1e-12
"""A smaller p-value is written as a bound."""

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


INFINITE = {"inf": "∞", "-inf": "−∞"}
"""How the ledger holds what is infinite, and how pages write it."""


def number(x: float | str | None, form: str = "") -> str:
    """A number to three significant digits, with a power of ten only if it is far.

    ``form`` asks for another way, as `format` does; ``%`` and, for instance, ``.0%``
    write a percentage, with a space before its sign.
    """
    if x is None:
        return NOTHING
    if isinstance(x, str):
        return INFINITE[x]
    if not math.isfinite(x):
        return INFINITE.get(str(float(x)), NOTHING)
    if form.endswith("%"):
        return f"{number(100 * x, form[:-1] and form[:-1] + 'f')} %"
    if form:
        return minus(format(x, form))
    if isinstance(x, int):
        return minus(str(x))
    if x == 0:
        return "0"
    if not 1e-3 <= abs(x) < 1e4:
        return scientific(x)
    return minus(f"{x:.3g}" if abs(x) < 999.5 else f"{x:.0f}")


def scientific(x: float, decimals: int = 1) -> str:
    """A number with a power of ten."""
    digits, exponent = f"{x:.{decimals}e}".split("e")
    return f"{minus(digits)}·10{str(int(exponent)).translate(_RAISED)}"


def coarse(x: float | str | None, resolution: float = 1e-3) -> str:
    """A number to the nearest of 1 or 3 times a power of ten, or 0 if too small."""
    if x is None or isinstance(x, str):
        return "-" if x is None else INFINITE[x]
    if not math.isfinite(x):
        return number(x)
    if abs(x) < resolution:
        return "~0"
    exponent = math.floor(math.log10(abs(x)))
    steps = [m * 10.0**e for e in (exponent, exponent + 1) for m in (1, 3)]
    nearest = min(steps, key=lambda step: abs(math.log(abs(x) / step)))
    return f"~{math.copysign(nearest, x):.3g}"


def agree(x: float | str | None, expected: float, resolution: float) -> bool:
    """Whether a number is an expected one to a factor of two, or near 0 like it."""
    if x is None or isinstance(x, str) or not math.isfinite(x):
        return False
    if max(abs(x), abs(expected)) < 2 * resolution:
        return True
    return x * expected > 0 and 0.5 <= x / expected <= 2


def interval(row: Row) -> str:
    """A row's estimate with its interval, where there is one."""
    estimate = number(row.get("estimate"))
    if row.get("ci_low") is None:
        return estimate
    return f"{estimate} [{number(row['ci_low'])}, {number(row['ci_high'])}]"


def needed(row: Row) -> str:
    """What a row's interval has to clear, sign and number on one line."""
    if row["band"] is not None:
        low, high = row["band"]
        return f"within [{number(low)}, {number(high)}]"
    sign = "≥" if row["direction"] == "greater" else "≤"
    return f"{sign}\u00a0{number(row['threshold'])}"


def needed_from(row: Row) -> str:
    """The same with the value of no effect."""
    if row["band"] is not None:
        return needed(row)
    return f"{needed(row)} (no effect {number(row['no_effect'])})"


def required(condition: Row) -> str:
    """What a precondition asks of its quantity."""
    side = "below" if condition["above"] is None else "above"
    return f"{side} {number(condition[side])}"


def resolution(row: Row) -> float:
    """Below this an estimate is as good as zero beside what the claim asks."""
    if row["band"] is not None:
        return 0.05 * float(row["band"][1] - row["band"][0])
    return 0.05 * abs(float(row["threshold"] - row["no_effect"]))


def p_value(p: float) -> str:
    """A p-value to one significant digit; those near 0 or 1 as a bound."""
    if p < LEAST_P:
        return f"p < {number(LEAST_P)}"
    if p > 0.95:
        return f"p > {number(0.95)}"
    return f"p = {number(float(f'{p:.1g}'))}"


def minus(text: str) -> str:
    """Write a number's hyphens as minus signs."""
    return text.replace("-", "−")
