"""How often the rule of verdicts errs: coverage, false positives, power, by simulation.

Numbers are drawn on the scale that they are judged on. The rule is written here once
more, for many draws at a time; a test holds it against `spectral_book.claims.verdicts`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy

from spectral_book.claims.intervals import CONFIDENCE, ranks_alike
from spectral_book.claims.scales import MARGIN, Scale, scale_of
from spectral_book.claims.statistics import Values, rank_correlation

RATIOS = (0.25, 0.5, 1.0)
"""Spreads between seeds, as shares of the true effect, that power is given for."""

Draw = Callable[[np.random.Generator, tuple[int, int]], Values]
"""Numbers on their scale for so many draws of so many seeds, [draws, seeds]."""

Power = tuple[float, ...]


@dataclass(frozen=True)
class Kind:
    """What the rule does with one kind of numbers.

    ``low`` marks an interval known to hold what it is meant to in fewer than 90 % of
    draws; ``coverage`` is how often it did. ``false_positives`` is how often
    "replicated" came out where the control has the same distribution: for the side, and
    the bar at the truth or short of it, where that is worst. ``power`` is how often it
    came out where the effect is twice the bar and the control has none, one for each of
    `RATIOS`; the noise is the distribution's.
    """

    statistic: str
    distribution: str
    seeds: int
    controls: int
    low: bool
    coverage: float
    false_positives: float
    power: Power


def table(draws: int = 2000) -> list[Kind]:
    """Simulate every kind of number in use; the same each time."""
    ratio, odds = "ratio, by logarithms", "share, by log odds"
    four = "Spearman over 4 points, by Fisher's z"
    eight = "Spearman over 8 points, by Fisher's z"
    spread = "ratio of spreads, jackknife"
    over_runs = "correlation over runs, jackknife"
    log, z = Scale("logarithms").judged, Scale("log odds", (0.0, 1.0), MARGIN).judged
    spreads = _jackknife(lambda x: np.subtract(*np.log(x.std(2, ddof=1))), 0.0)
    correlations = _jackknife(_pearson, 0.8)
    far, near = "80 % alike, 20 % far off", "near 1"

    def mixed(rng: np.random.Generator, size: tuple[int, int]) -> Values:
        return rng.normal(rng.random(size) < 0.2, 0.04)

    sources: list[tuple[str, str, int, int, bool, Draw, float | None]] = [
        ("number", "normal", 5, 5, False, lambda g, n: g.normal(size=n), 0.0),
        ("number", "exponential", 5, 5, True, lambda g, n: g.exponential(size=n), 1.0),
        ("number", "exponential", 5, 15, True, lambda g, n: g.exponential(size=n), 1.0),
        ("number", far, 5, 5, True, mixed, 0.2),
        ("number", far, 5, 500, True, mixed, 0.2),
        (ratio, "lognormal", 5, 5, False, lambda g, n: log(g.lognormal(size=n)), 0.0),
        (odds, near, 5, 5, False, lambda g, n: z(g.beta(9, 0.5, n)), None),
        ("share", near, 5, 5, True, lambda g, n: g.beta(9, 0.5, n), 9 / 9.5),
        (four, "a noisy rise", 5, 5, False, _spearman(4, 1), None),
        (eight, "a noisy rise", 5, 5, False, _spearman(8, 1), None),
        (eight, "random orders", 5, 500, False, _spearman(8, 0), 0.0),
        (spread, "lognormal", 5, 5, False, spreads, 0.0),
        (spread, "lognormal", 8, 8, False, spreads, 0.0),
        (over_runs, "normal, 0.8", 5, 5, True, correlations, 0.8),
        (over_runs, "normal, 0.8", 8, 8, True, correlations, 0.8),
    ]
    found: list[Kind] = []
    for name, how, n, others, low, draw, truth in sources:
        rng = np.random.default_rng(len(found))
        mine, other = draw(rng, (draws, n)), draw(rng, (draws, others))
        middle = float(draw(rng, (2000, 50)).mean()) if truth is None else truth
        errors = _errors(mine, other, middle)
        found.append(Kind(name, how, n, others, low, *errors))
    return found


def held(mine: Values, other: Values, bar: float) -> Values:
    """Which draws [draws, seeds] lie above the bar and above the control."""
    if mine.shape == other.shape:
        apart = _low(mine - other)
    else:
        a, b = (x.var(1, ddof=1) / x.shape[1] for x in (mine, other))
        squares = a**2 / (mine.shape[1] - 1) + b**2 / (other.shape[1] - 1)
        reach = scipy.stats.t.ppf((1 + CONFIDENCE) / 2, (a + b) ** 2 / squares)
        apart = mine.mean(1) - other.mean(1) - reach * np.sqrt(a + b)
        apart[ranks_alike(mine, other)] = 0.0
    return np.asarray((_low(mine) >= bar) & (_low(other) < bar) & (apart > 0))


def _errors(mine: Values, other: Values, truth: float) -> tuple[float, float, Power]:
    """Coverage, false positives and power."""
    spread = np.sqrt(mine.var(1, ddof=1).mean())
    covered = (_low(mine) <= truth) & (_low(-mine) <= -truth)
    bars = [(s, far * spread) for s in (1, -1) for far in (0, 0.25, 0.5, 1, 2)]
    worst = max(held(s * mine, s * other, s * truth - far).mean() for s, far in bars)
    noise, still = (mine - truth) / spread, (other - truth) / spread
    power = tuple(float(held(1 + r * noise, r * still, 0.5).mean()) for r in RATIOS)
    return float(covered.mean()), float(worst), power


def _low(x: Values) -> Values:
    """The lower end of each draw's t interval."""
    reach = scipy.stats.t.ppf((1 + CONFIDENCE) / 2, x.shape[1] - 1)
    return np.asarray(x.mean(1) - reach * x.std(1, ddof=1) / np.sqrt(x.shape[1]))


def _spearman(points: int, rise: float) -> Draw:
    """Fisher's z of the rank correlation of a rise and noise."""

    def draw(rng: np.random.Generator, size: tuple[int, int]) -> Values:
        x = np.linspace(0, 1, points)
        y = rise * x + 0.5 * rng.normal(size=(*size, points))
        return scale_of("spearman", {"y": y}).judged(rank_correlation(x, y))

    return draw


def _jackknife(estimate: Callable[[Values], Values], r: float) -> Draw:
    """Pseudo-values of an estimate from runs with two numbers each, correlated by r."""

    def draw(rng: np.random.Generator, size: tuple[int, int]) -> Values:
        a, b = rng.normal(size=(2, *size))
        pairs = np.stack([a, r * a + np.sqrt(1 - r * r) * b])
        n = size[1]
        left_out = [estimate(np.delete(pairs, i, axis=2)) for i in range(n)]
        return n * estimate(pairs)[:, None] - (n - 1) * np.stack(left_out, 1)

    return draw


def _pearson(pairs: Values) -> Values:
    a, b = pairs - pairs.mean(2, keepdims=True)
    return np.asarray((a * b).sum(1) / np.sqrt((a * a).sum(1) * (b * b).sum(1)))
