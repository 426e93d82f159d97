"""The three regimes of the non-linear kernel equation and their stability.

Source: Sun et al. 2022, section 5.4, table 3 and appendix C.5.
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from spectral_lib.theory.stability import Interval, check_rate, printed_bounds

Array = NDArray[np.float64]
Regime = Literal["activated", "transitioning", "not activated"]


def activation_regime(response: float, beta: float = 1.0) -> Regime:
    """Name the regime of a response by the nearest of the three linear equations.

    Sun et al. 2022, table 3, leaves "near zero" open. The line of transition meets the
    other two at ``beta response = 1`` and -1, which are taken as the borders here.
    """
    if beta * response > 1:
        return "activated"
    return "not activated" if beta * response < -1 else "transitioning"


def regime_slopes(response: ArrayLike, beta: float = 1.0) -> dict[Regime, Array]:
    """Give each regime's approximation of the slope of Swish.

    Parameters
    ----------
    response : array_like
        Values of K * I, any shape.
    beta : float
        Steepness of Swish.

    Returns
    -------
    dict
        1, ``(1 + beta response) / 2`` and 0, shaped like `response`; Sun et al. 2022,
        section 5.4 and equations (31) and (32).
    """
    x = np.asarray(response, dtype=float)
    return {
        "activated": np.ones_like(x),
        "transitioning": 0.5 * (1.0 + beta * x),
        "not activated": np.zeros_like(x),
    }


def regime_bounds(
    regime: Regime,
    image: Tensor,
    learning_rate: float,
    residual: float = -0.5,
    beta: float = 1.0,
) -> Interval:
    """Give the bounds on weight decay in one regime of the non-linear equation.

    Parameters
    ----------
    regime : {"activated", "transitioning", "not activated"}
        Row of Sun et al. 2022, table 3.
    image, learning_rate, residual, beta
        As in `printed_bounds`; the last two count in transition only.

    Returns
    -------
    Interval
        The row "Stability" of the table, with the lower ends of appendix C.5
        (activated) and 0 (not activated).

    Raises
    ------
    ValueError
        If the regime is unknown or a number out of range.
    """
    check_rate(learning_rate)
    if regime == "transitioning":
        return printed_bounds(image, learning_rate, residual, beta)
    top = 2.0 / learning_rate
    if regime == "activated":
        shift = image.double().sum().item() ** 2 / 8.0
        return Interval(-shift, top - shift)
    if regime == "not activated":
        return Interval(0.0, top)
    raise ValueError(
        f"regime is {regime!r}; choose 'activated', 'transitioning' or 'not activated'."
    )
