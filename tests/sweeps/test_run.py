"""Sweeps on this machine, by the command and in real processes."""

from __future__ import annotations

import json
import os
import signal

import nbformat
import pytest
from tiny import (
    CLAIM,
    PARAMETERS,
    WORK,
    alive,
    below,
    command,
    events,
    printed,
    records,
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
    "slow": "CellTimeoutError: the cell took more than 8 s",
    "die": "DeadKernelError: the kernel process died",
    "exit": "SystemExit: 0",
}


@pytest.fixture(scope="module")
def troubled(tmp_path_factory):
    """A sweep in which points go wrong in every way, and its second call."""
    folder = tmp_path_factory.mktemp("troubled")
    path = folder / "trouble.ipynb"
    write_notebook(path, PARAMETERS, "pass", TROUBLE, WORK, CLAIM)
    log, out = folder / "log", folder / "out"
    sweep = {
        "chapter": path.name,
        "fixed": {"log": str(log)},
        "grid": {"word": ["well", *ERRORS, "fine"]},
    }
    file = write_sweep(folder / "sweep.yaml", sweep)
    limits = ("--cell-timeout", "8", "--jobs", "2")
    first = command("run", file, out, *limits)
    found = {r["parameters"]["word"]: r for r in records(out).values()}
    second = command("run", file, out, *limits)
    return out, log, first, second, found


def test_failures_are_recorded_and_the_others_go_on(troubled):
    out, _, (code, said), _, found = troubled
    assert code == 1
    assert "6 points: 2 done, 4 failed, 0 pending" in said
    assert "Traceback" not in said
    assert "100%" in said
    states = {word: record["state"] for word, record in found.items()}
    assert states == {"well": "done", "fine": "done", **dict.fromkeys(ERRORS, "failed")}
    assert whole(out, 6)


@pytest.mark.parametrize("word", ERRORS)
def test_a_failure_has_its_cell_and_message(troubled, word):
    out, _, (_, said), _, found = troubled
    record = found[word]
    # Cell 4 of the file: a title, parameters, one more, the one that fails.
    assert (record["place"], record["error"]) == ("cell 4", ERRORS[word])
    assert f"failed: {record['id']}, cell 4: {ERRORS[word]}" in said
    assert ERRORS[word] in command("status", out)[1]
    notebook = nbformat.read(out / "points" / f"{record['id']}.ipynb", 4)
    kinds = [output.output_type for output in notebook.cells[4].outputs]
    assert "error" in kinds
    if word == "raise":
        assert record["traceback"].endswith("KeyError: 'missing'")
        assert 'values["missing"]' in record["traceback"]


def test_the_second_call_runs_what_failed_and_nothing_else(troubled):
    out, log, _, (code, said), _ = troubled
    assert code == 1
    assert "0/4" in said
    assert sum(events(log).values()) == 4
    assert whole(out, 6)


def test_a_point_s_time_limit_is_over_all_cells(tmp_path):
    parts = [f"import time; time.sleep(0.5 + 0 * {i})" for i in range(400)]
    path = write_notebook(tmp_path / "long.ipynb", PARAMETERS, *parts)
    out = tmp_path / "out"
    assert run_sweep({"chapter": path}, out, point_seconds=8, progress=False).empty
    (record,) = records(out).values()
    assert record["error"] == "CellTimeoutError: the notebook took more than 8 s"


WORDS = [
    "$(touch INJECTED) `touch INJECTED`; touch INJECTED && 'x' \"y\" \\",
    "\"\"\"\nraise SystemExit\n'''",
    "{braces} %s é\t\\n",
]


