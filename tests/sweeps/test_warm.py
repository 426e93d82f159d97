"""Forked kernels: warm, and as new as a process that was just started."""

from __future__ import annotations

import itertools
import json
import os
import subprocess

import nbformat
import pytest
from tiny import WORK, printed, write_notebook

from spectral_book.sweeps import points as execution
from spectral_book.sweeps.pool import worker_kernels
from spectral_book.sweeps.run import run_sweep
from spectral_book.sweeps.warm import ForkedProcess, can_fork

if not can_fork():
    pytest.skip("kernels are not forked here", allow_module_level=True)

LOOK = """
import json, os, random, sys
warm = "torch" in sys.modules and "matplotlib.pyplot" in sys.modules
import matplotlib.pyplot as plt
import numpy as np
import numpy.random
import torch
import spectral_lib
import beside

found = {
    "warm": warm,
    "beside": beside.value,
    "pid": os.getpid(),
    "parent": os.getppid(),
    "global": "left" in globals(),
    "module": getattr(spectral_lib, "left", None),
    "variable": os.environ.get("LEFT"),
    "threads": [os.environ["OMP_NUM_THREADS"], torch.get_num_threads()],
    "cwd": os.getcwd(),
    "seed": torch.initial_seed(),
    "draw": torch.rand(1).item(),
    "dtype": str(torch.get_default_dtype()),
    "random": [random.random(), np.random.rand()],
    "style": plt.rcParams["lines.linewidth"],
    "path": [p for p in sys.path if "left" in p],
    "argv": sys.argv[0].rpartition("/")[2],
}
print("found " + json.dumps(found))
"""
LEAVE = """
left = spectral_lib.left = "here"
os.environ["LEFT"] = "here"
os.chdir("/")
torch.manual_seed(size)
torch.set_default_dtype(torch.float64)
np.random.seed(0), random.seed(0)
plt.rcParams["lines.linewidth"] = 99
sys.path.append("/left")
"""
DRAW = "plt.plot([1, 2, size]);"


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    """What four points have found, of which two pairs ran at the same time."""
    folder = tmp_path_factory.mktemp("warm")
    parameters = "size: int = 1\nlog: str = ''\nwait: float = 0.0"
    (folder / "beside.py").write_text("value = 3")
    path = write_notebook(folder / "a.ipynb", parameters, LOOK, LEAVE, DRAW, WORK)
    out = folder / "out"
    run_sweep({"chapter": path, "grid": {"size": [1, 2, 3, 4]}}, out, jobs=2, threads=1)
    notebooks = sorted((out / "points").glob("*.ipynb"))
    found = [json.loads(printed(p).partition("found ")[2]) for p in notebooks]
    return folder, found, notebooks


def test_no_state_reaches_another_point(points):
    folder, found, _ = points
    assert len(found) == 4
    for point in found:
        assert not point["global"]
        assert point["module"] is None
        assert point["variable"] is None
        assert point["cwd"] == str(folder)
        assert point["beside"] == 3
        assert point["dtype"] == "torch.float32"
        assert point["style"] < 99
        assert point["path"] == []
        assert point["threads"] == ["1", 1]


def test_unseeded_generators_differ_between_points(points):
    for name in ("seed", "draw"):
        assert len({point[name] for point in points[1]}) == 4
    for place in (0, 1):
        assert len({point["random"][place] for point in points[1]}) == 4


def test_points_are_processes_of_one_warm_parent(points):
    assert all(point["warm"] for point in points[1])
    assert len({point["pid"] for point in points[1]}) == 4
    assert len({point["parent"] for point in points[1]}) == 1
    assert {point["argv"] for point in points[1]} == {"ipykernel_launcher"}


def test_figures_are_shown_as_in_a_fresh_kernel(points):
    for path in points[2]:
        cell = nbformat.read(path, as_version=4).cells[-2]
        assert [list(o.data) for o in cell.outputs] == [["image/png", "text/plain"]]


def test_a_cold_kernel_is_a_process_of_its_own(tmp_path):
    look = "import sys\nprint('wave' in sys.modules)\nimport wave"
    path = write_notebook(tmp_path / "a.ipynb", "size: int = 1", look)
    for warm in (True, False):
        out = tmp_path / str(warm)
        run_sweep({"chapter": path}, out, warm=warm, progress=False)
        (notebook,) = (out / "points").glob("*.ipynb")
        assert printed(notebook) == f"{warm}\n"


def test_points_go_on_when_the_library_changes(tmp_path, monkeypatch):
    """Each point finds another library, and so comes from another warm process."""
    found = itertools.count()
    monkeypatch.setattr(execution, "code_hash", lambda: str(next(found)))
    work = "import os, time\ntime.sleep(wait)\nprint(os.getppid())"
    path = write_notebook(tmp_path / "a.ipynb", "wait: float = 0.0", work)
    out = tmp_path / "out"
    sweep = {"chapter": path, "grid": {"wait": [2.0, 0.0, 0.1]}}
    run_sweep(sweep, out, jobs=2, progress=False)
    parents = {int(printed(point)) for point in out.glob("points/*.ipynb")}
    assert len(parents) == 3
    assert not any(os.path.exists(f"/proc/{pid}") for pid in parents)


def test_the_kernels_of_a_worker_are_kept_by_sweep():
    one, two = worker_kernels("one"), worker_kernels("two")
    assert worker_kernels("one") is one
    one.close()
    assert not two.is_closed
    assert worker_kernels("one").is_closed  # a straggler starts nothing


def test_a_process_that_is_no_child_can_be_watched():
    shell = subprocess.run(
        ["sh", "-c", "sleep 30 >/dev/null 2>&1 & echo $!"],
        capture_output=True,
        text=True,
        check=True,
    )
    process = ForkedProcess(int(shell.stdout))
    assert process.poll() is None
    process.kill()
    assert process.wait(5) is not None
    assert process.poll() is not None
    process.kill()  # of a process that has ended is no error
    assert ForkedProcess(process.pid).poll() is not None
