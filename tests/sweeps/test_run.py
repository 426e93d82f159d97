"""Sweeps on this machine, by the command and in real processes."""

from __future__ import annotations

import json
import os
import shlex
import signal

import nbformat
import pytest
from tiny import (
    CLAIM,
    PARAMETERS,
    WORK,
    alive,
    below,
    called,
    command,
    events,
    gated,
    printed,
    records,
    running,
    start,
    until,
    whole,
    write_notebook,
    write_sweep,
    write_tiny,
)

from spectral_book.readable import InputError
from spectral_book.sweeps import work
from spectral_book.sweeps.cli import main
from spectral_book.sweeps.collect import collect
from spectral_book.sweeps.run import run_sweep

pytestmark = pytest.mark.processes

TROUBLE = """
import os, sys, time
if word == "raise":
    values = {}
    values["missing"]
if word == "slow":
    time.sleep(600)
if word == "die":
    os.kill(os.getpid(), 9)
if word == "exit":
    sys.exit(0)
"""
ERRORS = {
    "raise": "KeyError: 'missing'",
    "slow": "CellTimeoutError: the cell took more than 4 s",
    "die": "DeadKernelError: the kernel process died",
    "exit": "SystemExit: 0",
}


@pytest.fixture(scope="module")
def troubled(tmp_path_factory):
    """A sweep in which points go wrong in every way: its folder and what it said."""
    folder = tmp_path_factory.mktemp("troubled")
    path = write_notebook(
        folder / "trouble.ipynb", PARAMETERS, "pass", TROUBLE, WORK, CLAIM
    )
    words = {"word": ["well", *ERRORS, "fine"]}
    fixed = {"log": str(folder / "log")}
    content = {"chapter": path.name, "fixed": fixed, "grid": words}
    file = write_sweep(folder / "sweep.yaml", content)
    run = ("run", file, folder / "out", "--cell-timeout", "4", "--jobs", "2")
    return folder, run, command(*run)


def test_failures_are_recorded_and_the_others_go_on(troubled):
    folder, run, (code, said) = troubled
    assert code == 1
    assert "6 points: 2 done, 4 failed, 0 pending" in said
    assert "Traceback" not in said
    assert "100%" in said
    found = {r["parameters"]["word"]: r for r in records(folder / "out").values()}
    states = {word: record["state"] for word, record in found.items()}
    assert states == {"well": "done", "fine": "done", **dict.fromkeys(ERRORS, "failed")}
    again = called("status", folder / "out")[1]
    for word, error in ERRORS.items():
        record = found[word]
        # Cell 4 of the file: a title, parameters, one more, the one that fails.
        assert (record["place"], record["error"]) == ("cell 4", error)
        assert f"failed: {record['id']}, cell 4: {error}" in said
        assert error in again
        notebook = nbformat.read(folder / f"out/points/{record['id']}.ipynb", 4)
        assert "error" in [o.output_type for o in notebook.cells[4].outputs]
    assert found["raise"]["traceback"].endswith("KeyError: 'missing'")
    assert 'values["missing"]' in found["raise"]["traceback"]
    # The second call runs what failed and nothing else.
    assert said.splitlines()[-1].endswith("the same command runs the rest")
    code, said = called(*run)
    assert code == 1
    assert "0/4" in said
    assert sum(events(folder / "log").values()) == 4
    assert whole(folder / "out", 6)


def test_a_point_s_time_limit_is_over_all_cells(tmp_path):
    parts = [f"import time; time.sleep(0.5 + 0 * {i})" for i in range(400)]
    path = write_notebook(tmp_path / "long.ipynb", PARAMETERS, *parts)
    out = tmp_path / "out"
    run_sweep({"chapter": path}, out, point_seconds=4)
    (record,) = records(out).values()
    assert record["error"] == "CellTimeoutError: the notebook took more than 4 s"


WORDS = [
    "$(touch INJECTED) `touch INJECTED`; touch INJECTED && 'x' \"y\" \\",
    "\"\"\"\nraise SystemExit\n'''",
    "{braces} %s é\t\\n",
]


