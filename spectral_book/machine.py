"""What a run took of which machine: its processor, and memory at its peak."""

import os
import platform
import threading
from pathlib import Path
from types import TracebackType

import psutil


def processor() -> str:
    """Return the name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.split(":", 1)[1].strip() for line in lines if "model name" in line)
    return next(names, platform.processor() or platform.machine())


class PeakMemory:
    """Memory that the processes begun meanwhile hold at most, looked at now and then.

    Attributes
    ----------
    peak
        Bytes in memory (resident), of all of them together.
    """

    def __init__(self, seconds: float = 2.0) -> None:
        self.peak = 0
        self._seconds = seconds
        self._ended = threading.Event()
        self._watch = threading.Thread(target=self._look_again, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._watch.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._watch.join()

    def _look_again(self) -> None:
        while not self._ended.wait(self._seconds):
            self.peak = max(self.peak, _held_by_children())


def _held_by_children() -> int:
    """Return the resident bytes of this process's children and theirs."""
    held = 0
    for child in psutil.Process(os.getpid()).children(recursive=True):
        try:
            held += child.memory_info().rss
        except psutil.Error:  # it ended just now
            continue
    return held
