"""Where and in which arithmetic training runs: device, threads, precision."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

import torch

from spectral_lib.threads import thread_budget


def resolve_device(name: str) -> torch.device:
    """Turn ``auto``, ``cpu`` or ``cuda`` into a device that exists.

    Raises
    ------
    ValueError
        If the name is unknown or no CUDA device is present.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device is {name!r}; use 'auto', 'cpu' or 'cuda'.")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            "device is 'cuda' but torch sees no CUDA device; use 'auto' or 'cpu'."
        )
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def device_name(device: torch.device) -> str:
    """Name of a device as it is shown to readers."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return "cpu"


def prepare(device: str = "auto") -> torch.device:
    """Set threads, memory and precision for this process and return the device.

    Call it before the first tensor. Convolutions on CUDA default to TF32; the book's
    float32 is IEEE float32 everywhere unless a chapter says otherwise.
    """
    chosen = resolve_device(device)
    torch.set_num_threads(thread_budget())
    if sys.platform == "linux":
        _keep_freed_memory()
    if chosen.type == "cuda":
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
    return chosen


def _keep_freed_memory() -> None:
    """Let glibc keep what tensors give back, up to a GB; pieces of 32 MB go back.

    It would return memory to the system in each training step and get it anew page by
    page: a fifth of the time of a step with images of 32 pixels.
    """
    trim_threshold, mmap_threshold = -1, -3  # as in malloc.h
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):  # musl has none
        mallopt(trim_threshold, 1 << 30)
        mallopt(mmap_threshold, 32 << 20)


Precision = Literal["float32", "tf32", "bf16"]
"""Of a network's products and convolutions; weights and optimizer are float32 in all.

"float32" takes the weights as they are, in IEEE arithmetic, and float64 weights too;
a CPU's convolutions do what ``torch.backends.mkldnn`` says, which is IEEE unless it was
changed. "tf32" lets CUDA round the factors of float32 products to 10 bits. "bf16" is
torch's autocast: products in bfloat16, sums over many values in float32.
"""


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
        if torch.cuda.get_device_capability(device) < (8, 0):
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
def float32_products(precision: Precision) -> Iterator[None]:
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
