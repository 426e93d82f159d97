"""One-dimensional convolutional networks with a choice of how to convolve."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.func import functional_call

Form = Literal["direct", "rows"]
PaddingMode = Literal["zeros", "replicate", "circular"]


@dataclass(frozen=True)
class ConvSettings:
    """Architecture of a :class:`ConvNet1d`; defaults are the paper's.

    ``layers`` counts every convolution: 1 -> channels, channels -> channels (layers - 2
    times), channels -> 1. Source: Wang, Wang & Lai 2024, Sections 3.2 and A.1.
    """

    kernel_size: int = 3
    layers: int = 3
    channels: int = 64
    padding_mode: PaddingMode = "zeros"

    def __post_init__(self) -> None:
        if self.kernel_size < 3 or self.kernel_size % 2 == 0:
            raise ValueError(
                f"kernel_size is {self.kernel_size}; use an odd number, 3 or larger."
            )
        if self.layers < 2:
            raise ValueError(f"layers is {self.layers}; at least 2 are needed.")
        if self.padding_mode not in get_args(PaddingMode):
            known = ", ".join(map(repr, get_args(PaddingMode)))
            raise ValueError(f"padding_mode is {self.padding_mode!r}; use {known}.")

    @property
    def reach(self) -> int:
        """Points on each side that one output sees: its receptive field's radius."""
        return self.layers * (self.kernel_size // 2)


class ConvNet1d(nn.Module):
    """Convolutions with ReLU between them, from one channel to one channel.

    Maps [batch, points] to [batch, points]. Biases on, PyTorch's default
    initialization. Source: Wang, Wang & Lai 2024, Sections 3.2 and A.1.

    The two forms differ in speed alone. ``direct`` is torch's conv1d. ``rows`` is
    `Rows` in training and where nobody asks for gradients; not under ``vmap``, but with
    all replicas of an ensemble in one pass.

    Raises
    ------
    ValueError
        For rows that are not padded with zeros.
    """

    def __init__(self, settings: ConvSettings, form: Form = "direct") -> None:
        super().__init__()
        s = settings
        if form == "rows" and s.padding_mode != "zeros":
            raise ValueError(f"rows pad with zeros; use 'direct' for {s.padding_mode}.")
        self.takes_replicas = form == "rows"
        widths = [1, *[s.channels] * (s.layers - 1), 1]
        half, mode = s.kernel_size // 2, s.padding_mode
        self.convolutions = nn.ModuleList(
            nn.Conv1d(a, b, s.kernel_size, padding=half, padding_mode=mode)
            for a, b in pairwise(widths)
        )

    def forward(self, u: Tensor) -> Tensor:
        """Predict the derivative of u [batch, points]."""
        if self._by_rows(u):
            return Rows.apply(u[None], *(p[None] for p in self.parameters()))[0]
        y = u.unsqueeze(-2)
        for i, convolution in enumerate(self.convolutions):
            y = convolution(torch.relu(y) if i else y)
        return y.squeeze(-2)

    def replicas(self, state: Mapping[str, Tensor], u: Tensor) -> Tensor:
        """Outputs for u [R, batch, points] with parameters [R, ...], by name.

        They are bit by bit those of each replica by itself.
        """
        names = [name for name, _ in self.named_parameters()]
        parameters = [state[name] for name in names]
        if self._by_rows(u):
            return Rows.apply(u, *parameters)
        alone = [
            functional_call(self, dict(zip(names, own, strict=True)), (x,))
            for x, *own in zip(u, *parameters, strict=True)
        ]
        return torch.stack(alone)

    def _by_rows(self, u: Tensor) -> bool:
        once = (self.training and not u.requires_grad) or not torch.is_grad_enabled()
        rows = self.takes_replicas and once
        return rows and not torch.is_autocast_enabled(u.device.type)


class Rows(torch.autograd.Function):
    """R replicas of a `ConvNet1d` padded with zeros, and their gradient.

    ``Rows.apply(u, weight, bias, weight, bias, ...)``, all with a leading axis R. It
    works on rows [points, channels]. Between many channels it is torch's conv2d with
    the channels last in memory; to and from one channel, which conv2d treats like
    sixteen, it is a product with all windows of the one channel. Each replica has
    products and sums of its own, which round as they would without the others. It
    overwrites what nobody needs, and has no second gradient and none by u.
    """

    @staticmethod
    def forward(ctx: Any, u: Tensor, *parameters: Tensor) -> Tensor:
        """Apply the networks to u [R, batch, points]."""
        (first, *weights, last), biases = parameters[::2], parameters[1::2]
        (replicas, batch, points), kernel = u.shape, first.shape[-1]
        half = kernel // 2
        windows = _windows(u, half)
        kept, products = list[Tensor](), list[Tensor]()
        for r in range(replicas):
            start = torch.addmm(biases[0][r], windows[r], first[r, :, 0].t())
            layers = [start.relu_()]
            for weight, bias in zip(weights, biases[1:-1], strict=True):
                x, w = _image(layers[-1], batch), weight[r].unsqueeze(2)
                y = F.conv2d(x, w, bias[r], padding=(0, half))
                layers.append(_rows(y).relu_())
            products.append(last[r, 0].t().contiguous() @ layers[-1].t())
            kept += layers
        ctx.save_for_backward(*weights, last, windows, *kept)
        taps = torch.stack(products).view(replicas, kernel, batch, points)
        taps = F.pad(taps, (half, half))
        # One step further for each tap of the kernel.
        of_replica, of_tap, of_row, _ = taps.stride()
        steps = of_replica, of_tap + 1, of_row, 1
        y = taps.as_strided((replicas, kernel, batch, points), steps).sum(1)
        return y + biases[-1].unsqueeze(-1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of weights and biases."""
        depth, batch = len(ctx.needs_input_grad) // 2 - 1, gradient.shape[1]
        *weights, last = ctx.saved_tensors[:depth]
        inputs, *kept = ctx.saved_tensors[depth:]
        half = last.shape[-1] // 2
        windows = _windows(gradient, half)
        each = list[list[Tensor]]()
        for r in range(len(gradient)):
            layers = kept[r * depth : (r + 1) * depth]
            weight_gradient = (windows[r].t() @ layers[-1]).flip(0).t().unsqueeze(0)
            found = [gradient[r].sum().view(1), weight_gradient]
            g = windows[r] @ last[r, 0].t().flip(0)
            steps = zip(weights[::-1], layers[-2::-1], layers[:0:-1], strict=True)
            for weight, x, y in steps:
                _through_relu(g, y)
                found.append(g.sum(0))
                images = _image(g, batch), _image(x, batch), weight[r].unsqueeze(2)
                back = torch.ops.aten.convolution_backward(
                    *(*images, None, (1, 1), (0, half), (1, 1)),
                    *(False, (0, 0), 1, (True, True, False)),
                )
                found.append(back[1].squeeze(2))
                g = _rows(back[0])
            _through_relu(g, layers[0])
            found += [g.sum(0), (inputs[r].t() @ g).t().unsqueeze(1)]
            each.append(found[::-1])
        return None, *map(torch.stack, zip(*each, strict=True))


def _windows(u: Tensor, half: int) -> Tensor:
    """Each point of u [R, batch, points] and neighbours, [R, batch points, kernel]."""
    return F.pad(u, (half, half)).unfold(-1, 2 * half + 1, 1).flatten(1, 2)


def _image(rows: Tensor, batch: int) -> Tensor:
    """Rows [batch points, channels] as an image of height 1, channels last."""
    return rows.view(batch, 1, -1, rows.shape[-1]).permute(0, 3, 1, 2)


def _rows(image: Tensor) -> Tensor:
    return image.permute(0, 2, 3, 1).flatten(0, 2)


def _through_relu(gradient: Tensor, y: Tensor) -> None:
    """Set a gradient [rows, channels] to 0 where the layer's output y is 0."""
    torch.ops.aten.threshold_backward.grad_input(gradient, y, 0, grad_input=gradient)


def renamed(state: Mapping[str, Tensor], net: nn.Module) -> dict[str, Tensor]:
    """Somebody else's weights under the names of a network, for its load_state_dict.

    The n-th tensor of ``state`` becomes the n-th of the network's own state; a state
    dictionary has them in the order in which layers were made.

    Raises
    ------
    ValueError
        If there are more or fewer tensors, or one has another shape.
    """
    own = net.state_dict()
    if len(state) != len(own):
        raise ValueError(
            f"there are {len(state)} tensors ({', '.join(state)}) and the network has "
            f"{len(own)} ({', '.join(own)}); give one for each."
        )
    for (name, given), (mine, wanted) in zip(state.items(), own.items(), strict=True):
        if given.shape != wanted.shape:
            raise ValueError(
                f"{name!r} has shape {list(given.shape)} and {mine!r}, whose place it "
                f"takes, {list(wanted.shape)}; give weights of this architecture."
            )
    return dict(zip(own, state.values(), strict=True))


def fastest(settings: ConvSettings, device: torch.device) -> Form:
    """Form of a `ConvNet1d` that runs fastest in training.

    Measured on one thread of a CPU with AVX-512, ``rows`` was 1.2 to 5 times as fast
    as ``direct`` for all kernels from 3 to 35, 4 to 64 channels, 3 to 11 layers and
    100 to 2000 points; with AVX2 alone 1.1 to 3.7 times. On a GPU replicas pass in one
    ``vmap``, which rows cannot.
    """
    rows = device.type == "cpu" and settings.padding_mode == "zeros"
    return "rows" if rows else "direct"
