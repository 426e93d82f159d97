"""Numbers of threads and cores, read alike by libraries, builds and sweeps."""

import os
import sys

import pytest

from spectral_lib import threads
from spectral_lib.threads import thread_budget, usable_cores


@pytest.mark.parametrize(
    ("said", "expected"), [(None, 1), ("", 1), (" ", 1), ("2", 2), ("0", 8)]
)
def test_a_process_has_one_thread_if_nothing_else_is_said(monkeypatch, said, expected):
    monkeypatch.setattr(threads, "usable_cores", lambda: 8)
    monkeypatch.delenv("SPECTRAL_THREADS", raising=False)
    if said is not None:
        monkeypatch.setenv("SPECTRAL_THREADS", said)
    assert thread_budget() == expected


@pytest.mark.parametrize("bad", ["two", "-1", "1.5", "²"])
def test_what_is_no_number_of_threads_is_named(monkeypatch, bad):
    monkeypatch.setenv("SPECTRAL_THREADS", bad)
    with pytest.raises(ValueError, match=f"SPECTRAL_THREADS must be .* got '{bad}'"):
        thread_budget()


@pytest.mark.skipif(sys.platform != "linux", reason="affinity masks are Linux's")
def test_cores_follow_the_affinity_mask():
    mask = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(mask)})
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, mask)
    assert usable_cores() == len(mask)
