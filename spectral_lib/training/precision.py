"""In which arithmetic a network computes, as a parameter that a run declares."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, get_args

import torch
from torch import Tensor

Precision = Literal["float32", "tf32", "bf16"]
"""Of a network's products and convolutions; weights and optimizer are float32 in all.

"float32" takes the weights as they are, in IEEE arithmetic, and float64 weights too;
a CPU's convolutions do what ``torch.backends.mkldnn`` says, which is IEEE unless it was
changed. "tf32" lets CUDA round the factors of float32 products to 10 bits. "bf16" is
torch's autocast: products in bfloat16, sums over many values in float32.
"""

TF32_CAPABILITY = (8, 0)
"""First CUDA capability with TF32."""


def check_precision(
    precision: Precision, device: torch.device, dtype: torch.dtype
) -> None:
    """Raise ValueError unless weights of a dtype on a device can be trained so."""
    if precision not in get_args(Precision):
        known = ", ".join(map(repr, get_args(Precision)))
        raise ValueError(f"precision is {precision!r}; use one of {known}.")
    if precision == "float32":
        return
    if dtype != torch.float32:
        raise ValueError(
            f"precision is {precision!r} and weights are {dtype}; initialise the "
            "ensemble in float32, or use 'float32', which leaves weights as they are."
        )
    if precision == "tf32":
        if device.type != "cuda":
            raise ValueError(
                f"precision is 'tf32', which belongs to CUDA, and the device is "
                f"{device}; use 'float32' or 'bf16'."
            )
        if torch.cuda.get_device_capability(device) < TF32_CAPABILITY:
            raise ValueError(
                f"{torch.cuda.get_device_name(device)} has no TF32; use 'float32'."
            )
    elif device.type == "cuda":
        with torch.cuda.device(device):
            if not torch.cuda.is_bf16_supported(including_emulation=False):
                raise ValueError(
                    f"{torch.cuda.get_device_name(device)} has no bfloat16; use "
                    "'float32' or 'tf32'."
                )


@contextmanager
def float32_products(precision: Precision, device: torch.device) -> Iterator[None]:
    """Compute float32 products in IEEE arithmetic, or CUDA's in TF32, while this lasts.

    What was allowed before is allowed again after.
    """
    products = torch.get_float32_matmul_precision()
    convolutions = torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(products)
        torch.backends.cudnn.allow_tf32 = convolutions


def in_bfloat16(
    forward: Callable[[Tensor, Tensor], Tensor], device: torch.device
) -> Callable[[Tensor, Tensor], Tensor]:
    """A forward pass under autocast, with its result in float32 for the loss."""

    def cast(weights: Tensor, inputs: Tensor) -> Tensor:
        # Casts of weights are not kept: a captured or compiled step must not find one
        # of an earlier step.
        with torch.autocast(device.type, torch.bfloat16, cache_enabled=False):
            return forward(weights, inputs).float()

    return cast
