"""Notebooks in new kernels: all that can go wrong in one is said, and names a cell."""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from contextlib import suppress
from itertools import groupby

import nbformat
import pytest

from spectral_book import runner
from spectral_book.budget import Budget
from spectral_book.failures import Failure
from spectral_book.runner import NotebookJob, execute, execute_notebooks


def write(folder, name, *cells, tags=()):
    """Write a notebook with a title; `tags` are those of its cells of code."""
    made = [nbformat.v4.new_markdown_cell("# Title")]
    for place, source in enumerate(cells):
        cell = nbformat.v4.new_code_cell(source)
        cell.metadata["tags"] = list(tags[place]) if place < len(tags) else []
        made.append(cell)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=made, metadata={"kernelspec": kernel})
    folder.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, folder / f"{name}.ipynb")
    return NotebookJob(name, folder / f"{name}.ipynb")


def printed(notebook):
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", [])]
    return "".join(output.get("text", "") for output in outputs)


NO_DISPLAY = """
class Wrong:
    def _repr_html_(self):
        raise ValueError("no picture")
Wrong()
"""
FAILING_TASK = """
import asyncio
async def work():
    raise ValueError("in a task")
task = asyncio.create_task(work())
"""
FAILING_THREAD = """
import threading
thread = threading.Thread(target=int, args=["x"])
thread.start()
thread.join()
"""
CALLBACK = "import asyncio\nasyncio.get_running_loop().call_soon(lambda: 1 / 0)\nNone"
ASKED = "try:\n    await task\nexcept ValueError:\n    pass"
LEAVES = "import sys, threading\nthreading.Thread(target=sys.exit).start()"
MEANT = ["raises-exception"]
LIMIT = 4
CELLS = {
    "fine": (
        ["1 + 1", "", "1 / 0", "skipped", FAILING_TASK, ASKED, LEAVES],
        [[], [], MEANT, ["skip-execution"]],
    ),
    "raises": (["1", "x = 1\nassert x == 2, 'no'", "3"], [[], ["remove-cell"]]),
    "exits": (["import sys", "sys.exit(0)", "3"], []),
    "shows": (["1", NO_DISPLAY, "3"], []),
    "shows-last": (["1", NO_DISPLAY], []),
    "thread": (["1", FAILING_THREAD, "3"], []),
    "task-kept": (["1", FAILING_TASK, "3"], []),
    "task-dropped": (["1", FAILING_TASK + "del task"], []),
    "callback": (["1", CALLBACK, "3"], []),
    "dies": (["import os", "os._exit(0)"], []),
    "sleeps": (["import time\nprint('begun')", "time.sleep(300)"], []),
}
FAILURES = {
    "fine": None,
    "raises": (3, "AssertionError: no"),
    "exits": (3, "SystemExit: 0"),
    "shows": (3, "ValueError: no picture"),
    "shows-last": (3, "ValueError: no picture"),
    "thread": (3, "ValueError: invalid literal for int() with base 10: 'x'"),
    "task-kept": (3, "ValueError: in a task"),
    "task-dropped": (3, "ValueError: in a task"),
    "callback": (3, "ZeroDivisionError: division by zero"),
    "dies": (3, "DeadKernelError: the kernel process died"),
    "sleeps": (3, f"CellTimeoutError: the cell took more than {LIMIT} s"),
}


@pytest.fixture(scope="module")
def executions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runner")
    jobs = [write(folder, n, *cells, tags=t) for n, (cells, t) in CELLS.items()]
    jobs.append(NotebookJob("absent", folder / "absent.ipynb"))
    ended = []
    found = execute_notebooks(
        jobs,
        at_once=3,
        environment=Budget(3, 1).kernel_environment(os.environ),
        cell_seconds=LIMIT,
        on_finish=lambda execution: ended.append(execution.name),
    )
    assert [execution.name for execution in found] == [*CELLS, "absent"]
    assert sorted(ended) == sorted([*CELLS, "absent"])
    return {execution.name: execution for execution in found}


@pytest.mark.processes
@pytest.mark.parametrize("name", CELLS)
def test_a_failure_names_its_cell(executions, name):
    failure = executions[name].failure
    found = failure and (failure.cell, failure.error)
    assert found == FAILURES[name]
    if failure is not None:
        assert failure.source == CELLS[name][0][1]
        cell = executions[name].notebook.cells[failure.cell - 1]
        assert any(output.output_type == "error" for output in cell.outputs)
        assert "remove-cell" not in cell.metadata["tags"]