def test_nothing_passes_through_a_shell_or_a_template(tmp_path):
    folder = tmp_path / "it's $(touch INJECTED); {name} %s \"é"
    look = "import json, os\nprint('got ' + json.dumps([word, os.getcwd()]))\n"
    look += "from spectral_book.sweeps.scalars import record\nrecord(words=len(word))"
    path = write_notebook(folder / "tiny.ipynb", PARAMETERS, look)
    out = folder / "out {x}; touch INJECTED"
    content = {"chapter": path.name, "grid": {"word": WORDS}}
    file = write_sweep(folder / "s.yaml", content)
    code, said = command("run", file, out, cwd=tmp_path)
    assert code == 0, said
    where, _, hint = said.splitlines()[-1].partition("; next: ")
    assert where == f"the results are in {out}"
    assert shlex.split(hint) == ["spectral-batch", "page", str(out)]
    texts = [printed(notebook) for notebook in (out / "points").glob("*.ipynb")]
    got = [json.loads(text.partition("got ")[2]) for text in texts]
    assert sorted(got) == sorted([word, str(folder)] for word in WORDS)
    assert not list(tmp_path.rglob("INJECTED*"))
    table = collect(out).set_index("word")
    assert table["words"].to_dict() == {word: len(word) for word in WORDS}


def test_wrong_input_starts_nothing(tmp_path, capsys):
    write_tiny(tmp_path)
    sweep = {"chapter": "tiny.ipynb", "grid": {"siez": [1, 2]}}
    file, out = write_sweep(tmp_path / "sweep.yaml", sweep), str(tmp_path / "out")
    for arguments, words in (
        (["run", str(file), out], "2 of 2 points cannot run; nothing was started"),
        (["check", str(file)], "did you mean 'size'?"),
        (["run", str(file), out, "--jobs", "-1"], "jobs = -1"),
        (["run", str(file), out, "--cluster", "none"], "2 of 2 points"),
        (["run", str(tmp_path / "none.yaml"), out], "there is no sweep file"),
        (["check", str(file), "--scheduler", "x", "--cluster", "y"], "leave one"),
        (
            ["run", str(file), out, "--scheduler", "nonsense"],
            "is no address",
        ),
        (["status", out], "holds no sweep"),
        (["job-script", "none.yaml"], "there is no cluster file"),
    ):
        assert main(arguments) == 2
        said = capsys.readouterr().err
        assert said.startswith("spectral-batch: ")
        assert words in said
    assert not (tmp_path / "out").exists()


def test_check_lists_the_points(tmp_path, capsys):
    sweep = {"chapter": write_tiny(tmp_path).name, "grid": {"size": [1, 2]}}
    assert main(["check", str(write_sweep(tmp_path / "sweep.yaml", sweep))]) == 0
    *names, last = capsys.readouterr().out.splitlines()
    assert [name.rpartition("-")[0] for name in names] == ["size=1", "size=2"]
    assert last == "2 points can run"


def under_way(folder):
    """Start a sweep of 4 points, until one is done and two are under way."""
    file, log, out = gated(folder, range(4))
    process = start("run", file, out, "--jobs", "2", start_new_session=True)
    until(lambda: len(records(out)) == 1 and len(running(log)) == 2)
    return process, file, log, out


def test_two_sweeps_do_not_share_a_folder(tmp_path):
    first, file, log, out = under_way(tmp_path)
    code, said = called("run", file, out)
    assert code == 2, said
    holder = f"process {first.pid} on {os.uname().nodename}"
    assert f"is in use by another sweep: {holder}" in said
    status = called("status", out)[1]
    assert status.startswith("4 points: 1 done, 0 failed, 3 pending\ntime left at this")
    (tmp_path / "gate").touch()
    said, _ = first.communicate(timeout=400)
    assert first.returncode == 0, said
    assert whole(out, 4)
    assert set(events(log).values()) == {1}


@pytest.mark.parametrize("how", ["SIGTERM", "Ctrl-C", "SIGKILL"])
def test_an_ended_sweep_leaves_whole_results_and_no_process(tmp_path, how):
    process, file, log, out = under_way(tmp_path)
    processes = below(process.pid)
    assert len(processes) >= 4  # two workers, two kernels
    if how == "Ctrl-C":  # reaches all that a terminal has started
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(getattr(signal, how))
    said, _ = process.communicate(timeout=400)
    if how == "SIGKILL":
        (out / "points/.half.ipynb.x7").write_text("{")
    else:
        assert process.returncode == 130, said
        assert "interrupted; the same command goes on" in said
        assert "Traceback" not in said
    until(lambda: not any(map(alive, processes)))
    assert len(records(out)) == 1
    (tmp_path / "gate").touch()
    code, said = called("run", file, out, "--jobs", "1")
    assert code == 0, said
    assert "0/3" in said
    assert whole(out, 4)
    assert not list(out.glob("points/.*"))
    assert not (out / ".running").exists()
    assert {n for (word, _), n in events(log).items() if word == "end"} == {1}


