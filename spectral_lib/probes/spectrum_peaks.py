"""Minima and peaks of curves over epochs.

Source: Zhang, Xiong & Wu 2021, Section 3.2; the test against noise is ours.
"""

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
        many times the noise left after smoothing. At 6 none of 600 curves of pure
        noise had a peak; at 0, the paper's rule, all had one.

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


def noise_level(curve: Tensor) -> float:
    """Standard deviation of independent noise on a smooth curve [T], robustly.

    From the median modulus of second differences, which a straight line does not
    enter; 0 for fewer than three values.
    """
    if len(curve) < 3:
        return 0.0
    bends = curve.double().diff(n=2).abs().median()
    # A normal variable's median modulus is 0.6745 deviations; bends have variance 6.
    return float(bends) / (0.6745 * 6**0.5)


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
    least = s.certainty * noise_level(curve) / s.window**0.5
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
