"""Risk of gradient descent when two parts of a model are learned at different speeds.

The exact and cheap case of epoch-wise double descent: each part has a U-shaped risk,
its bias falling while its variance rises, and their sum has two descents when one part
is over-fitted before the other is learned. After Heckel & Yilmaz 2020, arXiv
2007.10099.

The loss is (1 / 2n) sum_i (f - y)^2; a loss without the 1/2 runs twice as fast. Risks
are E (f_t - f)^2 with f the function without noise, so that the noise of a test label
is not counted. The design of `two_scale_risk` has orthogonal columns, for which the sum
is exact at every n; for Gaussian inputs, as in the source, it holds as n grows.
`kernel_risk` is exact for any fixed inputs and any network linear in its parameters.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Turn = tuple[Literal["minimum", "maximum"], int]


@dataclass(frozen=True)
class TwoScales:
    """Linear regression whose features come in two groups.

    Each group has a number of features, their scale (root mean square) and a signal,
    the variance of the target that it explains; ``noise`` is the standard deviation of
    the labels' noise. A scale squared times the step size is the rate of learning.

    Raises
    ------
    ValueError
        If a number of features, a scale or a signal is not positive, the noise is
        negative, or there are fewer examples than features.
    """

    examples: int = 100
    features: tuple[int, int] = (60, 20)
    scales: tuple[float, float] = (1.0, 0.1)
    signals: tuple[float, float] = (1.0, 1.0)
    noise: float = 1.5

    def __post_init__(self) -> None:
        if min(*self.features, *self.scales, *self.signals) <= 0 or self.noise < 0:
            raise ValueError(
                f"{self}: features, scales and signals must be > 0, noise >= 0."
            )
        if self.examples < sum(self.features):
            raise ValueError(
                f"{self.examples} examples for {sum(self.features)} features; give at "
                "least as many, as the columns are to be orthogonal."
            )

    @property
    def variances(self) -> Array:
        """What the noise adds to the risk of each group once it is fitted, [2]."""
        return self.noise**2 * np.array(self.features) / self.examples


@dataclass(frozen=True)
class Sample:
    """A training set: inputs [n, d], coefficients [d], labels [n]."""

    inputs: Array
    coefficients: Array
    labels: Array


def two_scale_risk(
    setting: TwoScales, steps: ArrayLike, step_sizes: Sequence[float] = (1.0, 1.0)
) -> Array:
    """Expected risk of each group after steps of gradient descent from 0, [2, T].

    With q = (1 - step size scale^2)^t what is left to learn, a group has the risk
    signal q^2 + variance (1 - q)^2; the risk is the sum of both.

    Raises
    ------
    ValueError
        Unless there are two step sizes, each times scale^2 between 0 and 2.
    """
    sizes = np.array(step_sizes, dtype=float)
    rates = sizes * np.square(setting.scales)
    if sizes.shape != (2,) or not (rates.min() > 0 and rates.max() < 2):
        raise ValueError(
            f"step_sizes is {list(step_sizes)} for scales {setting.scales}; give two "
            "whose product with scale^2 lies between 0 and 2."
        )
    left = (1 - rates[:, None]) ** np.asarray(steps, dtype=float)
    signals = np.array(setting.signals)[:, None]
    return signals * left**2 + setting.variances[:, None] * (1 - left) ** 2


def turns(curve: ArrayLike) -> list[Turn]:
    """Inner extrema of a curve [T] without noise, in order, with their positions.

    A double descent is a minimum, a maximum and, unless the curve falls to the end,
    another minimum. Neighbours that are equal, to rounding, belong to one extremum, at
    the first of them.
    """
    values = np.asarray(curve, dtype=float)
    least = 1e-13 * np.abs(values).max(initial=0.0)
    distinct = np.flatnonzero(np.abs(np.diff(values, prepend=np.inf)) > least)
    rising = np.sign(np.diff(values[distinct]))
    return [
        ("minimum" if rising[i] > 0 else "maximum", int(distinct[i]))
        for i in range(1, len(rising))
        if rising[i] != rising[i - 1]
    ]


def draw(setting: TwoScales, seed: int, *, gaussian: bool = False) -> Sample:
    """A training set whose features have mean square scales^2.

    Inputs and coefficients depend on the setting alone; the seed is the noise's.
    Columns are orthogonal, as `two_scale_risk` has them, or independent normal.
    """
    fixed = np.random.default_rng(0)
    parts = [fixed.normal(size=d) for d in setting.features]
    lengths = np.sqrt(setting.signals) / np.array(setting.scales)
    coefficients = np.concatenate(
        [
            length * part / np.linalg.norm(part)
            for length, part in zip(lengths, parts, strict=True)
        ]
    )
    n, scales = setting.examples, np.repeat(setting.scales, setting.features)
    inputs = fixed.normal(size=(n, len(scales)))
    if not gaussian:
        inputs = np.sqrt(n) * np.linalg.qr(inputs)[0]
    inputs = inputs * scales
    noise = setting.noise * np.random.default_rng([1, seed]).normal(size=n)
    return Sample(inputs, coefficients, inputs @ coefficients + noise)


@dataclass(frozen=True)
class Risk:
    """Squared bias and variance over the label noise, mean over test points, [T]."""

    bias: Array
    variance: Array

    @property
    def total(self) -> Array:
        """Their sum."""
        return self.bias + self.variance


def kernel_risk(
    gram: ArrayLike,
    cross: ArrayLike,
    train_gap: ArrayLike,
    test_gap: ArrayLike,
    noise: float,
    steps: ArrayLike,
    step_size: float,
) -> Risk:
    """Expected risk of a network linear in its parameters, over noise in its labels.

    Exact for linear regression, with gram X X^T and cross X' X^T, where features may
    be scaled by the root of a step size of their own. For a network it holds as far as
    its tangent kernel stays as it was at the start. Without noise and with labels in
    place of the function it gives the error of a single run.

    Shapes: gram [n, n] is the kernel of training points, cross [m, n] that of test with
    training points; the gaps [n] and [m] are the function minus the network at the
    start; steps [T] of full-batch gradient descent have one size.

    Raises
    ------
    ValueError
        If shapes do not fit or the largest rate is not between 0 and 2.
    """
    k, c = np.asarray(gram, dtype=float), np.asarray(cross, dtype=float)
    train, test = np.asarray(train_gap, dtype=float), np.asarray(test_gap, dtype=float)
    n, m = len(train), len(test)
    if k.shape != (n, n) or c.shape != (m, n):
        raise ValueError(
            f"gram has shape {k.shape} and cross {c.shape} for {n} training and {m} "
            f"test points; give ({n}, {n}) and ({m}, {n})."
        )
    rates, modes = np.linalg.eigh(k * (step_size / n))
    if not 0 < rates[-1] < 2:
        raise ValueError(
            f"step_size is {step_size:g} and the largest rate {rates[-1]:.3g}; it must "
            "be positive and below 2."
        )
    t = np.asarray(steps, dtype=float)[:, None]
    # (1 - (1 - rate)^t) / rate, without cancellation and t where the rate is 0.
    small = np.abs(rates) < 1e-14
    slow = np.where(rates < 0.5, rates, 0.0)
    gone = np.where(rates < 0.5, -np.expm1(t * np.log1p(-slow)), 1 - (1 - rates) ** t)
    learned = np.where(small, t, gone / np.where(small, 1.0, rates))
    spread = (c @ modes) * (step_size / n)
    residual = test - (learned * (modes.T @ train)) @ spread.T
    variance = noise**2 * learned**2 @ (spread**2).sum(0) / m
    return Risk((residual**2).mean(1), variance)
