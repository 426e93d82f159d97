"""How long a process has worked: what other programs take from it does not count."""

import time

import psutil

WAITING = 0.01
"""Share of one processor below which a process waits and does not compute."""


def readings(pid: int) -> tuple[float, float]:
    """Return the time, and the seconds of processors that a process has used."""
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:  # it has ended
        return time.monotonic(), 0.0
    return time.monotonic(), times.user + times.system


class WorkingTime:
    """The seconds that a process has worked since this was made.

    While it computes, that is the time it got a processor for: on a machine with six
    times the load, a sixth. While it waits, for a device or in a sleep, all count. It
    has to be asked again and again, as it either computes or waits from one question to
    the next.
    """

    def __init__(self, pid: int) -> None:
        self._pid, self._last, self._total = pid, readings(pid), 0.0

    def seconds(self) -> float:
        """Return the time worked until now."""
        (wall, processor), self._last = self._last, readings(self._pid)
        passed, used = self._last[0] - wall, self._last[1] - processor
        self._total += min(passed, used) if used > WAITING * passed else passed
        return self._total
