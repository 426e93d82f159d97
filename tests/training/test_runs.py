"""Readings while a run goes on, and the runs of groups joined."""

import pytest
import torch

from spectral_lib.training import runs
from spectral_lib.training.ensemble import initialise
from spectral_lib.training.runs import Readings, Run, diverged_at, join


class Watched(torch.Tensor):
    """Counts what is done with it and with its copies."""

    calls = 0

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        Watched.calls += 1
        return super().__torch_function__(function, types, args, kwargs or {})


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_reading_costs_the_same_however_many_there_are(device):
    readings, calls = Readings("ab"), []
    for epoch in range(40):
        before = Watched.calls
        values = {k: torch.empty(3, device=device).as_subclass(Watched) for k in "xy"}
        readings.add("ab"[epoch % 2], epoch, values)
        calls.append(Watched.calls - before)
    assert len(set(calls)) == 1
    assert calls[0] > 0
    assert readings.on_device == (0 if device == "cpu" else 40 * 2 * 12)


def test_readings_stay_on_their_device_up_to_a_limit(monkeypatch):
    def on_meta(size):
        return {"x": torch.empty(size, device="meta")}

    monkeypatch.setattr(runs, "ON_DEVICE", 100)
    readings = Readings("ab")
    readings.add("a", 0, on_meta(10))
    readings.add("b", 0, on_meta(15))
    assert readings.taken["b"][0][1]["x"].device.type == "meta"
    with pytest.raises(NotImplementedError):  # to the CPU, where meta cannot go
        readings.add("a", 1, on_meta(1))
    assert readings.on_device == 100


def test_readings_are_copies_and_go_on_from_records():
    value = torch.ones(2)
    readings = Readings("ab")
    readings.add("a", 3, {"x": value})
    value.zero_()
    resumed = Readings("ab")
    resumed.restore({name: vars(r) for name, r in readings.records().items()})
    resumed.add("a", 5, {"x": value})
    record = resumed.records()["a"]
    assert record["x"].tolist() == [[1, 1], [0, 0]]
    assert record.epochs.tolist() == [3, 5]
    assert resumed.records()["b"].epochs.tolist() == []


def test_the_first_epoch_that_is_not_finite():
    inf, nan = float("inf"), float("nan")
    loss = torch.tensor([[1.0, inf, 1.0], [1.0, 2.0, nan], [1.0, nan, nan]])
    assert diverged_at(loss).tolist() == [-1, 1, 2]
    assert diverged_at(torch.zeros(0, 2)).tolist() == [-1, -1]


def test_seconds_of_groups_add_up():
    one = initialise(lambda: torch.nn.Linear(1, 1), [1])
    run = Run(one, {}, torch.zeros(0, 1), torch.tensor([-1]), 2.0)
    assert join([run, run]).seconds == 4.0
    assert len(join([run, run]).ensemble) == 2