@pytest.mark.processes
def test_a_notebook_that_cannot_be_read_fails_outside_of_its_cells(executions):
    failure = executions["absent"].failure
    assert failure.cell == 0
    assert failure.error.startswith("FileNotFoundError: ")
    assert "outside of its cells" in failure.describe("absent")
    assert executions["absent"].notebook.cells[-1].outputs[0].ename


def run_one(job, **limits):
    environment = Budget(1, 1).kernel_environment(os.environ)
    return asyncio.run(execute(job, environment, **limits))


@pytest.mark.processes
def test_the_limit_of_a_notebook_is_over_all_cells(tmp_path):
    cells = [f"import time; time.sleep(0.5 + 0 * {i})" for i in range(400)]
    job = write(tmp_path, "long", *cells)
    failure = run_one(job, cell_seconds=100, total_seconds=6).failure
    assert failure.error == "CellTimeoutError: the notebook took more than 6 s"
    assert 2 <= failure.cell <= 13  # no cell takes that long by itself


@pytest.mark.processes
def test_the_limit_of_a_notebook_may_be_met_before_its_first_cell(tmp_path):
    failure = run_one(write(tmp_path, "late", "1"), total_seconds=0.01).failure
    assert failure.error == "CellTimeoutError: the notebook took more than 0.01 s"
    assert failure.cell == 0


@pytest.mark.processes
def test_parameters_are_papermill_s_and_cells_keep_their_numbers(tmp_path):
    folder = tmp_path / "a {name} with 'braces'"
    cells = ["size: int = 1", "print('size', size)", "1 / 0"]
    job = write(folder, "a", *cells, tags=[["parameters"]])
    given = {"size": 7}
    job = NotebookJob(job.name, job.path, tmp_path, given)
    execution = run_one(job)
    assert "size 7" in printed(execution.notebook)
    assert execution.notebook.cells[2].metadata.tags == ["injected-parameters"]
    assert execution.notebook.metadata.papermill["parameters"] == given
    assert execution.failure.cell == 4
    assert execution.failure.error == "ZeroDivisionError: division by zero"
    assert '"size": 7' not in job.path.read_text()


R = {"kernelspec": {"name": "ir", "display_name": "R", "language": "R"}}
JULIA = {
    "kernelspec": {"name": "julia-1.10", "display_name": "Julia 1.10"},
    "language_info": {"name": "julia"},
}
NAMELESS = {"kernelspec": {"name": "julia-1.10", "display_name": "Julia 1.10"}}
OWN = {"kernelspec": {"name": "mine", "display_name": "Mine", "language": "python"}}


@pytest.mark.processes
@pytest.mark.parametrize(
    ("metadata", "language"),
    [(R, "R"), (JULIA, "julia"), (NAMELESS, "julia-1.10"), (OWN, None), ({}, None)],
)
def test_a_notebook_of_another_language_is_refused_and_one_of_none_is_python(
    tmp_path, metadata, language
):
    job = write(tmp_path, "a", "size = 1", "print(size)", tags=[["parameters"]])
    notebook = nbformat.read(job.path, as_version=4)
    notebook.metadata = nbformat.from_dict(metadata)
    nbformat.write(notebook, job.path)
    execution = run_one(NotebookJob(job.name, job.path, parameters={"size": 2}))
    if language is None:
        assert execution.failure is None
        assert printed(execution.notebook) == "2\n"
    else:
        assert execution.failure.cell == 0
        said = f"{job.path} is written in {language}; the book runs Python"
        assert said in execution.failure.error


LOOK = """
import json, os
import matplotlib.pyplot as plt
print(json.dumps({
    "startup": "left_by_user" in globals(),
    "width": plt.rcParams["lines.linewidth"],
    "backend": plt.get_backend(),
    "threads": os.environ["OMP_NUM_THREADS"],
    "private": os.listdir(os.environ["IPYTHONDIR"]),
}))
plt.plot([1, 2])
"""


@pytest.mark.processes
def test_what_a_user_has_set_up_does_not_reach_a_kernel(tmp_path, monkeypatch):
    startup = tmp_path / ".ipython/profile_default/startup/a.py"
    settings = tmp_path / ".config/matplotlib/matplotlibrc"
    for path, text in (
        (startup, "left_by_user = 1"),
        (settings, "lines.linewidth: 99"),
        (tmp_path / "start.py", "left_by_user = 1"),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / ".ipython"))
    monkeypatch.setenv("MATPLOTLIBRC", str(settings))
    monkeypatch.setenv("PYTHONSTARTUP", str(tmp_path / "start.py"))
    monkeypatch.setenv("MPLBACKEND", "Agg")
    execution = run_one(write(tmp_path / "book", "a", LOOK))
    assert execution.failure is None
    found = json.loads(printed(execution.notebook))
    assert not found["startup"]
    assert found["width"] != 99
    assert "inline" in found["backend"]
    assert found["threads"] == "1"
    kinds = [o.get("data", {}) for o in execution.notebook.cells[1].outputs]
    assert any("image/png" in data for data in kinds)


