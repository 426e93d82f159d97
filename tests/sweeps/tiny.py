"""Small chapters that need no torch, and the processes to run them on."""

from __future__ import annotations

import inspect
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import nbformat
import psutil
import yaml
from rows import row, run_of

from spectral_book.sweeps.cli import main
from spectral_book.sweeps.results import read_record, stored_ids

PARAMETERS = """
size: int = 1  # replicated below 3
rate: float = 0.5
word: str = "a"
log: str = ""  # a file to say in what has run
wait: float = 0.0
"""
WORK = """
import os, time

def note(event):
    if log:
        handle = os.open(log, os.O_APPEND | os.O_CREAT | os.O_WRONLY)
        os.write(handle, f"{event} {size} {os.getpid()}\\n".encode())
        os.close(handle)

note("start")
time.sleep(wait)
"""


ROW = row("grows", chapter="tiny", statement="It grows with $n$.")


def claim_rows(size: int, rate: float) -> list[dict[str, Any]]:
    """Return the claims of a small chapter."""

    def changed(name: str, verdict: str, estimate: float) -> dict[str, Any]:
        ends = {"ci_low": estimate - 0.1, "ci_high": estimate + 0.1}
        words = {"rule": verdict, "verdict": verdict}
        return {**ROW, "id": name, "estimate": estimate, **ends, **words}

    grows = "replicated" if size < 3 else "not replicated"
    return [changed("grows", grows, size * rate), changed("stays", "replicated", rate)]


CLAIM = (
    "from typing import Any\nfrom IPython.display import display\n"
    + f"ROW, RUN = {ROW!r}, {run_of([ROW])!r}\n"
    + inspect.getsource(claim_rows)
    + """
shown = {"run": RUN, "claims": claim_rows(size, rate)}
display({"application/vnd.spectral-ledger+json": shown, "text/plain": ""}, raw=True)
note("end")
"""
)


def write_notebook(path: Path, *cells: str) -> Path:
    """Write a notebook whose first cell is tagged as the parameters."""
    made = [nbformat.v4.new_markdown_cell("(tiny)=\n# Tiny")]
    for place, text in enumerate(cells):
        metadata = {"tags": ["parameters"]} if place == 0 else {}
        source = textwrap.dedent(text).strip()
        made.append(nbformat.v4.new_code_cell(source, metadata=metadata))
    for place, cell in enumerate(made):
        cell["id"] = f"cell-{place}"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(
        nbformat.v4.new_notebook(cells=made, metadata={"kernelspec": kernel}), path
    )
    return path


def write_tiny(folder: Path, *, work: str = WORK) -> Path:
    """Write the usual small chapter."""
    return write_notebook(folder / "tiny.ipynb", PARAMETERS, work, CLAIM)


def write_sweep(path: Path, content: Mapping[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(dict(content)))
    return path


def gated(folder: Path, sizes: Iterable[int]) -> tuple[Path, Path, Path]:
    """Write a sweep whose points, but that of size 0, wait for a file `gate`.

    Return its file, its log of events and its output folder.
    """
    gate = "\nwhile size and not os.path.exists(word):\n    time.sleep(0.05)"
    log = folder / "log"
    content = {
        "chapter": write_tiny(folder, work=WORK + gate).name,
        "fixed": {"log": str(log), "word": str(folder / "gate")},
        "grid": {"size": list(sizes)},
    }
    return write_sweep(folder / "sweep.yaml", content), log, folder / "out"


def events(log: Path) -> Counter[tuple[str, str]]:
    """Return how often each point has started and ended."""
    lines = log.read_text().splitlines() if log.exists() else []
    return Counter(tuple(line.split()[:2]) for line in lines)


def running(log: Path) -> set[int]:
    """Return the kernels that have started a point and not ended it."""
    lines = log.read_text().splitlines() if log.exists() else []
    pids: dict[str, set[int]] = {"start": set(), "end": set()}
    for line in lines:
        word, _, pid = line.split()
        pids[word].add(int(pid))
    return pids["start"] - pids["end"]


def printed(path: Path) -> str:
    """Return what an executed notebook printed."""
    cells = nbformat.read(path, as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return "".join(output.get("text", "") for output in outputs)


def until(condition: Callable[[], object], seconds: float = 300) -> None:
    """Wait for something that another process brings about."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def start(*arguments: object, **more: Any) -> subprocess.Popen[str]:
    """Start the command."""
    return subprocess.Popen(
        [sys.executable, "-m", "spectral_book.sweeps.cli", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=restore_interrupt,
        **more,
    )


def command(*arguments: object, **more: Any) -> tuple[int, str]:
    """Run the command and return its exit status and what it said."""
    process = start(*arguments, **more)
    said, _ = process.communicate(timeout=400)
    return process.returncode, said


def called(*arguments: object) -> tuple[int, str]:
    """Run the command in this process: a new one takes seconds to import it all."""
    with redirect_stdout(StringIO()) as said, redirect_stderr(said):
        code = main([str(argument) for argument in arguments])
    return code, said.getvalue()


def restore_interrupt() -> None:
    """Switch Ctrl-C on again: what runs in the background may start without it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def below(pid: int) -> list[int]:
    """Return the processes below a process."""
    return [child.pid for child in psutil.Process(pid).children(recursive=True)]


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def records(out: Path) -> dict[str, dict[str, Any]]:
    """Return the whole records of a folder by their points."""
    found = [read_record(out, name) for name in stored_ids(out)]
    return {record["id"]: record for record in found if record}


def whole(out: Path, count: int) -> bool:
    """Return whether an output folder holds so many points and nothing half-written."""
    names = sorted(path.name for path in (out / "points").iterdir())
    stems = {name.rpartition(".")[0] for name in names}
    return len(names) == 2 * count and len(stems) == count


@contextmanager
def dask_process(
    kind: str, file: Path, *more: str, **environment: str
) -> Iterator[subprocess.Popen[str]]:
    """A scheduler or a worker, ended with the block if it has not been before."""
    options = ["--scheduler-file", str(file), "--no-dashboard", "--host", "127.0.0.1"]
    log = (file.parent / f"{kind}.log").open("a")
    process = subprocess.Popen(
        [sys.executable, "-m", f"distributed.cli.dask_{kind}", *options, *more],
        stdout=log,
        stderr=log,
        env={**os.environ, "SPECTRAL_THREADS": "1", **environment},
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        log.close()


@contextmanager
def scheduler(folder: Path) -> Iterator[tuple[subprocess.Popen[str], Path, str]]:
    """A scheduler: its process, its file and its address."""
    file = folder / "scheduler.json"
    file.unlink(missing_ok=True)
    with dask_process("scheduler", file, "--port", "0") as process:
        until(lambda: file.exists() and file.stat().st_size)
        yield process, file, yaml.safe_load(file.read_text())["address"]


@contextmanager
def worker(file: Path, name: str, *more: str) -> Iterator[subprocess.Popen[str]]:
    """A worker that runs one point at a time and is not started again."""
    options = ["--nthreads", "1", "--no-nanny", "--name", name]
    options += ["--local-directory", str(file.parent / name)]
    with dask_process("worker", file, *options, *more, WORKER=name) as process:
        yield process
