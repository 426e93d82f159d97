"""How the book writes numbers: three digits, powers of ten, a true minus sign."""

import math
import re
from collections.abc import Mapping
from typing import Any

Row = Mapping[str, Any]
"""A claim of the ledger: what its file says, and what a run measured."""

NOTHING = "–"
"""Stands for a number that is not there or not finite."""

ROUNDING = 1e-12
"""What is closer to 0 is written as 0, and a smaller p-value as a bound."""

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(x: float | None, form: str = "") -> str:
    """A number to three significant digits, with a power of ten only if it is far.

    ``form`` asks for another way, as `format` does; ``%`` and, for instance, ``.0%``
    write a percentage, with a space before its sign.
    """
    if x is None or not math.isfinite(x):
        return NOTHING
    if form.endswith("%"):
        return f"{number(100 * x, form[:-1] and form[:-1] + 'f')} %"
    if form:
        return minus(format(x, form))
    if isinstance(x, int):
        return minus(str(x))
    if abs(x) < ROUNDING:
        return "0"
    if not 1e-3 <= abs(x) < 1e4:
        return scientific(x)
    return minus(f"{x:.3g}" if abs(x) < 999.5 else f"{x:.0f}")


def scientific(x: float, decimals: int = 1) -> str:
    """A number with a power of ten."""
    digits, exponent = f"{x:.{decimals}e}".split("e")
    return f"{minus(digits)}·10{str(int(exponent)).translate(_RAISED)}"


def coarse(x: float | None, resolution: float = 1e-3) -> str:
    """A number to the nearest of 1 or 3 times a power of ten, or 0 if too small."""
    if x is None:
        return "-"
    if abs(x) < resolution:
        return "~0"
    exponent = math.floor(math.log10(abs(x)))
    steps = [m * 10.0**e for e in (exponent, exponent + 1) for m in (1, 3)]
    nearest = min(steps, key=lambda step: abs(math.log(abs(x) / step)))
    return f"~{math.copysign(nearest, x):.3g}"


def interval(row: Row) -> str:
    """A row's estimate with its interval, where there is one."""
    estimate = number(row.get("estimate"))
    if row.get("ci_low") is None:
        return estimate
    return f"{estimate} [{number(row['ci_low'])}, {number(row['ci_high'])}]"


def needed(bar: str) -> str:
    """What an interval has to clear, with its numbers as the book writes them."""
    return _NUMBER.sub(lambda match: number(float(match[0])), bar)


def p_value(p: float) -> str:
    """A p-value to one significant digit; those of rounding's size as a bound."""
    if p < ROUNDING:
        return f"p < {number(ROUNDING)}"
    return f"p = {number(float(f'{p:.1g}'))}"


def minus(text: str) -> str:
    """Write a number's hyphens as minus signs."""
    return text.replace("-", "−")
