"""Books in which something goes wrong: no build may succeed in silence.

The rows of `broken_book` go wrong in one book, built twice; the rows here cannot be in
it, since they stop a build at its beginning or need none.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from types import MappingProxyType, SimpleNamespace

import nbformat
import pytest
from broken_book import TIMEOUT, TROUBLES
from minibook import REPOSITORY, claim, claim_cell, clean_environment
from sphinx.errors import ConfigError

from spectral_book.claims.ledger import claims_of, repeated_ids
from spectral_book.pages.attachments import with_attachments
from spectral_book.pages.build_lock import lock_folder
from spectral_book.pages.checks import left_out, unlike_claims_file
from spectral_book.pages.draft import drafted_chapter
from spectral_book.pages.settings import checked_budget
from spectral_book.runner import NotebookJob

pytestmark = pytest.mark.processes


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
    for trouble in TROUBLES:
        trouble.done(book)
    directives = ("verdicts", "surprises", "ledger")
    intro = "\n".join(f"```{{{name}}}\n```" for name in directives)
    book.configure(intro, timeout=TIMEOUT)
    book.html.mkdir(parents=True)
    (book.html / "ledger.json").write_text("[]")
    env = {"SPECTRAL_JOBS": "3", "PYTHONPATH": str(library)}
    return book, [book.build(env=env), book.build(env=env)]


def test_every_build_fails(broken):
    _, results = broken
    assert [result.returncode != 0 for result in results] == [True, True]


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.name)
def test_every_trouble_is_named_by_every_build(broken, trouble):
    for result in broken[1]:
        assert trouble.says in result.stdout


def test_other_chapters_run_to_their_end(broken):
    book, results = broken
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
    book, _ = broken
    assert not (book.html / "ledger.json").exists()
    front = (book.html / "intro.html").read_text()
    failed = "raises, sleeps, spins, dies, exits, shows"
    told = f"Incomplete: these chapters failed: {failed}."
    assert front.count(told) == 3  # by each of the three directives
    assert "Every claim that could be judged held" not in front


def test_kernel_deep_in_native_code_is_ended(broken):
    pid = int((broken[0].folder / "spins.pid").read_text())
    assert not is_alive(pid)


def test_a_stored_failure_fails_a_build_that_executes_nothing(broken, new_book):
    book = new_book("stored")
    book.write("raises", broken[0].notebook("raises"))
    bad = broken[0].notebook("fine")
    next(iter(bad.cells[-1].outputs[0].data.values()))[0]["verdict"] = "certainly"
    book.write("fine", bad)
    book.configure("```{ledger}\n```\n", execute_notebooks="off")
    for _ in range(2):
        result = book.build()
        assert result.returncode != 0
        assert "chapter raises failed, cell 3: AssertionError" in result.stdout
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


def settings(environ=MappingProxyType({}), page=False, **changed):
    """Check settings as a build does that begins."""
    usual = {
        "nb_execution_mode": "force",
        "nb_execution_allow_errors": False,
        "nb_execution_excludepatterns": [],
        "spectral_jobs": 0,
        "spectral_threads": 0,
        "master_doc": "alpha",
    }
    known = {} if page else {"external_toc_path": "_toc.yml"}
    checked_budget(Settings(**usual | known | changed), environ)


class Settings(SimpleNamespace):
    def __contains__(self, name):
        return hasattr(self, name)


def claims_in(*rows):
    """Read rows of claims from an executed notebook."""
    kind = "application/vnd.spectral-ledger+json"
    output = nbformat.v4.new_output("display_data", {kind: list(rows)})
    cell = nbformat.v4.new_code_cell("", outputs=[output])
    notebook = nbformat.v4.new_notebook(cells=[cell])
    return claims_of("alpha", notebook)


def attachment(kind, text="![a](attachment:a)"):
    """Show an attachment of a kind."""
    cell = nbformat.v4.new_markdown_cell(text, attachments={"a": {kind: "AAAA"}})
    with_attachments(nbformat.v4.new_notebook(cells=[cell]))


WHOLE = "SPECTRAL_JOBS must be a whole number, 0 (automatic) or more; got "
STARTS = {
    "jobs in words": (lambda: settings({"SPECTRAL_JOBS": "many"}), WHOLE + "'many'"),
    "jobs below none": (lambda: settings({"SPECTRAL_JOBS": "-1"}), WHOLE + "'-1'"),
    "threads of a half": (
        lambda: settings({"SPECTRAL_THREADS": "0.5"}),
        "SPECTRAL_THREADS must be a whole number",
    ),
    "jobs of the settings": (
        lambda: settings(spectral_jobs=True),
        "spectral_jobs must be a whole number",
    ),
    "results of a cache": (
        lambda: settings(nb_execution_mode="cache"),
        'execute_notebooks must be "force" or "off", not \'cache\'',
    ),
    "results where there are some": (
        lambda: settings(nb_execution_mode="auto"),
        'execute_notebooks must be "force" or "off", not \'auto\'',
    ),
    "errors allowed": (
        lambda: settings(nb_execution_allow_errors=True),
        "allow_errors would hide a failing chapter",
    ),
    "a chapter that is not executed": (
        lambda: settings(nb_execution_excludepatterns=["alpha.ipynb"]),
        "execute.exclude_patterns would show results of another time",
    ),
    "a page alone": (
        lambda: settings(page=True),
        "for a draft of one chapter: make page CHAPTER=alpha",
    ),
    "a draft in place of the book": (
        lambda: drafted_chapter(REPOSITORY / "html", {"SPECTRAL_DRAFT": "alpha"}),
        "SPECTRAL_DRAFT is set, but",
    ),
    "a verdict that is none": (
        lambda: claims_in(claim("a", "certainly")),
        "alpha: claim 'a' has the verdict 'certainly', which is none of: replicated",
    ),
    "a claim without a statement": (
        lambda: claims_in(claim("a", statement="")),
        "alpha: claim 'a' has no statement",
    ),
    "a claim without an id": (
        lambda: claims_in(claim("")),
        "alpha: claim '' has no id",
    ),
    "an estimate in words": (
        lambda: claims_in(claim("a", estimate="large")),
        "alpha: claim 'a' has estimate = 'large', not a number",
    ),
    "an estimate that is no number": (
        lambda: claims_in(claim("a", estimate=float("nan"))),
        "alpha: claim 'a': Out of range float values are not JSON compliant",
    ),
    "a control that is a number": (
        lambda: claims_in(claim("a", control=0.5)),
        "alpha: claim 'a' has a control that is no mapping",
    ),
    "a claim that is a number": (
        lambda: claims_in(7),
        "alpha: a claim is int, not a mapping",
    ),
    "a drawing attached": (
        lambda: attachment("image/svg+xml"),
        "the attachment 'a', which its cell does not have as PNG, JPEG, GIF or WebP",
    ),
    "a lost attachment in HTML": (
        lambda: attachment("image/png", '<img src="attachment:b">'),
        "the attachment 'b', which its cell does not have",
    ),
}


@pytest.mark.parametrize("name", STARTS)
def test_what_cannot_be_is_refused_and_named(name):
    done, says = STARTS[name]
    with pytest.raises((ValueError, ConfigError)) as told:
        done()
    assert says in str(told.value)


@pytest.fixture
def alpha(new_book):
    """A chapter of one claim, and its book."""
    book = new_book("compared")
    book.add("alpha", claim_cell(claim("alpha-one")))
    return book, NotebookJob("alpha", book.folder / "alpha.ipynb")


def test_a_chapter_that_publishes_its_claims_is_in_order(alpha):
    book, chapter = alpha
    assert unlike_claims_file(chapter, [claim("alpha-one")]) == []
    assert left_out(book.folder, [chapter]) == []


def test_claims_without_a_file_and_a_file_that_is_none_are_named(alpha):
    book, chapter = alpha
    path = book.folder / "claims" / "alpha.yaml"
    path.write_text("chapter: alpha\nclaims: 7\n")
    (told,) = unlike_claims_file(chapter, [claim("alpha-one")])
    assert f"chapter alpha: The claims file {path} is not valid" in told
    path.unlink()
    (told,) = unlike_claims_file(chapter, [claim("alpha-one")])
    assert "chapter alpha publishes claims, but there is no claims/alpha.yaml" in told
    assert unlike_claims_file(chapter, []) == []


def test_an_id_of_two_claims_is_named():
    rows = [claim("a") | {"page": page} for page in ("one", "two")]
    assert repeated_ids(rows) == ["claim id 'a' is used 2 times: in one, two"]


@pytest.fixture(scope="module")
def small(new_book):
    """A book that would build well, if it began."""
    book = new_book("small")
    book.add("alpha", "print('ran')")
    book.configure()
    return book


def refused(result):
    """Return the one sentence that a build ended with before it did anything."""
    assert result.returncode != 0
    assert "Traceback" not in result.stdout
    return result.stdout.splitlines()[-1]


def test_a_bad_setting_stops_a_build_with_one_sentence(small):
    told = refused(small.build(env={"SPECTRAL_JOBS": "many"}))
    assert told == f"error: {WHOLE}'many'"
    assert not small.executed.exists()


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
    told = refused(small.build())
    lock.release()
    assert f"another build writes to {small.html.parent}: process {os.getpid()}" in told
    assert not small.executed.exists()
    lock_folder(small.html.parent).release()


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
