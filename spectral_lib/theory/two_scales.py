"""Risk of gradient descent when two parts of a model are learned at different speeds.

The exact and cheap case of epoch-wise double descent: each part has a U-shaped risk,
its bias falling while its variance rises, and their sum has two descents when one part
is over-fitted before the other is learned. After Heckel & Yilmaz 2020, arXiv
2007.10099.

The loss is (1 / 2n) sum_i (f - y)^2; a loss without the 1/2 runs twice as fast. Risks
are E (f_t - f)^2 with f the function without noise, so that the noise of a test label
is not counted. The design has orthogonal columns, for which the sum is exact at every
n; for Gaussian inputs, as in the source, it holds as n grows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


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
    variances = setting.noise**2 * np.array(setting.features) / setting.examples
    return signals * left**2 + variances[:, None] * (1 - left) ** 2
