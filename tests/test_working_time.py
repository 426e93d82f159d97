"""What others take from a process does not count as its own time."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from spectral_book.working_time import WorkingTime, processor_seconds, worked


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
def test_time_counts_as_a_process_had_it(wall, processor, own):
    assert worked(wall, processor) == own


def test_time_adds_up_over_computing_and_waiting():
    # Clock and processor when it begins, and each time it is asked.
    readings = iter([(0, 0), (60, 10), (61, 10), (62, 11)])
    now = [next(readings)]
    time_worked = WorkingTime(1, lambda: now[0][0], lambda pid: now[0][1])
    found = []
    for reading in readings:
        now[0] = reading
        found.append(time_worked.seconds())
    assert found == [10, 11, 12]


def test_processor_time_is_that_of_the_process():
    before = processor_seconds(os.getpid())
    while processor_seconds(os.getpid()) < before + 0.05:
        sum(range(10**5))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert processor_seconds(ended.pid) == 0
