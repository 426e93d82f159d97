"""Multilayer perceptrons."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn


class MLP(nn.Module):
    """Fully connected layers with an activation between them.

    Maps [batch, widths[0]] to [batch, widths[-1]]; PyTorch's default initialization.
    """

    def __init__(
        self,
        widths: Sequence[int],
        activation: Callable[[Tensor], Tensor] = torch.relu,
    ) -> None:
        super().__init__()
        if len(widths) < 2:
            raise ValueError(f"widths is {list(widths)}; give input and output width.")
        self.activation = activation
        self.layers = nn.ModuleList(
            nn.Linear(a, b) for a, b in zip(widths, widths[1:], strict=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Apply the network to x [batch, widths[0]]."""
        for i, layer in enumerate(self.layers):
            x = layer(self.activation(x) if i else x)
        return x
