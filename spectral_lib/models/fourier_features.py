"""Networks whose first layer is cosines and sines of random frequencies."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from spectral_lib.data.frequencies import Frequencies

Activation = Literal["sin", "tanh", "relu"]

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sin": torch.sin,
    "tanh": torch.tanh,
    "relu": torch.relu,
}


@dataclass(frozen=True)
class FourierSettings:
    """Architecture and initialization of a :class:`FourierFeatures` network.

    Attributes
    ----------
    width
        m, the number of frequencies.
    frequencies
        Distribution they are drawn from.
    sigma_a
        Standard deviation of the weights of the last layer.
    hidden
        Units of a dense layer with N(0, 1) weights on top of the features; 0 for none.
    activation
        Of the dense layer.
    train_frequencies
        Whether w is trained or stays as it was drawn.
    antisymmetric
        Take the difference of two networks of half the width that start equal: the
        output starts at 0 and the tangent kernel is unchanged in expectation.

    Raises
    ------
    ValueError
        If a number is out of range or the activation is unknown.
    """

    width: int
    frequencies: Frequencies
    sigma_a: float = 1.0
    hidden: int = 0
    activation: Activation = "sin"
    train_frequencies: bool = True
    antisymmetric: bool = True

    def __post_init__(self) -> None:
        halves = 2 if self.antisymmetric else 1
        for name, least in (("width", 1), ("hidden", 0)):
            value = getattr(self, name)
            if value < least or value % halves:
                even = "even " if self.antisymmetric else ""
                raise ValueError(
                    f"{name} is {value}; give an {even}number of at least {least}."
                )
        if not 0 <= self.sigma_a < float("inf"):
            raise ValueError(f"sigma_a is {self.sigma_a}; it must be >= 0 and finite.")
        if self.activation not in ACTIVATIONS:
            raise ValueError(
                f"activation is {self.activation!r}; use one of {list(ACTIVATIONS)}."
            )


class FourierFeatures(nn.Module):
    """Maps x [batch, 1] to [batch, 1] by random Fourier features.

    Without a dense layer f(x) = m^(-1/2) sum_j a_j cos(w_j x) + b_j sin(w_j x); with
    one, the 2 m features enter it over sqrt(m) and its n units the output over sqrt(n).
    Weights carry a leading axis of 2 (antisymmetric) or 1: ``frequency`` [., m],
    ``hidden`` [., n, 2 m], ``amplitude`` [., 2 m or n], where cosines come before
    sines. Frequencies that are not trained are a buffer.

    Source: sine and cosine features of prescribed frequencies, Molina et al. 2024
    (abstract); the normalisation is the standard one of tangent kernels, the
    difference of two networks that of Zhang et al. 2020 (arXiv 1905.07777).
    """

    frequency: Tensor
    hidden: Tensor
    amplitude: Tensor

    def __init__(self, settings: FourierSettings) -> None:
        super().__init__()
        self.settings = settings
        self.halves = 2 if settings.antisymmetric else 1
        units = settings.width // self.halves
        dense = settings.hidden // self.halves

        def normal(*shape: int) -> Tensor:
            return torch.randn(shape, dtype=torch.float64)

        frequency = settings.frequencies.sample(units)
        self._add("frequency", frequency, settings.train_frequencies)
        if dense:
            self._add("hidden", normal(dense, 2 * units))
        self._add("amplitude", settings.sigma_a * normal(dense or 2 * units))
        self.scale = (self.halves * units) ** -0.5 if not dense else units**-0.5
        self.output_scale = (self.halves * dense) ** -0.5 if dense else 1.0

    def _add(self, name: str, start: Tensor, trained: bool = True) -> None:
        start = start.to(torch.get_default_dtype())
        value = start.expand(self.halves, *start.shape).clone()
        if trained:
            self.register_parameter(name, nn.Parameter(value))
        else:
            self.register_buffer(name, value)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the network to x [batch, 1]."""
        value = self._half(x, 0)
        if self.halves == 2:
            value = value - self._half(x, 1)
        return value.unsqueeze(-1)

    def _half(self, x: Tensor, half: int) -> Tensor:
        """Value [batch] of one of the two networks."""
        # Copies lie alike in memory, so that equal halves are rounded alike.
        amplitude = self.amplitude[half].clone()
        angle = x * self.frequency[half]
        features = self.scale * torch.cat([torch.cos(angle), torch.sin(angle)], -1)
        if self.settings.hidden:
            activation = ACTIVATIONS[self.settings.activation]
            hidden = self.hidden[half].clone()
            features = activation(features @ hidden.T) * self.output_scale
        return features @ amplitude