def test_nothing_passes_through_a_shell_or_a_template(tmp_path):
    folder = tmp_path / "it's $(touch INJECTED); {name} %s \"é"
    look = "import json, os\nprint('got ' + json.dumps([word, os.getcwd()]))"
    path = write_notebook(folder / "tiny.ipynb", PARAMETERS, look)
    out = folder / "out {x}; touch INJECTED"
    content = {"chapter": path.name, "grid": {"word": WORDS}}
    file = write_sweep(folder / "s.yaml", content)
    code, said = command("run", file, out, cwd=tmp_path)
    assert code == 0, said
    texts = [printed(notebook) for notebook in (out / "points").glob("*.ipynb")]
    got = [json.loads(text.partition("got ")[2]) for text in texts]
    assert sorted(got) == sorted([word, str(folder)] for word in WORDS)
    assert not list(tmp_path.rglob("INJECTED*"))


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
    names = capsys.readouterr().out.splitlines()
    assert [name.rpartition("-")[0] for name in names] == ["size=1", "size=2"]


@pytest.fixture
def gated(tmp_path):
    """A sweep of 4 points, of which that of size 0 ends; the others wait for a gate."""
    wait = "\nwhile size and not os.path.exists(word):\n    time.sleep(0.05)"
    write_tiny(tmp_path, work=WORK + wait)
    fixed = {"log": str(tmp_path / "log"), "word": str(tmp_path / "gate")}
    content = {"chapter": "tiny.ipynb", "fixed": fixed, "grid": {"size": [0, 1, 2, 3]}}
    return write_sweep(tmp_path / "sweep.yaml", content)


def under_way(file, *options):
    """Start a sweep, until one point is done and two are under way."""
    out, log = file.parent / "out", file.parent / "log"
    process = start("run", file, out, "--jobs", "2", *options, start_new_session=True)
    until(lambda: len(records(out)) == 1 and len(events(log)) >= 4)
    return process, out, log


def test_two_sweeps_do_not_share_a_folder(gated):
    first, out, _ = under_way(gated)
    code, said = command("run", gated, out)
    assert code == 2, said
    holder = f"process {first.pid} on {os.uname().nodename}"
    assert f"is in use by another sweep: {holder}" in said
    status = command("status", out)[1]
    assert status.startswith("4 points: 1 done, 0 failed, 3 pending\ntime left at this")
    (gated.parent / "gate").touch()
    said, _ = first.communicate(timeout=400)
    assert first.returncode == 0, said
    assert whole(out, 4)
    assert set(events(gated.parent / "log").values()) == {1}


@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT", "Ctrl-C", "SIGKILL"])
def test_an_ended_sweep_leaves_whole_results_and_no_process(gated, how):
    process, out, log = under_way(gated)
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
    (gated.parent / "gate").touch()
    code, said = command("run", gated, out)
    assert code == 0, said
    assert "0/3" in said
    assert whole(out, 4)
    assert not list(out.glob("points/.*"))
    assert not (out / ".running").exists()
    assert {n for (word, _), n in events(log).items() if word == "end"} == {1}


@pytest.mark.parametrize("victim", ["worker", "kernel"])
def test_a_killed_worker_is_replaced_and_a_killed_kernel_is_a_failure(gated, victim):
    process, out, log = under_way(gated)
    lines = [line.split() for line in log.read_text().splitlines()]
    kernel = next(int(pid) for word, size, pid in lines if size != "0")
    worker = next(p for p in below(process.pid) if kernel in below(p))
    os.kill(worker if victim == "worker" else kernel, signal.SIGKILL)
    until(lambda: not alive(kernel))
    (gated.parent / "gate").touch()
    said, _ = process.communicate(timeout=400)
    if victim == "worker":
        assert process.returncode == 0, said
    else:
        assert process.returncode == 1, said
        assert "cell 3: DeadKernelError" in said
        assert command("run", gated, out)[0] == 0
    assert whole(out, 4)
    assert {r["state"] for r in records(out).values()} == {"done"}


