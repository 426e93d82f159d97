"""Sweeps on a Dask scheduler with real workers, which get lost."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest
from tiny import (
    WORK,
    command,
    events,
    printed,
    scheduler,
    start,
    until,
    whole,
    worker,
    write_notebook,
    write_sweep,
    write_tiny,
)

from spectral_book.sweeps import engines
from spectral_book.sweeps.errors import EngineLost, SweepError
from spectral_book.sweeps.run import run_sweep

distributed = pytest.importorskip("distributed")


def descendants(pid):
    """Return the processes below a process."""
    found = []
    for folder in os.listdir("/proc"):
        if folder.isdigit():
            try:
                with open(f"/proc/{folder}/stat") as file:
                    parent = int(file.read().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if parent == pid:
                found += [int(folder), *descendants(int(folder))]
    return found


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def ended(log):
    """Return how many points have run to their end."""
    return sum(n for (word, _), n in events(log).items() if word == "end")


def running(log):
    """Return the kernels that have started a point and not ended it."""
    lines = [line.split() for line in log.read_text().splitlines()]
    pids = {word: {int(pid) for w, _, pid in lines if w == word} for word, *_ in lines}
    return pids["start"] - pids.get("end", set())


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A sweep of 24 points, one of whose two workers was killed in the middle."""
    folder = tmp_path_factory.mktemp("killed")
    chapter, log, out = write_tiny(folder), folder / "log", folder / "out"
    sweep = {
        "chapter": chapter.name,
        "fixed": {"log": str(log), "wait": 0.2},
        "grid": {"size": list(range(24))},
    }
    file = write_sweep(folder / "sweep.yaml", sweep)
    with (
        scheduler(folder) as (_, where, address),
        worker(where, "one") as victim,
        worker(where, "two"),
    ):
        process = start("run", file, out, "--scheduler", address)
        until(lambda: ended(log) > 5)
        # The victim is killed while it runs a point, not between two.
        until(lambda: running(log) & set(descendants(victim.pid)))
        below = descendants(victim.pid)
        victim.send_signal(signal.SIGKILL)
        said, _ = process.communicate(timeout=100)
        yield folder, process.returncode, said, below


def test_sweep_survives_a_killed_worker(killed):
    folder, code, said, _ = killed
    assert code == 0, said
    assert "24 of 24 points done, 0 failed" in said
    files = (folder / "out/points").glob("*.json")
    records = [json.loads(path.read_text()) for path in files]
    found = {r["parameters"]["size"]: r["claims"][0]["estimate"] for r in records}
    assert found == {size: size * 0.5 for size in range(24)}


def test_no_point_ran_twice_to_its_end(killed):
    folder, *_ = killed
    seen = events(folder / "log")
    assert {n for (word, _), n in seen.items() if word == "end"} == {1}
    # One point was lost with its worker and started a second time.
    assert sum(n for (word, _), n in seen.items() if word == "start") == 25


def test_nothing_is_half_written(killed):
    folder, *_ = killed
    assert whole(folder / "out", 24)
    for path in (folder / "out/points").glob("*.ipynb"):
        assert json.loads(path.read_text())["cells"]


def test_kernels_of_a_killed_worker_end_with_it(killed):
    *_, below = killed
    assert below
    until(lambda: not any(map(alive, below)), 10)


def test_a_lost_scheduler_is_said_and_the_next_call_goes_on(tmp_path):
    chapter, log, out = write_tiny(tmp_path), tmp_path / "log", tmp_path / "out"
    sweep = {
        "chapter": chapter.name,
        "fixed": {"log": str(log), "wait": 0.2},
        "grid": {"size": list(range(8))},
    }
    file = write_sweep(tmp_path / "sweep.yaml", sweep)
    with scheduler(tmp_path) as (lost, where, address), worker(where, "one"):
        process = start("run", file, out, "--scheduler", address)
        until(lambda: ended(log) > 2)
        lost.kill()
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 1
        assert "the scheduler is gone" in said
        assert "Traceback" not in said, said
    done = len(list((out / "points").glob("*.json")))
    assert 2 <= done < 8
    code, said = command("run", file, out)
    assert code == 0, said
    assert "8 of 8 points done" in said
    assert whole(out, 8)
    # A point may have ended as its worker did, before its results were stored.
    assert ended(log) <= 9