def test_a_killed_worker_is_replaced_and_a_killed_kernel_is_a_failure(tmp_path):
    process, file, log, out = under_way(tmp_path)
    kernels = running(log)
    lost, killed = kernels
    worker = next(p for p in below(process.pid) if lost in below(p))
    for victim in (worker, killed):
        os.kill(victim, signal.SIGKILL)
    until(lambda: not any(map(alive, kernels)))
    (tmp_path / "gate").touch()
    said, _ = process.communicate(timeout=400)
    assert process.returncode == 1, said
    assert "4 points: 3 done, 1 failed" in said
    assert "cell 3: DeadKernelError" in said
    code, said = called("run", file, out)
    assert code == 0, said
    assert whole(out, 4)
    assert {r["state"] for r in records(out).values()} == {"done"}


def swept(folder, **grid):
    """Write the usual chapter, and return a sweep of it, its log and its folder."""
    log = folder / "log"
    sweep = {"chapter": write_tiny(folder), "fixed": {"log": str(log)}, "grid": grid}
    return sweep, log, folder / "out"


def test_only_what_is_missing_or_damaged_runs_and_nothing_else_is_lost(tmp_path):
    sweep, log, out = swept(tmp_path, size=[0, 1, 2, 3])
    run_sweep(sweep, out, jobs=1)
    paths = {int(p.name[5]): p for p in (out / "points").glob("*.json")}
    paths[0].unlink()
    edited = paths[1].read_text().replace('"estimate": 0.5', '"estimate": 9')
    paths[1].write_text(edited)
    paths[2].with_suffix(".ipynb").write_text("{}")
    sweep["grid"] = {"size": [0, 1, 2]}
    run_sweep(sweep, out, jobs=1)
    ends = {int(s): n for (word, s), n in events(log).items() if word == "end"}
    assert ends == {0: 2, 1: 2, 2: 2, 3: 1}
    table = collect(out)
    assert set(table["size"]) == {0, 1, 2, 3}
    assert table["estimate"].max() < 9
    assert whole(out, 4)
    # Nor does what was stored before its worker could say so.
    record = next(r for r in records(out).values() if r["parameters"]["size"] == 3)
    point = work.Point(record["id"], record["parameters"])
    code = record["code"].partition("-")[0]
    absent = work.NotebookJob("tiny", tmp_path / "absent.ipynb", tmp_path)
    work.run_point(work.Work(out, absent, code, "token", work.Settings()), point)
    assert records(out)[record["id"]] == record
    other = write_notebook(tmp_path / "other.ipynb", "size: int = 1", "pass")
    with pytest.raises(InputError, match="holds points of 'tiny'"):
        run_sweep({"chapter": other}, out, jobs=1)


def test_changed_code_is_said_and_repeated_on_request(tmp_path):
    sweep, log, out = swept(tmp_path, size=[1, 2])
    run_sweep(sweep, out, jobs=1)
    assert not collect(out)["stale"].any()
    write_tiny(tmp_path, work=WORK + "\nrate = 2 * rate")
    sweep["grid"] = {"size": [1, 2, 3]}
    run_sweep(sweep, out, jobs=1)
    stale = collect(out).groupby("size")["stale"].all().to_dict()
    assert stale == {1: True, 2: True, 3: False}
    assert events(log)["end", "1"] == 1
    assert "2 done with an older chapter or library" in called("status", out)[1]
    run_sweep(sweep, out, rerun_stale=True, jobs=1)
    table = collect(out)
    assert not table["stale"].any()
    assert events(log)["end", "1"] == 2
    assert events(log)["end", "3"] == 1
    assert set(table[table["claim"] == "stays"]["estimate"]) == {1.0}


def test_each_worker_of_this_machine_has_one_of_its_gpus(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5, 7")
    look = "import os, time\ntime.sleep(1)\nprint(os.environ['CUDA_VISIBLE_DEVICES'])"
    parameters = 'device: str = "cpu"\nsize: int = 0'
    path = write_notebook(tmp_path / "a.ipynb", parameters, look)
    sweep = {"chapter": path, "fixed": {"device": "cuda"}, "grid": {"size": range(4)}}
    run_sweep(sweep, tmp_path / "out")
    seen = {printed(p).strip() for p in (tmp_path / "out").glob("points/*.ipynb")}
    assert seen == {"5", "7"}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(InputError, match="shows no GPU"):
        run_sweep(sweep, tmp_path / "other")