def test_files_decide_what_is_done(tmp_path):
    chapter, log, out = write_tiny(tmp_path), tmp_path / "log", tmp_path / "out"
    sweep = {
        "chapter": chapter,
        "fixed": {"log": str(log)},
        "grid": {"size": [0, 1, 2, 3, 4, 5]},
    }
    run_sweep(sweep, out, progress=False)
    paths = {int(p.name[5]): p for p in (out / "points").glob("*.json")}
    paths[0].unlink()
    paths[1].write_text(paths[1].read_text()[:100])
    paths[2].write_text(
        paths[2].read_text().replace('"estimate": 1.0', '"estimate": 9')
    )
    paths[3].with_suffix(".ipynb").write_text("{}")
    paths[4].with_suffix(".ipynb").unlink()
    table = run_sweep(sweep, out, progress=False)
    ends = {int(s): n for (word, s), n in events(log).items() if word == "end"}
    assert ends == {0: 2, 1: 2, 2: 2, 3: 2, 4: 2, 5: 1}
    assert sorted(set(table["size"])) == [0, 1, 2, 3, 4, 5]
    assert table["estimate"].max() < 9
    assert whole(out, 6)


def test_changed_code_is_said_and_repeated_on_request(tmp_path):
    chapter, log, out = write_tiny(tmp_path), tmp_path / "log", tmp_path / "out"
    sweep = {"chapter": chapter, "fixed": {"log": str(log)}, "grid": {"size": [1, 2]}}
    assert not run_sweep(sweep, out, progress=False)["stale"].any()
    write_tiny(tmp_path, work=WORK + "\nrate = 2 * rate")
    sweep["grid"] = {"size": [1, 2, 3]}
    table = run_sweep(sweep, out, progress=False)
    stale = table.groupby("size")["stale"].all().to_dict()
    assert stale == {1: True, 2: True, 3: False}
    assert events(log)["end", "1"] == 1
    assert "2 done with an older chapter or library" in command("status", out)[1]
    table = run_sweep(sweep, out, rerun_stale=True, progress=False)
    assert not table["stale"].any()
    assert events(log)["end", "1"] == 2
    assert events(log)["end", "3"] == 1
    assert set(table[table["claim"] == "stays"]["estimate"]) == {1.0}


def test_a_folder_is_for_one_chapter_and_keeps_what_was_done(tmp_path):
    chapter, out = write_tiny(tmp_path), tmp_path / "out"
    run_sweep({"chapter": chapter, "grid": {"size": [1, 2]}}, out, progress=False)
    table = run_sweep({"chapter": chapter, "grid": {"size": [1]}}, out, progress=False)
    assert set(table["size"]) == {1, 2}
    other = write_notebook(tmp_path / "other.ipynb", "size: int = 1", "pass")
    with pytest.raises(InputError, match="holds points of 'tiny'"):
        run_sweep({"chapter": other}, out, progress=False)


def test_each_worker_of_this_machine_has_one_of_its_gpus(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5, 7")
    look = "import os, time\ntime.sleep(1)\nprint(os.environ['CUDA_VISIBLE_DEVICES'])"
    parameters = 'device: str = "cpu"\nsize: int = 0'
    path = write_notebook(tmp_path / "a.ipynb", parameters, look)
    sweep = {"chapter": path, "fixed": {"device": "cuda"}, "grid": {"size": range(4)}}
    run_sweep(sweep, tmp_path / "out", progress=False)
    seen = {printed(p).strip() for p in (tmp_path / "out").glob("points/*.ipynb")}
    assert seen == {"5", "7"}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(InputError, match="shows no GPU"):
        run_sweep(sweep, tmp_path / "other", progress=False)


def test_a_point_stored_before_its_worker_could_say_so_does_not_run_again(tmp_path):
    chapter, out = write_tiny(tmp_path), tmp_path / "out"
    run_sweep({"chapter": chapter}, out, progress=False)
    (record,) = records(out).values()
    point = work.Point(record["id"], record["parameters"], {})
    settings = work.Settings()
    code = record["code"].partition("-")[0]
    place = (out, "tiny", tmp_path, tmp_path / "absent.ipynb", code, "token")
    assert work.run_point(work.Work(*place, settings), point) == record
