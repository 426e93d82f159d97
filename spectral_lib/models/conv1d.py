"""One-dimensional convolutional networks with a choice of how to convolve."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import scipy.fft
import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Conv1d", "ConvNet1d", "ConvSettings", "Form", "fastest", "renamed"]

Form = Literal["direct", "channels_last", "fft"]
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


class Conv1d(nn.Conv1d):
    """`nn.Conv1d` with "same" padding whose arithmetic can take three forms.

    All forms compute the same cross-correlation; they differ in speed only:
    ``direct`` (torch's conv1d), ``channels_last`` (a conv2d of height 1 in that memory
    format; not under ``vmap``) and ``fft``. Input [batch, channels, points], output the
    same length.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        padding_mode: PaddingMode,
        form: Form,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size)
        self.pad_with = padding_mode
        self.form = form

    def forward(self, x: Tensor) -> Tensor:
        """Convolve x [batch, in_channels, points]."""
        half = self.weight.shape[-1] // 2
        convolution_pads = self.pad_with == "zeros" and self.form != "fft"
        zero_padding = half if convolution_pads else 0
        if not convolution_pads:
            x = _pad(x, half, self.pad_with)
        if self.form == "direct":
            return F.conv1d(x, self.weight, self.bias, padding=zero_padding)
        if self.form == "channels_last":
            return _channels_last(x, self.weight, self.bias, zero_padding)
        assert self.bias is not None
        return _fft(x, self.weight) + self.bias[:, None]


def _pad(x: Tensor, width: int, mode: PaddingMode) -> Tensor:
    if mode == "zeros":
        return F.pad(x, (width, width))
    if mode == "circular":
        return torch.cat([x[..., -width:], x, x[..., :width]], dim=-1)
    left, right = x[..., :1], x[..., -1:]
    edge = (*x.shape[:-1], width)
    return torch.cat([left.expand(edge), x, right.expand(edge)], dim=-1)


def _channels_last(
    x: Tensor, weight: Tensor, bias: Tensor | None, padding: int
) -> Tensor:
    order = torch.channels_last
    y = F.conv2d(
        x.unsqueeze(2).contiguous(memory_format=order),
        weight.unsqueeze(2).contiguous(memory_format=order),
        bias,
        padding=(0, padding),
    )
    return y.squeeze(2)


def _fft(x: Tensor, weight: Tensor) -> Tensor:
    points = x.shape[-1] - weight.shape[-1] + 1
    # No output with full support wraps around, so padding to x's own length is enough.
    size = scipy.fft.next_fast_len(x.shape[-1], real=True)
    signal = torch.fft.rfft(x, size).movedim(-1, -3)  # [frequency, batch, in]
    kernel = torch.fft.rfft(weight, size).conj().movedim(-1, -3)  # [frequency, out, in]
    y = torch.fft.irfft((signal @ kernel.mT).movedim(-3, -1), size)
    return y[..., :points]


class ConvNet1d(nn.Module):
    """Convolutions with ReLU between them, from one channel to one channel.

    Maps [batch, points] to [batch, points]. Biases on, PyTorch's default
    initialization. Source: Wang, Wang & Lai 2024, Sections 3.2 and A.1.
    """

    def __init__(self, settings: ConvSettings, form: Form = "direct") -> None:
        super().__init__()
        s = settings
        widths = [1, *[s.channels] * (s.layers - 1), 1]
        self.convolutions = nn.ModuleList(
            Conv1d(a, b, s.kernel_size, s.padding_mode, form)
            for a, b in zip(widths, widths[1:], strict=False)
        )

    def forward(self, u: Tensor) -> Tensor:
        """Predict the derivative of u [batch, points]."""
        y = u.unsqueeze(-2)
        for i, convolution in enumerate(self.convolutions):
            y = convolution(torch.relu(y) if i else y)
        return y.squeeze(-2)


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
    """Form of the arithmetic that ran fastest.

    The rule is fixed, so that a build is repeatable. On a GPU replicas pass in one
    ``vmap``, which the direct form is fastest in.
    """
    kernel, channels = settings.kernel_size, settings.channels
    many = channels >= 48
    if device.type == "cuda" or kernel < (25 if many else 11):
        return "direct"
    return "fft" if many else "channels_last"
