"""Devices and threads are what was asked for, or an error says why not."""

import pytest
import torch

from spectral_lib.training.devices import prepare, resolve_device, thread_budget


def test_unknown_and_missing_devices_are_refused(monkeypatch):
    with pytest.raises(ValueError, match="'auto', 'cpu' or 'cuda'"):
        resolve_device("gpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="no CUDA device"):
        resolve_device("cuda")
    assert resolve_device("auto").type == "cpu"


def test_threads_come_from_the_budget(monkeypatch):
    monkeypatch.delenv("SPECTRAL_THREADS", raising=False)
    assert thread_budget() == 1
    monkeypatch.setenv("SPECTRAL_THREADS", "2")
    before = torch.get_num_threads()
    prepare("cpu")
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)
    for bad in ("0", "two", "-1"):
        monkeypatch.setenv("SPECTRAL_THREADS", bad)
        with pytest.raises(ValueError, match="SPECTRAL_THREADS"):
            thread_budget()
