"""Statistics of claims: recorded numbers in, one value a seed out.

Claims name these functions in their files. Each takes arrays with a leading replica
axis R and returns [R]. Statistics that are ratios return logarithms;
`spectral_book.claims.scales` names them, and readers see them turned back.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

Values = NDArray[np.float64]
Statistic = Callable[..., Values]


def value(x: ArrayLike) -> Values:
    """The number itself, [R]."""
    return np.asarray(x, float)


def difference(a: ArrayLike, b: ArrayLike) -> Values:
    """Difference a - b per seed, paired, [R]."""
    return np.asarray(a, float) - np.asarray(b, float)


def magnitude(x: ArrayLike) -> Values:
    """Log x per seed, [R], of numbers that span decades; 0 counts as 1e-18."""
    return np.log(np.maximum(np.asarray(x, float), 1e-18))


def fraction(part: ArrayLike, whole: ArrayLike) -> Values:
    """Fraction part / whole per seed, [R], on the linear scale."""
    return np.asarray(part, float) / np.asarray(whole, float)


def ratio(numerator: ArrayLike, denominator: ArrayLike) -> Values:
    """log(numerator / denominator) per seed, paired, [R]."""
    return np.log(np.asarray(numerator, float)) - np.log(np.asarray(denominator, float))


def ratio_to(x: ArrayLike, reference: float) -> Values:
    """log(x / reference) per seed, [R]."""
    return np.log(np.asarray(x, float)) - np.log(reference)


def slope(x: ArrayLike, y: ArrayLike) -> Values:
    """Least-squares slope of y [R, K] against x [K], per seed."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    centred = x - x.mean()
    return (y - y.mean(1, keepdims=True)) @ centred / (centred @ centred)


def log_log_slope(x: ArrayLike, y: ArrayLike) -> Values:
    """Least-squares slope of log y [R, K] against log x [K], per seed.

    Not finite where a number is not positive, without a warning.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return slope(np.log(np.asarray(x, float)), np.log(np.asarray(y, float)))


def spearman(x: ArrayLike, y: ArrayLike) -> Values:
    """Spearman's rank correlation of x [K] and y [R, K], per seed."""
    return np.array([scipy.stats.spearmanr(x, row).statistic for row in np.asarray(y)])


def correlation(a: ArrayLike, b: ArrayLike) -> Values:
    """Pearson correlation of a [R, ...] and b [...] over all entries, per seed."""
    target = np.asarray(b, float).ravel()
    return np.array(
        [scipy.stats.pearsonr(row.ravel(), target).statistic for row in np.asarray(a)]
    )


def spread_ratio(numerator: ArrayLike, denominator: ArrayLike) -> Values:
    """Miller's jackknife of log(std(log numerator) / std(log denominator)), [R].

    The pseudo-values behave like independent estimates, so the same interval serves
    them as serves every other statistic. Source: R. G. Miller, Jackknifing variances,
    Annals of Mathematical Statistics 39 (1968).
    """
    pair = np.log(np.stack([np.asarray(numerator), np.asarray(denominator)]))

    def estimate(logs: Values) -> float:
        top, bottom = logs.std(axis=0, ddof=1)
        return float(np.log(top / bottom))

    return _pseudo_values(estimate, pair.T, fewest=3)


class OneWay(NamedTuple):
    """Variances of a one-way layout, and its F test; NaN where they do not exist.

    ``within`` is the variance inside rows, ``between`` what rows add to it, estimated
    without bias and so at times below 0; ``f`` and ``p`` test whether rows add nothing.
    """

    within: float
    between: float
    f: float
    p: float


