"""Multilayer perceptrons."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn


class MLP(nn.Module):
    """Fully connected layers with an activation between them.

    Maps [batch, widths[0]], or images of so many pixels in all channels, to [batch,
    widths[-1]]; PyTorch's default initialization.
    """

    takes_replicas = True

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
        """Apply the network to x [batch, ...]."""
        x = x.flatten(1)
        for i, layer in enumerate(self.layers):
            x = layer(self.activation(x) if i else x)
        return x

    def replicas(self, state: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """Outputs for x [R, batch, ...] with parameters [R, ...], by name.

        The same operations as under ``torch.func.vmap``, without what that costs.
        """
        x = x.flatten(2)
        for i in range(len(self.layers)):
            x = self.activation(x) if i else x
            weight, bias = (state[f"layers.{i}.{name}"] for name in ("weight", "bias"))
            x = bias.unsqueeze(1) + x @ weight.mT
        return x