def test_no_scheduler_there(monkeypatch):
    monkeypatch.setattr(engines, "_CONNECT_SECONDS", 1)
    with (
        pytest.raises(EngineLost, match="no Dask scheduler answers at tcp"),
        engines.dask_engine("tcp://127.0.0.1:9", needs_gpu=False),
    ):
        pytest.fail("something answered")


@pytest.fixture(scope="module")
def two_kinds(tmp_path_factory):
    """A scheduler with two workers, one of which offers a GPU."""
    folder = tmp_path_factory.mktemp("kinds")
    with (
        scheduler(folder) as (_, where, address),
        worker(where, "plain"),
        worker(where, "special", "--resources", "GPU=1"),
    ):
        with distributed.Client(address, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
        yield address


def test_gpu_points_run_where_a_gpu_is(two_kinds, tmp_path):
    look = "import os\nprint(os.environ['WORKER'])"
    parameters = 'device: str = "cpu"\nsize: int = 0'
    path = write_notebook(tmp_path / "a.ipynb", parameters, look)
    sweep = {"chapter": path, "fixed": {"device": "cuda"}, "grid": {"size": range(4)}}
    out = tmp_path / "out"
    run_sweep(sweep, out, scheduler=two_kinds, progress=False)
    assert whole(out, 4)
    assert {printed(p) for p in out.glob("points/*.ipynb")} == {"special\n"}


def test_a_wait_for_workers_is_told_and_none_is_for_a_gpu_that_never_comes(
    tmp_path, capsys
):
    with scheduler(tmp_path) as (_, where, address):
        with engines.dask_engine(address, needs_gpu=True):
            assert "no Dask worker is there yet" in capsys.readouterr().err
        with (
            worker(where, "plain"),
            distributed.Client(address, set_as_default=False) as client,
        ):
            client.wait_for_workers(1, timeout=60)
            with (
                pytest.raises(SweepError, match="none of the 1 workers offers a GPU"),
                engines.dask_engine(address, needs_gpu=True),
            ):
                pytest.fail("the point would wait for ever")
            assert capsys.readouterr().err == ""


def test_an_interruption_ends_what_this_sweep_runs_on_workers(two_kinds, tmp_path):
    """A sweep is interrupted while another runs beside it on the other worker."""
    gated = (
        WORK + "\nwhile word != 'a' and not os.path.exists(word):\n    time.sleep(0.1)"
    )
    chapter = write_tiny(tmp_path, work=gated)
    log, beside, gate = (tmp_path / name for name in ("log", "beside", "gate"))
    sweep = {"chapter": chapter.name, "fixed": {"log": str(beside), "word": str(gate)}}
    neighbour = write_sweep(tmp_path / "beside.yaml", sweep)
    sweep["fixed"] = {"log": str(log), "wait": 60.0}
    sweep["grid"] = {"size": [1, 2, 3, 4]}
    file = write_sweep(tmp_path / "sweep.yaml", sweep)
    other = start("run", neighbour, tmp_path / "beside-out", "--scheduler", two_kinds)
    until(lambda: events(beside).total())
    process = start("run", file, tmp_path / "out", "--scheduler", two_kinds)
    until(lambda: events(log).total())
    kernels = running(log)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said, said
    until(lambda: not any(map(alive, kernels)), 15)
    time.sleep(0.5)
    assert len(kernels) == 1
    assert events(log).total() == 1
    gate.touch()
    said, _ = other.communicate(timeout=60)
    assert other.returncode == 0, said
    assert ended(beside) == 1
    # The same workers take the next sweep.
    sweep = {"chapter": chapter, "grid": {"size": [1, 2]}}
    out = tmp_path / "next"
    assert len(run_sweep(sweep, out, scheduler=two_kinds, progress=False)) == 4
