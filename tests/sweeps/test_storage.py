"""Output folders that cannot be written: a clear error, and nothing marked as done."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from functools import partial

import nbformat
import pytest
from tiny import command, write_sweep, write_tiny

from spectral_book.sweeps import results
from spectral_book.sweeps.errors import StorageError, SweepError
from spectral_book.sweeps.lock import is_locked, locked
from spectral_book.sweeps.manifest import open_manifest
from spectral_book.sweeps.status import status


def mounted(options, folder, *arguments):
    """Run the command with a file system of its own mounted at a folder.

    A name space of its own keeps the mount from everybody else.
    """
    script = 'mount -t tmpfs -o "$0" tmpfs "$1" && shift && exec "$@"'
    inner = [sys.executable, "-m", "spectral_book.sweeps", *map(str, arguments)]
    call = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script]
    return [*call, options, str(folder), *inner]


@pytest.fixture(scope="module")
def can_mount(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mount")
    if shutil.which("unshare") is None:
        pytest.skip("no unshare here")
    ran = subprocess.run(mounted("size=64k", folder, "--help"), capture_output=True)
    if ran.returncode:
        pytest.skip("no mounts here")


def output_of(call):
    ran = subprocess.run(call, capture_output=True, text=True, timeout=100)
    return ran.returncode, ran.stdout + ran.stderr


@pytest.fixture
def sweep(tmp_path):
    """A sweep whose notebooks are too large for a small disk."""
    work = "import os\n" + "print('x' * 60_000)\n" + "def note(event): pass"
    chapter = write_tiny(tmp_path, work=work)
    content = {"chapter": chapter.name, "grid": {"size": [1, 2, 3]}}
    out = tmp_path / "out"
    out.mkdir()
    return write_sweep(tmp_path / "sweep.yaml", content), out


@pytest.mark.usefixtures("can_mount")
def test_a_full_disk(sweep, tmp_path):
    file, out = sweep
    # The results of one point fit, those of two do not. What is there is copied out
    # before the mount ends with its process.
    copy = tmp_path / "copy"
    call = mounted("size=150k", out, "run", file, out, "--jobs", "1")
    keep = 'python -m spectral_book.sweeps "$@"; code=$?; cp -r "$0" "$OUT"; exit $code'
    at = call.index(sys.executable)
    keep = keep.replace("python", sys.executable).replace("$OUT", str(copy))
    call[at:] = ["sh", "-c", keep, str(out), *call[at + 3 :]]
    code, said = output_of(call)
    assert code == 1, said
    assert f"cannot write to {out}: No space left on device; free some space" in said
    assert "Traceback" not in said
    with open_manifest(copy) as manifest:
        states = [row.state for row in manifest.rows()]
    done = [p for p in copy.glob("points/*.json") if results.finished(copy, p.stem)]
    assert states.count("done") == len(done) == 1
    assert states.count("failed") == 0
    for path in copy.glob("points/*"):
        json.loads(path.read_text())
    # With space again, the same command does the rest.
    shutil.rmtree(out)
    copy.rename(out)
    code, said = command("run", file, out)
    assert code == 0, said
    assert "3 of 3 points done" in said
    assert "0/2" in said


@pytest.mark.usefixtures("can_mount")
def test_a_read_only_folder(sweep):
    file, out = sweep
    code, said = output_of(mounted("ro", out, "run", file, out))
    assert code == 1
    assert f"cannot write to {out}: Read-only file system; choose a folder" in said
    assert "Traceback" not in said


def test_a_folder_below_a_file(sweep, tmp_path):
    file, _ = sweep
    (tmp_path / "file").touch()
    code, said = command("run", file, tmp_path / "file" / "out")
    assert code == 1
    assert "Not a directory; choose a folder that can be written" in said


@pytest.fixture
def full_disk(monkeypatch):
    """A disk that is full from the second file on."""
    from spectral_book import files

    written = []

    def replace(source, target):
        if written:
            raise OSError(28, "No space left on device")
        written.append(target)
        return real(source, target)

    real = files.os.replace
    monkeypatch.setattr(files.os, "replace", replace)


@pytest.mark.usefixtures("full_disk")
def test_a_notebook_without_its_record_is_not_done(tmp_path):
    notebook = nbformat.v4.new_notebook()
    with pytest.raises(StorageError, match="free some space"):
        results.store(tmp_path, {"id": "a"}, notebook)
    assert [p.name for p in (tmp_path / "points").iterdir()] == ["a.ipynb"]
    assert results.finished(tmp_path, "a") is None


def test_a_manifest_on_a_full_disk(tmp_path):
    with open_manifest(tmp_path, write=True) as manifest:
        manifest.connection.execute("PRAGMA max_page_count = 4")
        with pytest.raises(StorageError, match="is full; free some space"):
            manifest.note({"long": "x" * 50_000})
        assert manifest.facts() == {}


def test_a_damaged_manifest(tmp_path):
    with open_manifest(tmp_path, write=True) as manifest:
        manifest.note({"long": "x" * 50_000})
        path = manifest.path
    content = path.read_bytes()
    for damaged in (b"no database" * 99, content[:8192] + b"?" * (len(content) - 8192)):
        path.write_bytes(damaged)
        with (
            pytest.raises(SweepError, match="is damaged; remove it"),
            open_manifest(tmp_path, write=True),
        ):
            pytest.fail("a damaged manifest was opened")
        with pytest.raises(SweepError, match="is damaged; remove it"):
            status(tmp_path)


def test_a_manifest_that_another_process_holds(tmp_path, monkeypatch):
    with open_manifest(tmp_path, write=True) as manifest:
        path = manifest.path
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, timeout=0.05))
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(SweepError, match="cannot be read now: database is locked"):
        status(tmp_path)
    holder.close()


def test_a_look_at_the_lock_keeps_no_sweep_from_starting(tmp_path):
    with locked(tmp_path):
        assert is_locked(tmp_path)
    assert not is_locked(tmp_path)
    with open(tmp_path / ".lock") as file:
        fcntl.flock(file, fcntl.LOCK_SH)  # as one who looks does for a moment
        moment = threading.Timer(0.1, fcntl.flock, (file, fcntl.LOCK_UN))
        moment.start()
        with locked(tmp_path):
            moment.join()


def test_a_lock_is_for_one_holder_also_within_a_process(tmp_path):
    out = tmp_path / "out"
    with locked(out), pytest.raises(SweepError, match="in use"), locked(out):
        pytest.fail("two sweeps have one folder")
    with locked(out):
        assert str(os.getpid()) in (out / ".lock").read_text()
