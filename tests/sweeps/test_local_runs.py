"""Sweeps on this machine, by the command and in real processes."""

from __future__ import annotations

import json
import os
import signal
import time

import nbformat
import pytest
from tiny import (
    CLAIM,
    PARAMETERS,
    WORK,
    command,
    events,
    printed,
    start,
    until,
    whole,
    write_notebook,
    write_sweep,
    write_tiny,
)

from spectral_book.sweeps.cli import main
from spectral_book.sweeps.manifest import open_manifest
from spectral_book.sweeps.results import finished
from spectral_book.sweeps.run import run_sweep

TROUBLE = """
import os, sys, time
if word == "raise":
    values = {}
    values["missing"]
if word == "slow":
    time.sleep(60)
if word == "die":
    os.kill(os.getpid(), 9)
if word == "slow point":
    for part in range(40):
        time.sleep(0.25)
print("went well")
"""


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
        "grid": {"word": ["well", "raise", "slow", "die", "fine"]},
    }
    file = write_sweep(folder / "sweep.yaml", sweep)
    limits = ("--cell-timeout", "2", "--jobs", "3")
    first = command("run", file, out, *limits)
    with open_manifest(out) as manifest:
        rows = {row.parameters["word"]: row for row in manifest.rows()}
    second = command("run", file, out, *limits)
    return folder, out, first, second, rows


def test_failures_are_told_and_the_others_go_on(troubled):
    _, out, (code, said), _, rows = troubled
    assert code == 1
    assert "2 of 5 points done, 3 failed" in said
    assert "cell 4: KeyError: 'missing'" in said
    assert "Traceback" not in said
    states = {word: row.state for word, row in rows.items()}
    assert states == {
        **dict.fromkeys(("well", "fine"), "done"),
        **dict.fromkeys(("raise", "slow", "die"), "failed"),
    }
    assert len(list((out / "points").iterdir())) == 4


@pytest.mark.parametrize(
    ("word", "error"),
    [
        ("raise", "KeyError: 'missing'"),
        ("slow", "CellTimeoutError: the cell took more than 2 s"),
        ("die", "DeadKernelError: the kernel process died"),
    ],
)
def test_a_failure_has_its_cell_and_message(troubled, word, error):
    # Cell 4 of the file: a title, parameters, one more, the one that fails.
    row = troubled[-1][word]
    assert (row.cell, row.error, row.attempts) == (4, error, 1)
    if word == "raise":
        assert row.traceback.endswith("KeyError: 'missing'")
        assert 'values["missing"]' in row.traceback


def test_cells_after_a_failure_are_not_called_completed(troubled):
    _, out, *_, rows = troubled
    for word in ("raise", "slow", "die"):
        notebook = nbformat.read(out / "failed" / f"{rows[word].id}.ipynb", 4)
        codes = [c for c in notebook.cells if c.cell_type == "code"]
        states = [c.metadata.papermill["status"] for c in codes[-3:]]
        assert states == ["failed", "pending", "pending"]


def test_the_second_call_runs_what_failed_and_nothing_else(troubled):
    folder, out, _, (code, said), _ = troubled
    assert code == 1
    assert "0/3" in said
    with open_manifest(out) as manifest:
        attempts = {r.parameters["word"]: r.attempts for r in manifest.rows()}
    assert attempts == {"well": 1, "fine": 1, "raise": 2, "slow": 2, "die": 2}
    assert sum(events(folder / "log").values()) == 4


def test_status_tells_the_failures(troubled):
    code, said = command("status", troubled[1])
    assert code == 0
    assert said.startswith("5 points: 2 done, 3 failed, 0 submitted, 0 pending")
    assert "cell 4: CellTimeoutError" in said


def test_a_point_s_time_limit_is_over_all_cells(tmp_path):
    parts = [f"import time; time.sleep(0.2 + 0 * {i})" for i in range(40)]
    path = write_notebook(tmp_path / "long.ipynb", PARAMETERS, *parts)
    began = time.monotonic()
    table = run_sweep(
        {"chapter": path}, tmp_path / "out", point_seconds=1.5, progress=False
    )
    assert time.monotonic() - began < 10
    assert table.empty
    with open_manifest(tmp_path / "out") as manifest:
        (row,) = manifest.rows()
    assert row.error == "CellTimeoutError: the point took more than 1.5 s"
    assert 3 <= row.cell <= 12  # not the first cells: none of them takes that long


WORDS = [
    "$(touch INJECTED) `touch INJECTED`; touch INJECTED && 'x' \"y\" \\",
    "\"\"\"\nraise SystemExit\n'''",
    "{braces} %s é\t\\n",
]


def test_nothing_passes_through_a_shell_or_a_template(tmp_path):
    folder = tmp_path / "it's $(touch INJECTED); {name} %s \"é"
    work = "import json, os\nprint('got ' + json.dumps([word, os.getcwd()]))"
    path = write_notebook(folder / "tiny.ipynb", PARAMETERS, work)
    out = folder / "out {x}; touch INJECTED"
    file = write_sweep(
        folder / "s.yaml", {"chapter": path.name, "grid": {"word": WORDS}}
    )
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
        (["run", str(tmp_path / "none.yaml"), out], "there is no sweep file"),
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
def interrupted(tmp_path):
    """A sweep in the middle of which its process gets a signal."""
    chapter, log, out = write_tiny(tmp_path), tmp_path / "log", tmp_path / "out"
    sweep = {
        "chapter": chapter.name,
        "fixed": {"log": str(log), "wait": 0.5},
        "grid": {"size": list(range(4))},
    }
    file = write_sweep(tmp_path / "sweep.yaml", sweep)

    def under_way():
        words = [word for word, _ in events(log).elements()]
        return words.count("start") > words.count("end")

    def stop(number):
        process = start("run", file, out, "--jobs", "2")
        until(lambda: len(list(out.glob("points/*.json"))) >= 1)
        until(under_way)
        process.send_signal(number)
        said, _ = process.communicate(timeout=30)
        return process.returncode, said

    return file, log, out, stop


