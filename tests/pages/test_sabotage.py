"""Books in which something goes wrong: no build may succeed in silence.

The rows of `broken_book` go wrong in one book, built twice; those of `refusals` stop a
build at its beginning or need none.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import nbformat
import pytest
from broken_book import SAYS, TIMEOUT, break_all
from minibook import REPOSITORY, claim, claim_cell, clean_environment
from refusals import REFUSALS
from rows import published
from sphinx.errors import SphinxError

from spectral_book.claims.ledger import MIME_TYPE
from spectral_book.kernels import remove_abandoned
from spectral_book.pages.checks import left_out, unlike_claims_file
from spectral_book.pages.ledger_files import LEDGER_FILES
from spectral_book.pages.settings import lock_folder
from spectral_book.runner import NotebookJob


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
def broken(new_book, tmp_path_factory):
    """The book of all troubles, built twice with a copy of the library."""
    library = tmp_path_factory.mktemp("library")
    for package in ("spectral_lib", "spectral_book"):
        shutil.copytree(REPOSITORY / package, library / package)
    book = new_book("broken")
    book.add("fine", "print('all', 'well')", claim_cell(claim("fine-one")))
    break_all(book)
    directives = ("verdicts", "ledger")
    intro = "\n".join(f"```{{{name}}}\n```" for name in directives)
    intro += "\n\n```{claim-example} raises-one\n```"
    book.configure(intro, timeout=TIMEOUT)
    book.html.mkdir(parents=True)
    for name in LEDGER_FILES:
        (book.html / name).write_text("[]")
    env = {"SPECTRAL_JOBS": "3", "PYTHONPATH": str(library)}
    results = [book.build(env=env), book.build(env=env)]
    (book.folder / "build.log").write_text(results[0].stdout)
    return book, results


def test_every_build_fails(broken):
    _, results = broken
    assert [result.returncode != 0 for result in results] == [True, True]


@pytest.mark.parametrize("told", SAYS)
def test_every_trouble_is_named_by_every_build(broken, told):
    for result in broken[1]:
        assert told in result.stdout


def test_other_chapters_run_to_their_end(broken):
    book, results = broken
    assert "all well" in (book.html / "fine.html").read_text()
    assert "all well" in book.printed("fine")
    assert "chapter fine failed" not in results[1].stdout


@pytest.mark.parametrize(
    ("name", "error"), [("raises", "AssertionError"), ("spins", "CellTimeoutError")]
)
def test_failed_page_shows_the_error(broken, name, error):
    page = (broken[0].html / f"{name}.html").read_text()
    assert error in page
    assert "neverreached" not in page


def test_no_ledger_of_a_failed_build(broken):
    book, _ = broken
    assert not list(book.html.glob("ledger*"))
    front = (book.html / "intro.html").read_text().partition("<body")[2]
    told = "Incomplete: these chapters failed: raises, spins."
    assert front.count(told) == 2  # by each of the two directives
    assert "The claim raises-one has no result in this build." in front


def test_kernel_deep_in_native_code_is_ended(broken):
    pid = int((broken[0].folder / "spins.pid").read_text())
    assert not is_alive(pid)


def stored(book, name, output):
    """Add a chapter that was executed and left an output."""
    book.add(name, "left = True")
    notebook = nbformat.read(book.folder / f"{name}.ipynb", as_version=4)
    notebook.cells[1] |= {"outputs": [output], "execution_count": 1}
    book.write(name, notebook)


def test_stored_failures_fail_a_build_that_executes_nothing(new_book):
    book = new_book("stored")
    error = {"ename": "ValueError", "evalue": "no", "traceback": ["ValueError: no"]}
    stored(book, "raises", nbformat.v4.new_output("error", **error))
    bad = published(claim("bad-one") | {"verdict": "certainly"})
    stored(book, "bad", nbformat.v4.new_output("display_data", {MIME_TYPE: bad}))
    no_run = published(claim("fine-one"))
    del no_run["run"]["parameters"]
    stored(book, "no-run", nbformat.v4.new_output("display_data", {MIME_TYPE: no_run}))
    book.configure("```{ledger}\n```\n\n{ref}`nowhere`\n", execute_notebooks="off")
    result = book.build()
    assert result.returncode != 0
    assert "chapter raises failed, cell 2: ValueError: no" in result.stdout
    assert "claim 'bad-one': the verdict 'certainly' is not the" in result.stdout
    assert "no-run: its run: Field 'parameters' is missing" in result.stdout
    assert "ERROR: page intro.md, line 6: undefined label" in result.stdout
    assert not list(book.html.glob("ledger*"))


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.name)
def test_what_cannot_be_is_named_without_a_build(refusal, tmp_path):
    try:
        told = refusal.done(tmp_path)
    except (ValueError, SphinxError) as error:
        told = [str(error)]
    assert any(refusal.says in line for line in told)


def test_a_chapter_that_publishes_its_claims_is_in_order(new_book):
    book = new_book("compared")
    book.add("alpha", claim_cell(claim("alpha-one")))
    chapter = NotebookJob("alpha", book.folder / "alpha.ipynb")
    assert unlike_claims_file(chapter, [claim("alpha-one")]) == []
    assert left_out(book.folder, [chapter]) == []
    # A page without claims needs no file of them.
    assert unlike_claims_file(NotebookJob("beta", book.folder / "beta.ipynb"), []) == []


@pytest.fixture(scope="module")
def small(new_book):
    """A book that would build well, if it began."""
    book = new_book("small")
    book.add("alpha", "print('ran')")
    book.configure()
    return book


def test_a_page_alone_is_refused_with_one_sentence(small):
    page = small.folder / "alpha.ipynb"
    command = [*small.command()[:-1], str(page)]
    ran = subprocess.run(
        command, env=clean_environment(), capture_output=True, text=True, check=False
    )
    assert ran.returncode != 0
    assert ran.stderr.splitlines()[-1].endswith("make page CHAPTER=alpha")
    assert "Traceback" not in ran.stderr


def test_a_second_build_is_refused_with_the_number_of_the_first_one_s_process(small):
    lock = lock_folder(small.html.parent)
    result = small.build()
    lock.release()
    assert result.returncode != 0
    assert "Traceback" not in result.stdout
    told = result.stdout.splitlines()[-1]
    assert told.startswith("error: ")
    assert f"another build writes to {small.html.parent}: process {os.getpid()}" in told
    assert not small.executed.exists()
    lock_folder(small.html.parent).release()


@pytest.mark.processes
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_outlives_a_build_by_long(new_book, number, monkeypatch):
    book = new_book("stopped")
    book.add(
        "long",
        "import os, pathlib, time\n"
        "pathlib.Path('pid').write_text(str(os.getpid()))\n"
        "time.sleep(300)",
    )
    book.configure()
    temporary = book.folder / "t"
    temporary.mkdir()
    # A test run in the background may have Ctrl-C switched off, which a child keeps.
    restore = (
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); "
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", restore, *book.command()],
        env=clean_environment() | {"TMPDIR": str(temporary)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        note = book.folder / "pid"
        wait_until(lambda: note.exists() and note.read_text())
        process.send_signal(number)
        assert process.wait(timeout=20) != 0
        wait_until(lambda: not is_alive(int(note.read_text())))
        # Who is killed leaves a folder; whoever comes next removes it.
        assert bool(list(temporary.glob("kernel-*"))) == (number != signal.SIGINT)
        monkeypatch.setattr(tempfile, "tempdir", str(temporary))
        remove_abandoned()
        assert not list(temporary.glob("kernel-*"))
    finally:
        process.kill()
        process.wait()
