"""Sums of sines and cosines with their exact derivatives."""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

Reading = Literal["notebook", "paper"]


@dataclass(frozen=True)
class SignalSettings:
    """How a set of random trigonometric functions is drawn.

    Attributes
    ----------
    functions, points
        Number of functions and of samples on [0, 2 pi].
    min_frequency, max_frequency
        Inclusive range of the integer frequencies.
    reading
        ``"notebook"``: n ~ U{1..9} terms, amplitudes uniform in [0, 1), as in the
        authors' public notebook. ``"paper"``: ten terms with amplitudes drawn from
        {0, 1}, as Section 3.1 of the paper says.
    damping
        Amplitudes of frequency F are multiplied by F**-damping; 1 makes the spectrum
        of the derivative flat (the paper's future-work question, Section 5).
    periodic
        Leave out x = 2 pi, so that the samples are exactly periodic. The paper's grid
        has both ends.
    seed
        Seed of the draw.
    """

    functions: int
    points: int
    min_frequency: int
    max_frequency: int
    reading: Reading = "notebook"
    damping: float = 0.0
    periodic: bool = False
    seed: int = 42

    def __post_init__(self) -> None:
        if self.reading not in ("notebook", "paper"):
            raise ValueError(
                f"reading is {self.reading!r}; choose 'notebook' or 'paper'."
            )
        if self.functions < 1:
            raise ValueError(f"functions is {self.functions}; at least 1 is needed.")
        if not 1 <= self.min_frequency <= self.max_frequency:
            raise ValueError(
                f"frequencies {self.min_frequency} to {self.max_frequency}: "
                "need 1 <= min_frequency <= max_frequency."
            )
        if self.points <= 2 * self.max_frequency:
            raise ValueError(
                f"{self.points} points cannot carry frequency {self.max_frequency}; "
                f"use more than {2 * self.max_frequency} points."
            )


@dataclass(frozen=True)
class Signals:
    """Functions u and their derivatives du on a common grid.

    Shapes: ``x`` [points], ``u`` and ``du`` [functions, points],
    ``frequencies`` [functions, terms] with 0 where a function has fewer terms.
    """

    x: Tensor
    u: Tensor
    du: Tensor
    frequencies: Tensor

    def __len__(self) -> int:
        return self.u.shape[0]

    def __getitem__(self, rows: slice) -> "Signals":
        return replace(
            self, u=self.u[rows], du=self.du[rows], frequencies=self.frequencies[rows]
        )

    @property
    def spacing(self) -> float:
        """Distance of neighbouring grid points."""
        return float(self.x[1] - self.x[0])


def grid(points: int, periodic: bool = False) -> Tensor:
    """Sample points on [0, 2 pi] in float64, with or without the right end."""
    steps = points + 1 if periodic else points
    return torch.linspace(0, 2 * torch.pi, steps, dtype=torch.float64)[:points]


@dataclass(frozen=True)
class Coefficients:
    """Terms of each function; all tensors are [functions, terms].

    A function is sum_i A_i sin(F_i x + Phi_i) + B_i cos(F_i x + Psi_i).
    """

    frequency: Tensor
    sine: Tensor
    cosine: Tensor
    sine_phase: Tensor
    cosine_phase: Tensor

    def value(self, x: Tensor) -> Tensor:
        """Values at x [points] or [functions, points], as [functions, points]."""
        angle = self.frequency[..., None] * x.unsqueeze(-2)
        sines = self.sine[..., None] * torch.sin(angle + self.sine_phase[..., None])
        cosines = self.cosine[..., None] * torch.cos(
            angle + self.cosine_phase[..., None]
        )
        return (sines + cosines).sum(1)

    def derivative(self, x: Tensor) -> Tensor:
        """Exact u' at x [points] or [functions, points], as [functions, points]."""
        quarter = torch.pi / 2  # d/dx turns each phase by a quarter and multiplies by F
        return replace(
            self,
            sine=self.sine * self.frequency,
            cosine=self.cosine * self.frequency,
            sine_phase=self.sine_phase + quarter,
            cosine_phase=self.cosine_phase + quarter,
        ).value(x)


def draw_coefficients(settings: SignalSettings) -> Coefficients:
    """Draw the terms of equation (1) of Wang, Wang & Lai 2024 in float64."""
    generator = torch.Generator().manual_seed(settings.seed)
    terms = 10 if settings.reading == "paper" else 9
    shape = (settings.functions, terms)

    def uniform() -> Tensor:
        return torch.rand(shape, generator=generator, dtype=torch.float64)

    frequency = torch.randint(
        settings.min_frequency, settings.max_frequency + 1, shape, generator=generator
    ).double()
    sine, cosine = uniform(), uniform()
    sine_phase, cosine_phase = 2 * torch.pi * uniform(), 2 * torch.pi * uniform()
    if settings.reading == "paper":
        sine, cosine = sine.round(), cosine.round()
    else:
        count = torch.randint(1, 10, (settings.functions, 1), generator=generator)
        kept = torch.arange(terms) < count
        sine, cosine, frequency = sine * kept, cosine * kept, frequency * kept
    damp = frequency.clamp(min=1) ** -settings.damping
    return Coefficients(frequency, sine * damp, cosine * damp, sine_phase, cosine_phase)


def draw_signals(
    settings: SignalSettings, dtype: torch.dtype = torch.float32
) -> Signals:
    """Draw random functions and their exact derivatives on the grid.

    Source: Wang, Wang & Lai 2024, equation (1) and Section 3.1. Values are computed in
    float64 and then rounded to ``dtype``.
    """
    x = grid(settings.points, settings.periodic)
    terms = draw_coefficients(settings)
    return Signals(
        x.to(dtype),
        terms.value(x).to(dtype),
        terms.derivative(x).to(dtype),
        terms.frequency,
    )


def forward_difference(u: Tensor, spacing: float) -> Tensor:
    """First-order forward difference (u[i+1] - u[i]) / spacing, one point shorter.

    Source: Wang, Wang & Lai 2024, equation (3).
    """
    return (u[..., 1:] - u[..., :-1]) / spacing
