"""How long a process has worked: what other programs take from it does not count."""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil

WAITING = 0.01
"""Share of one processor below which a process waits and does not compute."""


def worked(wall: float, processor: float) -> float:
    """Return how many of `wall` seconds a process had for itself.

    While it computes, that is the time it got a processor for: on a machine with six
    times the load, a sixth. While it waits, for a device or in a sleep, all count.
    """
    return min(wall, processor) if processor > WAITING * wall else wall


def processor_seconds(pid: int) -> float:
    """Return the seconds of processors that a process has used; 0 if it has ended."""
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return 0.0
    return times.user + times.system


class WorkingTime:
    """The seconds that a process has worked since this was made.

    It has to be asked again and again: between two questions a process counts either
    as computing or as waiting. Time in which another program had the processor is
    known from the difference alone.
    """

    def __init__(
        self,
        pid: int,
        clock: Callable[[], float] = time.monotonic,
        processor: Callable[[int], float] = processor_seconds,
    ) -> None:
        self._read = lambda: (clock(), processor(pid))
        self._last = self._read()
        self._total = 0.0

    def seconds(self) -> float:
        """Return the time worked until now."""
        (wall, processor), self._last = self._last, self._read()
        self._total += worked(self._last[0] - wall, self._last[1] - processor)
        return self._total