def one_way(x: ArrayLike) -> OneWay:
    """Analyse x [rows, columns] as row effects plus independent noise.

    Columns share nothing but their row, as factors do that only change the rounding:
    a row is a seed, noise within it is rounding.
    """
    x = np.asarray(x, float)
    rows, columns = x.shape
    if rows < 2 or columns < 2:
        return OneWay(np.nan, np.nan, np.nan, np.nan)
    within = float(x.var(1, ddof=1).mean())
    means = float(columns * x.mean(1).var(ddof=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        f = float(np.float64(means) / within)
    p = float(scipy.stats.f.sf(f, rows - 1, rows * (columns - 1)))
    return OneWay(within, (means - within) / columns, f, p)


def share_within(x: ArrayLike) -> Values:
    """Jackknife over rows of the share of variance that lies within rows, [R].

    x [R, K] holds one number a seed and setting. The share is within / (within +
    between) of `one_way`: 1 where seeds add nothing, 0 where settings have no effect.
    Its root is the ratio of STD over settings to STD over seeds, and never above 1 in
    truth, as two seeds differ by both variances.
    """

    def estimate(part: Values) -> float:
        found = one_way(part)
        return found.within / (found.within + found.between)

    return _pseudo_values(estimate, np.asarray(x, float), fewest=3)


def correlation_over_runs(x: ArrayLike, y: ArrayLike) -> Values:
    """Jackknife of Pearson's r between one number x and one y of each run, [runs].

    NaN with fewer than four runs, as three less one always lie on a straight line.
    """

    def estimate(pairs: Values) -> float:
        return float(scipy.stats.pearsonr(*pairs.T).statistic)

    pairs = np.stack([np.asarray(x, float), np.asarray(y, float)], 1)
    return _pseudo_values(estimate, pairs, fewest=4)


def rank_correlation(x: ArrayLike, y: ArrayLike) -> Values:
    """Spearman's rank correlation of x and y [..., K] along the last axis, [...].

    The two are broadcast together; equal values share their mean rank. NaN where either
    does not vary.
    """
    a, b = _centred_ranks(x), _centred_ranks(y)
    with np.errstate(invalid="ignore"):
        size = np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
        return np.asarray((a * b).sum(-1) / size)


def rank_correlation_between_runs(x: ArrayLike, y: ArrayLike) -> Values:
    """Jackknife over runs of the rank correlation of one run's x with another's y, [R].

    x, y [R, K]: the mean over all pairs of different runs. With y = x it says how well
    a measure agrees with itself, the most that it can agree with another one on runs
    that have nothing but their settings in common. NaN with fewer than three runs.
    """

    def estimate(both: Values) -> float:
        between = rank_correlation(both[:, None, 0], both[None, :, 1])
        return float(between[~np.eye(len(both), dtype=bool)].mean())

    both = np.stack([np.asarray(x, float), np.asarray(y, float)], 1)
    return _pseudo_values(estimate, both, fewest=3)


def in_random_order(x: ArrayLike, times: int = 100) -> Values:
    """Rows of x [R, K], each so many times and in another random order, [times R, K].

    A control of a correlation along rows: the same numbers, and no relation left.
    """
    import torch  # takes seconds, and pages need the other statistics alone

    rows = torch.as_tensor(x).repeat(times, 1)
    draw = torch.Generator().manual_seed(0)
    order = torch.rand(rows.shape, generator=draw).argsort(1)
    return np.asarray(rows.cpu().gather(1, order))


def _centred_ranks(x: ArrayLike) -> Values:
    """Ranks of x [..., K] along the last axis, less their mean; NaN if any x is NaN."""
    ranks = scipy.stats.rankdata(np.asarray(x, float), axis=-1, nan_policy="propagate")
    return np.asarray(ranks - ranks.mean(-1, keepdims=True))


def mean_interval(x: ArrayLike) -> tuple[float, float, float]:
    """Mean of the finite values of x [n] and its 95 % t interval: mean, low, high.

    The ends are NaN with fewer than three values.
    """
    finite = np.asarray(x, float)
    finite = finite[np.isfinite(finite)]
    if len(finite) < 3:
        return (float(finite.mean()) if len(finite) else np.nan), np.nan, np.nan
    mean = float(finite.mean())
    reach = scipy.stats.t.ppf(0.975, len(finite) - 1) * scipy.stats.sem(finite)
    return mean, mean - float(reach), mean + float(reach)


Agreement = Literal["agree", "disagree", "opposite", "cannot tell"]


def agreement(
    correlations: ArrayLike, left_out: ArrayLike, reliabilities: Mapping[str, float]
) -> tuple[Agreement, str]:
    """One conclusion on two measures from their rank correlations, by a fixed rule.

    Parameters
    ----------
    correlations
        One a seed, [R]; their mean has a 95 % t interval.
    left_out
        The means [groups] when one group of settings at a time is left out.
    reliabilities
        By the names of both measures, the lower end of the interval of a measure's
        correlation with itself.

    Returns
    -------
    tuple of str
        "cannot tell" if a reliability is below 0.5 or not known. Else "agree" if
        interval and ``left_out`` lie above 0.5, "opposite" if they lie below -0.5,
        "disagree" if the interval lies between -0.5 and 0.5, and "cannot tell" in all
        other cases. Then why we cannot tell; empty otherwise.
    """
    _, low, high = mean_interval(correlations)
    others = np.asarray(left_out, float)
    unknown = [name for name, r in reliabilities.items() if not np.isfinite(r)]
    poor = [name for name, r in reliabilities.items() if r < 0.5]
    if unknown:
        return "cannot tell", f"reliability of {' and '.join(unknown)} not known"
    if poor:
        return "cannot tell", f"{' and '.join(poor)} not reliable"
    if not np.isfinite(low):
        return "cannot tell", "too few seeds"
    if low > 0.5 and others.min() > 0.5:
        return "agree", ""
    if high < -0.5 and others.max() < -0.5:
        return "opposite", ""
    if low > -0.5 and high < 0.5:
        return "disagree", ""
    if low > 0.5 or high < -0.5:
        return "cannot tell", "does not hold with each group left out"
    crossed = [edge for edge in (-0.5, 0.5) if low <= edge <= high]
    return "cannot tell", f"interval holds {' and '.join(map(str, crossed))}"


def _pseudo_values(
    estimate: Callable[[Values], float], rows: Values, fewest: int
) -> Values:
    """Jackknife: n times the estimate, less n - 1 times that without row i, [n].

    NaN if there are fewer rows than an estimate without one of them needs.
    """
    n = len(rows)
    if n < fewest:
        return np.full(n, np.nan)
    left_out = [estimate(np.delete(rows, i, axis=0)) for i in range(n)]
    return n * estimate(rows) - (n - 1) * np.array(left_out)


def seeds_to_tell(ratio: float, columns: int, power: float = 0.8) -> int:
    """Seeds at which the F test of `one_way` tells that they add to the spread.

    ``ratio`` is the STD over columns, in units of the STD over seeds: the root of what
    `share_within` estimates. The test is at 5 %; at most a million seeds are tried.

    Raises
    ------
    ValueError
        If the ratio is not between 0 and 1, or there are fewer than two columns.
    """
    if not 0 < ratio < 1 or columns < 2:
        raise ValueError(
            f"ratio is {ratio} and columns {columns}; give a ratio between 0 and 1 and "
            "at least two columns."
        )
    growth = 1 + columns * (1 / ratio**2 - 1)

    def achieved(seeds: int) -> float:
        f = scipy.stats.f(seeds - 1, seeds * (columns - 1))
        return float(f.sf(f.ppf(0.95) / growth))

    return bisect_left(range(10**6), power, lo=2, key=achieved)


STATISTICS: Mapping[str, Statistic] = {
    f.__name__: f
    for f in (
        value,
        difference,
        magnitude,
        fraction,
        ratio,
        ratio_to,
        log_log_slope,
        spearman,
        correlation,
        spread_ratio,
        share_within,
        correlation_over_runs,
        rank_correlation,
        rank_correlation_between_runs,
    )
}
"""Every statistic a claims file may name."""