@pytest.mark.processes
def test_a_folder_for_ipython_can_be_named(tmp_path, monkeypatch):
    startup = tmp_path / "profile_default/startup/a.py"
    startup.parent.mkdir(parents=True)
    startup.write_text("watched = 1")
    monkeypatch.setenv("SPECTRAL_IPYTHONDIR", str(tmp_path))
    execution = run_one(write(tmp_path, "a", "print('watched', watched)"))
    assert printed(execution.notebook) == "watched 1\n"


@pytest.mark.processes
def test_a_cell_that_never_ran_is_a_failure(tmp_path, monkeypatch):
    async def only_first(self, **kwargs):
        self.nb.cells[1].execution_count = 1

    monkeypatch.setattr(runner._Client, "async_execute", only_first)
    failure = run_one(write(tmp_path, "a", "1", "2", "3")).failure
    assert (failure.cell, failure.source) == (3, "2")
    assert "did not run" in failure.error


def alive(pid):
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


@pytest.mark.processes
def test_a_kernel_ends_with_its_task(tmp_path):
    note = tmp_path / "pid"
    code = f"import os\nopen({str(note)!r}, 'w').write(str(os.getpid()))"
    job = write(tmp_path, "a", code, "sum(range(10**13))")  # deaf to interrupts

    async def cancelled():
        environment = Budget(1, 1).kernel_environment(os.environ)
        task = asyncio.create_task(execute(job, environment))
        deadline = time.monotonic() + 120
        while not (note.exists() and note.read_text()):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert not alive(int(note.read_text()))


def test_old_outputs_do_not_survive_in_cells_that_never_run(tmp_path):
    job = write(tmp_path, "old", "1")
    notebook = nbformat.read(job.path, as_version=4)
    notebook.cells[1].outputs = [nbformat.v4.new_output("stream", text="old")]
    notebook.cells[1].execution_count = 3
    notebook.metadata.widgets = {}
    nbformat.write(notebook, job.path)
    clean = runner._prepared(job)
    assert "widgets" not in clean.metadata
    assert clean.cells[1].outputs == []
    assert clean.cells[1].execution_count is None


def test_an_error_in_words_comes_without_code():
    words = "ParameterError: channels = 'abc': Input should be a valid integer."
    message = Failure(2, "from a import b\n", words, words + "\n").describe("tiny")
    assert message == f"chapter tiny failed, cell 2: {words}"
    other = Failure(2, "from a import b\n", words, f"Traceback ...\n{words}")
    assert "    from a import b" in other.describe("tiny")


@pytest.mark.processes
def test_a_cell_that_others_keep_from_working_is_waited_for(tmp_path, monkeypatch):
    class Starved:
        def __init__(self, pid):
            assert pid > 0

        def seconds(self):
            return 0.0

    monkeypatch.setattr(runner, "WorkingTime", Starved)
    begun = []
    execution = run_one(
        write(tmp_path, "slow", "import time; time.sleep(2)", "2"),
        cell_seconds=0.5,
        on_cell=lambda *told: begun.append(told),
    )
    assert execution.failure is None
    cells = [told for told, _ in groupby(begun)]
    assert cells == [("slow", 1, 3, ""), ("slow", 2, 3, ""), ("slow", 3, 3, "")]


@pytest.mark.processes
def test_the_bar_of_a_running_cell_is_told_with_its_time_left(tmp_path):
    begun = []
    execution = run_one(
        write(
            tmp_path,
            "slow",
            "import time; from tqdm.auto import tqdm",
            "for _ in tqdm(range(8), desc='net', leave=False): time.sleep(0.5)",
            "time.sleep(1.5)",  # no bar of its own
        ),
        on_cell=lambda *told: begun.append(told),
    )
    assert execution.failure is None
    bars = {cell: [bar for _, at, _, bar in begun if at == cell] for cell in (3, 4)}
    assert any(re.fullmatch(r"net: +\d+%, 00:0\d left", bar) for bar in bars[3])
    assert set(bars[4]) == {""}
