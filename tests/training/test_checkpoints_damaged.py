"""Files that are damaged or lost, and places that cannot be written to."""

import random
import resource
import shutil
import warnings
from types import SimpleNamespace

import pytest
import torch
from small_runs import (
    EPOCHS,
    STEPS,
    arguments,
    assert_equal,
    at_each_epoch,
    counted,
    run_case,
)

from spectral_lib.training.checkpoints import Checkpoint, CheckpointFile
from spectral_lib.training.loop import Probe, train

# --- what is damaged ----------------------------------------------------------------

ADAM = "adam, cosine, dropout, stacked"


@pytest.fixture(scope="module")
def undisturbed():
    return run_case(ADAM)


def truncated(content, draw):
    return content[: draw.randrange(len(content))]


def altered(content, draw):
    at = draw.randrange(len(content))
    return (
        content[:at] + bytes([content[at] ^ 1 << draw.randrange(8)]) + content[at + 1 :]
    )


@pytest.mark.usefixtures("quick_disk")
@pytest.mark.parametrize("damage", [truncated, altered])
def test_damage_never_changes_the_result(damage, begun, undisturbed, tmp_path):
    draw, noticed = random.Random(3), 0
    for attempt in range(10):
        folder = shutil.copytree(begun, tmp_path / str(attempt))
        path = folder / "run.pt"
        path.write_bytes(damage(path.read_bytes(), draw))
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            assert_equal(run_case(ADAM, path), undisturbed)
        noticed += bool(told)
        if told:
            assert "run.pt is damaged" in str(told[0].message)
            assert "trying run.pt.previous" in str(told[0].message)
            assert "going on from the older" in str(told[1].message)
            assert (folder / "run.pt.damaged").exists()
    assert noticed == 10 or (damage is altered and noticed > 3)


def heavier(content):
    content["state"]["weights"][1, 7] += 1e-3


def renamed(content):
    content["fingerprint"]["threads"] = "9"  # not to be taken for another run's


@pytest.mark.parametrize("alter", [heavier, renamed])
def test_files_that_torch_does_not_doubt_are_checked(
    alter, begun, undisturbed, tmp_path, monkeypatch
):
    folder = shutil.copytree(begun, tmp_path / "copy")
    path = folder / "run.pt"
    content = torch.load(path, weights_only=True)
    alter(content)
    torch.save(content, path)
    with counted(monkeypatch) as steps, pytest.warns(RuntimeWarning) as told:
        assert_equal(run_case(ADAM, path), undisturbed)
    assert "does not match its hash" in str(told[0].message)
    assert len(steps) == (EPOCHS - 6) * STEPS  # from epoch 6, the one before 7


def test_two_damaged_files_start_anew(begun, undisturbed, tmp_path, monkeypatch):
    folder = shutil.copytree(begun, tmp_path / "copy")
    for name in ("run.pt", "run.pt.previous"):
        (folder / name).write_bytes(b"nothing of that kind")
    with counted(monkeypatch) as steps, pytest.warns(RuntimeWarning) as told:
        assert_equal(run_case(ADAM, folder / "run.pt"), undisturbed)
    assert "training starts anew" in str(told[-1].message)
    assert len(steps) == EPOCHS * STEPS


def test_a_lost_file_leaves_the_previous_one(begun, undisturbed, tmp_path):
    folder = shutil.copytree(begun, tmp_path / "copy")
    (folder / "run.pt").unlink()
    with pytest.warns(RuntimeWarning, match="older checkpoint .*run.pt.previous"):
        assert_equal(run_case(ADAM, folder / "run.pt"), undisturbed)


# --- what cannot be written ---------------------------------------------------------


def test_unwritable_places_are_told_before_training(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    torch.save({"weights": torch.ones(3)}, tmp_path / "mine.pt")
    mine = (tmp_path / "mine.pt").read_bytes()

    def refused(path, words):
        with counted(monkeypatch, stop=0), pytest.raises(ValueError, match=words):
            run_case(ADAM, path)

    refused(tmp_path / "file" / "run.pt", "cannot be written to .*file")
    refused(tmp_path, "is a folder")
    refused(tmp_path / "mine.pt", "not a checkpoint")
    assert (tmp_path / "mine.pt").read_bytes() == mine
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=99))
    refused(tmp_path / "run.pt", "0 MB left")
    with pytest.raises(ValueError, match="seconds"):
        Checkpoint("x", seconds=-1)
    with pytest.raises(ValueError, match="share"):
        Checkpoint("x", share=0)


def test_a_folder_lost_in_training_costs_a_warning_not_the_run(tmp_path, undisturbed):
    ensemble, data, how, probes = arguments(ADAM)
    folder = tmp_path / "folder"
    plain = probes["few"].measure

    def remove_and_measure(ensemble):
        shutil.rmtree(folder, ignore_errors=True)
        return plain(ensemble)

    probes = {**probes, "few": Probe(remove_and_measure, probes["few"].epochs)}
    with pytest.warns(RuntimeWarning, match="could not be saved; training goes on"):
        run = train(
            ensemble, data, how, probes, checkpoint=at_each_epoch(folder / "run.pt")
        )
    assert_equal(run, undisturbed)


def test_a_full_disk_costs_a_warning_and_keeps_the_old_file(tmp_path):
    file = CheckpointFile(tmp_path / "run.pt", Checkpoint(""), {"a": "b"})
    file.save({"weights": torch.arange(9)})
    before = file.path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.warns(RuntimeWarning, match="could not be saved"):
            file.save({"weights": torch.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert file.path.read_bytes() == before
    assert [f.name for f in tmp_path.iterdir()] == ["run.pt"]
    assert torch.equal(file.load()["weights"], torch.arange(9))