def test_an_interruption_ends_the_kernels_and_loses_nothing(interrupted):
    file, log, out, stop = interrupted
    code, said = stop(signal.SIGINT)
    assert code == 130, said
    assert " 0 submitted, " in command("status", out)[1]
    assert "interrupted; the same command goes on" in said
    assert "Traceback" not in said
    before = events(log)
    time.sleep(1)
    assert events(log) == before
    with open_manifest(out) as manifest:
        states = [row.state for row in manifest.rows()]
    assert states.count("done") == len(list(out.glob("points/*.json"))) < 4
    code, said = command("run", file, out)
    assert code == 0, said
    assert whole(out, 4)
    assert {n for (word, _), n in events(log).items() if word == "end"} == {1}


def test_a_killed_sweep_leaves_no_lock_and_no_kernel(interrupted):
    file, log, out, stop = interrupted
    code, _ = stop(signal.SIGKILL)
    assert code == -signal.SIGKILL
    (out / "points/.half.ipynb.x7").write_text("{")
    code, said = command("run", file, out)
    assert code == 0, said
    assert whole(out, 4)
    assert not list(out.glob("points/.*"))
    assert {n for (word, _), n in events(log).items() if word == "end"} == {1}


def test_two_sweeps_do_not_share_a_folder(tmp_path):
    work = WORK + "\nwhile not os.path.exists(word):\n    time.sleep(0.05)"
    chapter, log, out = (
        write_tiny(tmp_path, work=work),
        tmp_path / "log",
        tmp_path / "out",
    )
    fixed = {"log": str(log), "word": str(tmp_path / "gate")}
    file = write_sweep(tmp_path / "s.yaml", {"chapter": chapter.name, "fixed": fixed})
    first = start("run", file, out)
    until(lambda: events(log).total())
    code, said = command("run", file, out)
    holder = f"process {first.pid} on {os.uname().nodename}"
    assert (code, f"is in use by another sweep: {holder}" in said) == (2, True), said
    _, status = command("status", out)
    assert status.startswith("1 points: 0 done, 0 failed, 1 submitted")
    (tmp_path / "gate").touch()
    said, _ = first.communicate(timeout=60)
    assert first.returncode == 0, said
    assert events(log).total() == 2


def test_files_decide_what_is_done(tmp_path):
    chapter, log, out = write_tiny(tmp_path), tmp_path / "log", tmp_path / "out"
    sweep = {
        "chapter": chapter,
        "fixed": {"log": str(log)},
        "grid": {"size": [0, 1, 2, 3]},
    }
    run_sweep(sweep, out, progress=False)
    with open_manifest(out) as manifest:
        names = {row.parameters["size"]: row.id for row in manifest.rows()}
    notebook = out / "points" / f"{names[1]}.ipynb"
    (out / "points" / f"{names[0]}.json").unlink()
    # The manifest is lost, one notebook was cut short, one is of another run.
    notebook.write_text(notebook.read_text()[:100])
    (out / "manifest.sqlite").unlink()
    assert finished(out, names[0]) is None
    assert finished(out, names[1]) is None
    table = run_sweep(sweep, out, progress=False)
    ends = {int(s): n for (word, s), n in events(log).items() if word == "end"}
    assert ends == {0: 2, 1: 2, 2: 1, 3: 1}
    assert sorted(set(table["size"])) == [0, 1, 2, 3]
    assert whole(out, 4)
    # The manifest is there, a notebook is not.
    next((out / "points").glob("size=3-*.ipynb")).unlink()
    run_sweep(sweep, out, progress=False)
    assert events(log)["end", "3"] == 2
    assert whole(out, 4)


def test_changed_code_is_told_and_repeated_on_request(tmp_path):
    chapter, log, out = write_tiny(tmp_path), tmp_path / "log", tmp_path / "out"
    sweep = {"chapter": chapter, "fixed": {"log": str(log)}, "grid": {"size": [1, 2]}}
    assert not run_sweep(sweep, out, progress=False)["stale"].any()
    write_tiny(tmp_path, work=WORK + "\nrate = 2 * rate")
    table = run_sweep({**sweep, "grid": {"size": [1, 2, 3]}}, out, progress=False)
    assert table.groupby("size")["stale"].all().to_dict() == {
        1: True,
        2: True,
        3: False,
    }
    assert events(log)["end", "1"] == 1
    _, said = command("status", out)
    assert "2 done with an older chapter or library" in said
    table = run_sweep(
        {**sweep, "grid": {"size": [1, 2, 3]}}, out, rerun_stale=True, progress=False
    )
    assert not table["stale"].any()
    assert events(log)["end", "1"] == 2
    assert events(log)["end", "3"] == 1
    assert set(table[table["claim"] == "stays"]["estimate"]) == {1.0}


def test_a_folder_is_for_one_chapter(tmp_path):
    run_sweep({"chapter": write_tiny(tmp_path)}, tmp_path / "out", progress=False)
    other = write_notebook(tmp_path / "other.ipynb", "size: int = 1", "pass")
    with pytest.raises(ValueError, match="holds points of 'tiny'"):
        run_sweep({"chapter": other}, tmp_path / "out", progress=False)
