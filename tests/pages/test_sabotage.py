"""Books in which something goes wrong: no build may succeed in silence."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from minibook import claim, claim_cell, clean_environment

pytestmark = pytest.mark.processes

TIMEOUT = 3


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def broken(new_book):
    """A book whose chapters fail in four ways but for one, built twice."""
    book = new_book("broken")
    note = "import os, pathlib; pathlib.Path('{}.pid').write_text(str(os.getpid()))"
    book.add(
        "raises",
        "print('before')",
        "x = 1\nassert x == 2, 'the claim does not hold'",
        "print('never' + 'reached')",
        tags={1: ["remove-cell"]},
    )
    book.add("sleeps", "import time\ntime.sleep(300)")
    # A sum in C neither gives way nor hears an interrupt.
    book.add("spins", note.format("spins"), "sum(range(10**13))")
    book.add("dies", "import os", "os._exit(3)")
    book.add("fine", "print('all', 'well')", claim_cell(claim("fine-one")))
    directives = ("verdicts", "surprises", "ledger")
    intro = "\n".join(f"```{{{name}}}\n```" for name in directives)
    book.configure(intro, timeout=TIMEOUT)
    book.html.mkdir(parents=True)
    (book.html / "ledger.json").write_text("[]")
    env = {"SPECTRAL_JOBS": "3"}
    started = time.monotonic()
    results = [book.build(env=env), book.build(env=env)]
    return book, results, time.monotonic() - started


def test_every_build_fails(broken):
    _, results, seconds = broken
    assert [result.returncode != 0 for result in results] == [True, True]
    assert seconds < 100


@pytest.mark.parametrize("build", [0, 1])
@pytest.mark.parametrize(
    "message",
    [
        "chapter raises failed, cell 3: AssertionError: the claim does not hold\n"
        "    x = 1\n"
        "    assert x == 2",
        f"chapter sleeps failed, cell 2: CellTimeoutError: the cell took more than "
        f"{TIMEOUT} s\n    import time",
        f"chapter spins failed, cell 3: CellTimeoutError: the cell took more than "
        f"{TIMEOUT} s\n    sum(range(10**13))",
        "chapter dies failed, cell 3: DeadKernelError: the kernel process died\n"
        "    os._exit(3)",
        "Traceback (most recent call last)",
    ],
)
def test_message_names_chapter_and_cell(broken, build, message):
    assert message in broken[1][build].stdout


def test_other_chapters_run_to_their_end(broken):
    book, results, _ = broken
    assert "all well" in (book.html / "fine.html").read_text()
    assert "all well" in book.printed("fine")
    assert "chapter fine failed" not in results[1].stdout


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("raises", "AssertionError"),
        ("sleeps", "CellTimeoutError"),
        ("spins", "CellTimeoutError"),
        ("dies", "DeadKernelError"),
    ],
)
def test_failed_page_shows_the_error(broken, name, error):
    page = (broken[0].html / f"{name}.html").read_text()
    assert error in page
    assert "neverreached" not in page


def test_no_ledger_of_a_failed_build(broken):
    book, _, _ = broken
    assert not (book.html / "ledger.json").exists()
    front = (book.html / "intro.html").read_text()
    told = "Incomplete: these chapters failed: raises, sleeps, spins, dies."
    assert front.count(told) == 3  # by each of the three directives
    assert "Every claim that could be judged held" not in front


def test_kernel_deep_in_native_code_is_ended(broken):
    pid = int((broken[0].folder / "spins.pid").read_text())
    assert not is_alive(pid)


def test_stored_failure_and_bad_claims_fail_without_execution(broken, new_book):
    book = new_book("stored")
    book.write("raises", broken[0].notebook("raises"))
    for name in ("one", "two"):
        fine = broken[0].notebook("fine")
        fine.cells[0].source = f"# Chapter {name}"
        book.write(name, fine)
    bad = broken[0].notebook("fine")
    bad.cells[0].source = "# Chapter bad"
    rows = next(iter(bad.cells[-1].outputs[0].data.values()))
    rows[0]["verdict"] = "certainly"
    book.write("bad", bad)
    book.configure("```{ledger}\n```\n", execute_notebooks="off")
    result = book.build()
    assert result.returncode != 0
    assert "chapter raises failed, cell 3: AssertionError" in result.stdout
    assert "claim id 'fine-one' is used 2 times: in one, two" in result.stdout
    assert "claim 'fine-one' has the verdict 'certainly'" in result.stdout
    assert not (book.html / "ledger.json").exists()


def test_notebook_that_nothing_executes_is_refused(new_book):
    book = new_book("markdown")
    (book.folder / "page.md").write_text("---\nfile_format: mystnb\n---\n# Page\n")
    book.pages.append("page")
    book.configure()
    result = book.build()
    assert result.returncode != 0
    assert "page is a notebook in Markdown; a chapter must be .ipynb" in result.stdout


@pytest.mark.parametrize(
    ("settings", "env", "message"),
    [
        ({}, {"SPECTRAL_JOBS": "many"}, "SPECTRAL_JOBS must be a whole number"),
        ({"execute_notebooks": "cache"}, {}, 'must be "force" or "off"'),
        ({"allow_errors": True}, {}, "allow_errors would hide"),
    ],
)
def test_bad_settings_stop_the_build(new_book, settings, env, message):
    book = new_book("settings")
    book.add("one", "print('ran')")
    book.configure(**settings)
    result = book.build(env=env)
    assert result.returncode != 0
    assert message in result.stdout
    assert not book.executed.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_kernels_end_with_the_build(new_book, number):
    book = new_book("stopped")
    book.add(
        "long",
        "import os, pathlib, time\n"
        "pathlib.Path('pid').write_text(str(os.getpid()))\n"
        "time.sleep(300)",
    )
    book.configure()
    # A test run in the background may have Ctrl-C switched off, which a child keeps.
    restore = (
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); "
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", restore, *book.command()],
        env=clean_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        note = book.folder / "pid"
        wait_until(lambda: note.exists() and note.read_text())
        process.send_signal(number)
        assert process.wait(timeout=20) != 0
        wait_until(lambda: not is_alive(int(note.read_text())))
    finally:
        process.kill()
        process.wait()
