"""Spectrum R_k of a network's outputs along short random lines through data points.

Source: Zhang, Xiong & Wu 2021, equations (1) to (3), and their public code.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from spectral_lib.data.dataset import Augment
from spectral_lib.training.ensemble import Ensemble
from spectral_lib.training.settings import Measure

Predict = Callable[[Tensor], Tensor]
"""Maps inputs [batch, ...] to outputs [R, batch, classes]."""


@dataclass(frozen=True)
class LineSettings:
    """Lines x + s v with s from -half_width to half_width, and samples on them.

    Attributes
    ----------
    half_width
        h, in units of the inputs.
    samples
        N; frequencies are k = 0 ... N / 2, in periods over the line.
    inclusive
        Sample both ends, as equation (1), or leave the last one out, as the public
        code does.
    chunk
        Inputs in one pass through the network, which bounds the memory; a stacked
        ensemble of R replicas takes R times as much. None is 256 on a CPU, where
        thousands are slower as activations leave the cache, and 8192 elsewhere.

    Raises
    ------
    ValueError
        If half_width is not positive, samples is below 2 or chunk below 1.
    """

    half_width: float = 0.5
    samples: int = 128
    inclusive: bool = False
    chunk: int | None = None

    def __post_init__(self) -> None:
        if not self.half_width > 0:
            raise ValueError(f"half_width is {self.half_width}; it must be > 0.0.")
        if self.samples < 2:
            raise ValueError(f"samples is {self.samples}; it must be >= 2.")
        if self.chunk is not None and self.chunk < 1:
            raise ValueError(f"chunk is {self.chunk}; it must be >= 1.")

    @property
    def offsets(self) -> Tensor:
        """Positions s on a line, [samples]."""
        intervals = self.samples - 1 if self.inclusive else self.samples
        steps = torch.arange(self.samples, dtype=torch.float64)
        return self.half_width * (2 * steps / intervals - 1)

    def inputs_at_once(self, device: torch.device) -> int:
        """The chunk, or what is fast on a device if none was given."""
        return self.chunk or (256 if device.type == "cpu" else 8192)


def directions(inputs: Tensor, generator: torch.Generator) -> Tensor:
    """One random direction of length 1 for each of inputs [points, ...], same shape.

    Uniform on the sphere of all entries of a point together.
    """
    drawn = torch.randn(inputs.shape, generator=generator).flatten(1)
    unit = drawn / drawn.norm(dim=1, keepdim=True)
    return unit.view(inputs.shape).to(inputs)


def energies(outputs: Tensor) -> Tensor:
    """A_k of outputs [..., points, samples, classes] along lines, [..., K + 1].

    The mean over points and classes of the transform's squared modulus. In float64, as
    energies span many powers of ten.
    """
    return torch.fft.rfft(outputs.double(), dim=-2).abs().square().mean((-3, -1))


def ratios(energy: Tensor) -> Tensor:
    """R_k = ln(A_k / sum_j A_j) of energies [..., K + 1]."""
    return (energy / energy.sum(-1, keepdim=True)).log()


def straight_line(samples: int) -> Tensor:
    """R_k - R_1 of a function that is straight along the line, k = 1 ... N / 2.

    Its transform is that of the jump between the line's ends, with modulus proportional
    to 1 / sin(pi k / N): an output that hardly bends has this spectrum, whatever its
    slope.
    """
    k = torch.arange(1, samples // 2 + 1, dtype=torch.float64)
    size = (torch.pi * k / samples).sin()
    return 2 * (size[0] / size).log()


def high_share(ratio: Tensor, first: int = 5) -> Tensor:
    """Share of the energy at k >= first, from R_k [..., K + 1]."""
    return ratio[..., first:].exp().sum(-1)


@torch.no_grad()
def spectrum(
    predict: Predict, inputs: Tensor, v: Tensor, settings: LineSettings | None = None
) -> Tensor:
    """R_k of a network along lines through inputs, [R, N / 2 + 1] in float64.

    Parameters
    ----------
    predict
        The network in evaluation mode, as in `Ensemble.predict`. It should return
        logits: with them R_k does not change if the last layer is scaled.
    inputs, v
        Points and directions [points, ...].
    settings
        Of the lines.

    Raises
    ------
    ValueError
        If there are no points, or shapes differ.
    """
    s = settings or LineSettings()
    if not len(inputs) or inputs.shape != v.shape:
        raise ValueError(
            f"inputs have shape {list(inputs.shape)} and directions {list(v.shape)}; "
            "give at least one point and a direction of its shape for each."
        )
    offsets = s.offsets.to(inputs).view(-1, *[1] * (inputs.ndim - 1))
    sums = []
    chunk = s.inputs_at_once(inputs.device)
    step = max(1, chunk // s.samples)
    for x, direction in zip(inputs.split(step), v.split(step), strict=True):
        lines = (x[:, None] + offsets * direction[:, None]).flatten(0, 1)
        outputs = torch.cat([predict(part) for part in lines.split(chunk)], dim=1)
        outputs = outputs.unflatten(1, (len(x), s.samples))
        sums.append(len(x) * energies(outputs))
    return ratios(torch.stack(sums).sum(0))


def local_spectrum(
    inputs: Tensor,
    settings: LineSettings | None = None,
    *,
    points: int = 500,
    seed: int = 0,
    augment: Augment | None = None,
) -> Measure:
    """Measure ``R`` [R, N / 2 + 1] around points of a data set; no labels are needed.

    Points, directions and augmentation depend on ``seed`` and on the seed of torch's
    global random state, which `train` sets anew at each epoch: so each epoch has its
    own draw, as in the paper, shared by all replicas and by a run that is taken up
    again.

    Parameters
    ----------
    inputs
        [examples, ...], training or test set.
    settings
        Of the lines.
    points
        Examples drawn without replacement for a reading; if there are no more, all
        in their order.
    seed
        Of points and directions.
    augment
        Applied to the points before directions are added, if given; it sees labels 0.

    Raises
    ------
    ValueError
        If points is not positive.
    """
    if points < 1:
        raise ValueError(f"points is {points}; give at least 1.")

    def draw() -> tuple[Tensor, Tensor]:
        # A large odd factor, so that neighbouring seeds and epochs do not meet.
        mixed = seed + 1_000_003 * torch.initial_seed()
        generator = torch.Generator().manual_seed(mixed % 2**63)
        chosen = inputs
        if points < len(inputs):
            rows = torch.randperm(len(inputs), generator=generator)[:points]
            chosen = inputs[rows.to(inputs.device)]
        if augment is not None:
            labels = torch.zeros(1, len(chosen), dtype=torch.long, device=chosen.device)
            chosen = augment(chosen[None], labels, [generator])[0][0]
        return chosen, directions(chosen, generator)

    def measure(ensemble: Ensemble) -> dict[str, Tensor]:
        return {"R": spectrum(ensemble.predict, *draw(), settings)}

    return measure
