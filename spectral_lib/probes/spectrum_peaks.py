"""Minima and peaks of curves over epochs.

Source: Zhang, Xiong & Wu 2021, Section 3.2; the test against noise is ours.
"""

import math
from dataclasses import astuple, dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Search:
    """How the peak of a curve is looked for.

    Attributes
    ----------
    window
        Epochs of the mean filter.
    patience
        Epochs without a lower, then without a higher value, before a search ends.
    certainty
        A peak counts if the curve rises to it, and falls after it, by more than this
        many times the noise left after smoothing, as `noise_of` finds it in the curve
        itself. At 6 pure noise has a peak in at most one of fifty curves as long as the
        correlation of neighbours stays below 0.6; at 0, the paper's rule, in all.

    Raises
    ------
    ValueError
        If window or patience is below 1 or certainty below 0.
    """

    window: int = 10
    patience: int = 30
    certainty: float = 6.0

    def __post_init__(self) -> None:
        if self.window < 1 or self.patience < 1 or not self.certainty >= 0:
            raise ValueError(
                f"{self}: window and patience must be >= 1, certainty >= 0.0."
            )


@dataclass(frozen=True)
class Turns:
    """Positions of a curve's first minimum and of the peak after it, None if not seen.

    A minimum without a peak means that the curve still rises, or stays up.
    """

    minimum: int | None
    peak: int | None


def smooth(curve: Tensor, window: int = 10) -> Tensor:
    """Mean filter of curves [T, ...]; at the ends, over the epochs that are there.

    Position t takes t - window // 2 to t + (window - 1) // 2.
    """
    # From the first value on, so that a constant curve is constant to the last bit.
    origin = curve[:1].double()
    sums = torch.cat([torch.zeros_like(origin), curve.double() - origin]).cumsum(0)
    t = torch.arange(len(curve), device=curve.device)
    first = (t - window // 2).clamp(min=0)
    last = (t + (window - 1) // 2 + 1).clamp(max=len(curve))
    count = (last - first).view(-1, *[1] * (curve.ndim - 1))
    return (origin + (sums[last] - sums[first]) / count).to(curve.dtype)


@dataclass(frozen=True)
class Noise:
    """Noise of a curve: its standard deviation, and the correlation of neighbours.

    It is taken as autoregressive of first order, so that values h apart have the
    correlation to the power of h.
    """

    deviation: float
    correlation: float

    def of_mean(self, window: int) -> float:
        """Standard deviation of the mean of so many neighbours."""
        sums = sum((1 - h / window) * self.correlation**h for h in range(1, window))
        return self.deviation * math.sqrt((1 + 2 * sums) / window)


def noise_of(curve: Tensor, window: int = 31) -> Noise:
    """Noise of a curve [T] that else bends little within an odd window of epochs.

    A parabola is fitted to each window, and what the values in the middle differ from
    it is compared with what noise of each correlation would leave. A trend that is no
    parabola counts as noise. Without noise for fewer than 2 window - 1 values.

    Raises
    ------
    ValueError
        If the window is even or below 5.
    """
    if window < 5 or window % 2 == 0:
        raise ValueError(f"window is {window}; give an odd number, 5 or larger.")
    if len(curve) < 2 * window - 1:
        return Noise(0.0, 0.0)
    t = torch.arange(window, dtype=torch.float64)
    powers = (t - window // 2)[:, None] ** torch.arange(3)
    left = -torch.linalg.pinv(powers)[0]  # the parabola's value in the middle
    left[window // 2] += 1
    residual = curve.detach().double().cpu().unfold(0, window, 1) @ left
    size = residual.square().mean()
    if float(size) <= 1e-24 * float(curve.double().square().max()):
        return Noise(0.0, 0.0)
    correlations = torch.linspace(0, 0.95, 96, dtype=torch.float64)[:, None, None]
    lags = t[:, None] - t
    same, next_one = (
        left @ (correlations ** (lags + shift).abs()) @ left for shift in (0, 1)
    )
    found = (residual[1:] * residual[:-1]).mean() / size
    best = int((next_one / same - found).abs().argmin())
    deviation = float((size / same[best]).sqrt())
    return Noise(deviation, float(correlations[best, 0, 0]))


def find_turns(curve: Tensor, search: Search | None = None) -> Turns:
    """Search for the first minimum and then the first maximum of a curve [T].

    The curve is smoothed and followed until no lower value has come for `patience`
    epochs; from that minimum on until no higher one has come, and the mean of the last
    `patience` epochs lies clearly below. A maximum within the noise does not end the
    search. Values at the start that are not finite (of a network that began at zero)
    are passed over; after them a curve is cut where it is no longer finite. Source:
    Zhang, Xiong & Wu 2021, Section 3.2; the test against noise is ours.

    Raises
    ------
    ValueError
        If the curve has other than one axis.
    """
    s = search or Search()
    if curve.ndim != 1:
        raise ValueError(f"the curve has shape {list(curve.shape)}; give one axis.")
    first = int(curve.isfinite().int().argmax()) if len(curve) else 0
    found = _find_turns(curve[first:], s)
    return Turns(*(None if t is None else first + t for t in astuple(found)))


def _find_turns(curve: Tensor, s: Search) -> Turns:
    bad = (~curve.isfinite()).nonzero()
    curve = curve[: int(bad[0])] if len(bad) else curve
    values = smooth(curve.double(), s.window)
    minimum = _minimum(values, s.patience)
    if minimum is None:
        return Turns(None, None)
    # Rounding of the filter must not turn a flat curve into a peak.
    window = max(s.patience | 1, 5)  # a peak has to last longer than that
    least = s.certainty * noise_of(curve[minimum:], window).of_mean(s.window)
    least = max(least, 1e-9 * float(values.abs().max()))
    peak = minimum
    for t in range(minimum + 1, len(values)):
        if values[t] > values[peak]:
            peak = t
        elif t - peak >= s.patience:
            fall = values[peak] - values[t - s.patience + 1 : t + 1].mean()
            if min(fall, values[peak] - values[minimum]) > least:
                return Turns(minimum, peak)
    return Turns(minimum, None)


def first_minimum(curve: Tensor, search: Search | None = None) -> int:
    """Position of a curve's first minimum [T], or of its least value if it has none."""
    s = search or Search()
    found = find_turns(curve, s).minimum
    return int(smooth(curve, s.window).argmin()) if found is None else found


def _minimum(values: Tensor, patience: int) -> int | None:
    """Position of the smallest value when none smaller came for `patience` steps."""
    best = 0
    for t in range(1, len(values)):
        if values[t] < values[best]:
            best = t
        elif t - best >= patience:
            return best
    return None
