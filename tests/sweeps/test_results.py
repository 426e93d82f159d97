"""The files of points, and folders that cannot be written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import nbformat
import pytest
from tiny import called, records, write_sweep, write_tiny

from spectral_book import files
from spectral_book.readable import InputError, SweepStopped
from spectral_book.sweeps.collect import collect, status
from spectral_book.sweeps.results import (
    hold,
    is_running,
    notebook_path,
    read_record,
    read_request,
    records_of,
    store,
    stored_ids,
    write_request,
)


def edited(text):
    record = json.loads(text)
    record["claims"][0]["estimate"] += 1
    return json.dumps(record, indent=1)


@pytest.mark.parametrize(
    ("ending", "change"),
    [
        (".json", lambda text: text[:99]),
        (".json", edited),
        (".json", lambda text: "[]"),
        (".ipynb", lambda text: "{}"),
        (".ipynb", lambda text: ""),
        (".ipynb", None),
    ],
)
def test_a_point_whose_files_are_not_as_stored_is_not_done(done, ending, change):
    name = stored_ids(done)[0]
    path = notebook_path(done, name).with_suffix(ending)
    assert name in set(collect(done)["point"])
    if change is None:
        path.unlink()
    else:
        path.write_text(change(path.read_text()))
    assert read_record(done, name) is None
    assert status(done).counts == {"done": 7, "failed": 0, "pending": 1}
    assert name not in set(collect(done)["point"])


def test_a_record_under_another_name_is_none(done):
    path = notebook_path(done, stored_ids(done)[0])
    for copied in (path, path.with_suffix(".json")):
        shutil.copy(copied, copied.with_stem("other"))
    assert read_record(done, "other") is None


def test_points_are_those_asked_for_and_those_done_before(done):
    ids = [name for name, _ in records_of(done)]
    write_request(done, "tiny", "chapter", [ids[3], "new-0123456789"])
    record = read_record(done, ids[5]) | {"state": "failed"}
    store(done, record, nbformat.v4.new_notebook())
    found = dict(records_of(done))
    assert list(found)[:2] == [ids[3], "new-0123456789"]
    assert found["new-0123456789"] is None
    assert set(found) == {*ids, "new-0123456789"} - {ids[5]}


def test_a_damaged_request_says_what_to_do(done):
    (done / "sweep.json").write_text("{")
    with pytest.raises(InputError, match="remove it and run the sweep again"):
        read_request(done)


def test_a_folder_is_for_one_holder_also_within_a_process(tmp_path):
    out = tmp_path / "out"
    left = [out / "points/.half.ipynb.x7", out / ".keys-x/tls_worker_key.pem"]
    for path in left:  # by a process that was killed
        path.parent.mkdir(parents=True)
        path.touch()
    with hold(out) as token:
        assert not any(path.exists() for path in left)
        assert is_running(out, token)
        assert not is_running(out, "another")
        with pytest.raises(InputError, match=f"process {os.getpid()} on"), hold(out):
            pytest.fail("two sweeps have one folder")
        assert is_running(out, token)
    assert not is_running(out, token)


def test_a_notebook_without_its_record_is_not_done(tmp_path, monkeypatch):
    written, replace = [], os.replace

    def full_from_the_second_file_on(source, target):
        if written:
            raise OSError(28, "No space left on device")
        written.append(target)
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", full_from_the_second_file_on)
    with pytest.raises(SweepStopped, match="free some space"):
        store(tmp_path, {"id": "a"}, nbformat.v4.new_notebook())
    assert [p.name for p in (tmp_path / "points").iterdir()] == ["a.ipynb"]
    assert read_record(tmp_path, "a") is None


def mounted(options, folder, *arguments):
    """Run the command with a file system of its own mounted at a folder.

    A name space of its own keeps the mount from everybody else.
    """
    script = 'mount -t tmpfs -o "$0" tmpfs "$1" && shift && exec "$@"'
    inner = [sys.executable, "-m", "spectral_book.sweeps.cli", *map(str, arguments)]
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
    ran = subprocess.run(call, capture_output=True, text=True, timeout=400)
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


@pytest.mark.processes
@pytest.mark.usefixtures("can_mount")
def test_a_full_disk(sweep, tmp_path):
    file, out = sweep
    # The results of one point fit, those of two do not. What is there is copied out
    # before the mount ends with its process.
    copy = tmp_path / "copy"
    call = mounted("size=120k", out, "run", file, out, "--jobs", "1")
    at = call.index(sys.executable)
    keep = f'"$@"; code=$?; cp -r "$0" "{copy}"; exit $code'
    call[at:] = ["sh", "-c", keep, str(out), *call[at:]]
    code, said = output_of(call)
    assert code == 1, said
    assert f"cannot write to {out}: No space left on device; free some space" in said
    assert "Traceback" not in said
    (record,) = records(copy).values()
    assert record["state"] == "done"
    # With space again, the same command does the rest.
    shutil.rmtree(out)
    copy.rename(out)
    code, said = called("run", file, out)
    assert code == 0, said
    assert "3 points: 3 done" in said
    assert "0/2" in said


@pytest.mark.processes
@pytest.mark.usefixtures("can_mount")
def test_folders_that_cannot_be_written(sweep, tmp_path):
    file, out = sweep
    (tmp_path / "file").touch()
    for (code, said), words in (
        (output_of(mounted("ro", out, "run", file, out)), "Read-only file system"),
        (called("run", file, tmp_path / "file" / "out"), "Not a directory"),
    ):
        assert code == 1
        assert f"{words}; choose a folder that can be written" in said
        assert "Traceback" not in said
