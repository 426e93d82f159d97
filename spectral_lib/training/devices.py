"""Where training runs: device, threads, float32 that means float32."""

import os

import torch


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


def wait_for(device: torch.device) -> None:
    """Wait until a device has done what it was given, so that time can be measured."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def thread_budget() -> int:
    """Threads this process may use: the variable SPECTRAL_THREADS, or one.

    One is the default because chapters run side by side and small networks lose far
    more to busy OpenMP barriers than they gain from a second thread.
    """
    text = os.environ.get("SPECTRAL_THREADS", "1")
    if not text.isdigit() or int(text) < 1:
        raise ValueError(f"SPECTRAL_THREADS is {text!r}; give a whole number >= 1.")
    return int(text)


def prepare(device: str = "auto") -> torch.device:
    """Set threads and precision for this process and return the device.

    Call it before the first tensor. Convolutions on CUDA default to TF32; the book's
    float32 is IEEE float32 everywhere unless a chapter says otherwise.
    """
    chosen = resolve_device(device)
    torch.set_num_threads(thread_budget())
    if chosen.type == "cuda":
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
    return chosen
