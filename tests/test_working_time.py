"""What others take from a process does not count as its own time."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from spectral_book import working_time
from spectral_book.working_time import WorkingTime, readings


@pytest.mark.parametrize(
    ("wall", "processor", "own"),
    [
        (1.0, 1.0, 1.0),  # computing, alone on a processor
        (6.0, 1.0, 1.0),  # the same with six times the load
        (1.0, 4.0, 1.0),  # computing with four threads
        (1.0, 0.0, 1.0),  # waiting
        (1.0, 0.004, 1.0),  # waiting, and looking now and then
    ],
)
def test_time_counts_as_a_process_had_it_and_adds_up(monkeypatch, wall, processor, own):
    found = iter([(0, 0), (60, 10), (60 + wall, 10 + processor)])
    monkeypatch.setattr(working_time, "readings", lambda pid: next(found))
    worked = WorkingTime(1)
    assert [worked.seconds(), worked.seconds()] == [10, 10 + own]


def test_processor_time_is_that_of_the_process():
    before = readings(os.getpid())
    while readings(os.getpid())[1] < before[1] + 0.05:
        sum(range(10**5))
    assert readings(os.getpid())[0] > before[0]
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert readings(ended.pid)[1] == 0
