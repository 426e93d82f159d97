"""Runs that are killed, files that are damaged or foreign, and what is not redone."""

import importlib
import multiprocessing
import os
import pickle
import random
import re
import resource
import shutil
import signal
import time
import warnings
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from small_runs import (
    CASES,
    EPOCHS,
    STEPS,
    arguments,
    assert_equal,
    at_each_epoch,
    batch_norm_net,
    counted,
    interrupt,
    run_case,
)
from tqdm import tqdm

from spectral_lib.training import checkpoints, loop
from spectral_lib.training.checkpoints import FOLDER, Checkpoint, CheckpointFile
from spectral_lib.training.ensemble import initialise
from spectral_lib.training.loop import train
from spectral_lib.training.optimizers import Optimizer
from spectral_lib.training.runs import Readings

ADAM = "adam, cosine, dropout, stacked"
BATCH_NORM = "batch norm, nesterov, in turn"


@pytest.fixture(scope="module")
def undisturbed():
    """Runs that nobody disturbed."""
    return {case: run_case(case) for case in CASES}


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """The files of a run that was interrupted in its eighth epoch."""
    folder = tmp_path_factory.mktemp("begun")
    with pytest.MonkeyPatch.context() as patch:
        interrupt(patch, 7 * STEPS + 3, ADAM, folder / "run.pt")
    return folder


@pytest.fixture
def copy(begun, tmp_path):
    """A copy of these files."""
    return shutil.copytree(begun, tmp_path / "copy") / "run.pt"


@pytest.fixture
def quick_disk(monkeypatch):
    """No waiting for the disk, where no machine stops."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


# --- what is read and written ---------------------------------------------------------


def test_a_finished_run_is_read_and_nothing_is_done_again(
    tmp_path, monkeypatch, capsys
):
    path = tmp_path / "run.pt"
    first = run_case(BATCH_NORM, path)
    assert not capsys.readouterr().out
    files = {f.name: f.stat().st_mtime_ns for f in tmp_path.iterdir()}
    assert {"run.0.pt", "run.1.pt"} < files.keys()
    monkeypatch.setattr(Readings, "add", None)
    with counted(monkeypatch, stop=0):
        again = run_case(BATCH_NORM, path)
    assert_equal(first, again)
    assert again.seconds == first.seconds
    assert files == {f.name: f.stat().st_mtime_ns for f in tmp_path.iterdir()}
    assert capsys.readouterr().out.splitlines() == [
        f"read from {tmp_path}/run.{r}.pt, epoch 12 of 12" for r in (0, 1)
    ]


def test_files_hold_data_only_and_both_states_are_whole(copy, capsys, monkeypatch):
    bars = []
    # Continuous integration shows no bars, and those count nothing.
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(loop, "tqdm", lambda **how: bars.append(tqdm(**how)) or bars[0])
    assert {f.name for f in copy.parent.iterdir()} == {"run.pt", "run.pt.previous"}
    for name, epoch in (("run.pt", 7), ("run.pt.previous", 6)):
        state = torch.load(copy.with_name(name), weights_only=True)["state"]
        assert state["epoch"] == len(state["losses"]) == epoch
        assert state["steps"] == epoch * STEPS
        assert state["moments"].keys() == {"mean", "square"}
    run_case(ADAM, copy)
    assert f"read from {copy}, epoch 7 of 12\n" == capsys.readouterr().out
    assert not torch.load(copy, weights_only=True)["state"]["moments"]
    assert bars[0].n == bars[0].total == EPOCHS * STEPS


def test_seconds_add_up_over_interruptions(copy):
    content = torch.load(copy, weights_only=True)
    content["state"]["seconds"] += 1000.0
    content["digest"] = checkpoints._digest(content)
    torch.save(content, copy)
    assert 1000 < run_case(ADAM, copy).seconds < 1100


def test_saves_wait_for_their_time(tmp_path, monkeypatch):
    clock = SimpleNamespace(now=0.0, perf_counter=lambda: clock.now)
    monkeypatch.setattr(checkpoints, "time", clock)
    file = CheckpointFile(tmp_path / "x.pt", 60.0, {})
    for start in (0, 100):
        clock.now = start + 59
        assert not file.due()
        clock.now = start + 60
        assert file.due()
        clock.now = 100
        file.save({})


def test_a_folder_in_the_environment_serves_all_runs(tmp_path, monkeypatch):
    folder = tmp_path / "new" / "folder"
    monkeypatch.setenv(FOLDER, str(folder))
    ensemble, data, how, probes = arguments(ADAM)
    both = (how, replace(how, batch_size=11))
    runs = [train(ensemble, data, h, probes, label="Net (a)") for h in both]
    names = sorted(f.name for f in folder.iterdir())
    assert len(names) == 2
    assert all(re.fullmatch(r"net-a-[0-9a-f]{12}\.pt", name) for name in names)
    with counted(monkeypatch, stop=0):
        for run, h in zip(runs, both, strict=True):
            assert_equal(run, train(ensemble, data, h, probes, label="Net (a)"))
    named = Checkpoint(tmp_path / "named.pt")
    train(ensemble, data, how, probes, checkpoint=named)
    assert named.path.exists()
    assert len(list(folder.iterdir())) == 2


def test_replicas_in_turn_share_their_files_with_other_ensembles(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER, str(tmp_path))
    _, data, how, probes = arguments(BATCH_NORM)

    def run(*seeds):
        start = initialise(batch_norm_net, seeds, stacked=False)
        return train(start, data, how, probes)

    with counted(monkeypatch) as steps:
        run(3, 4)
        both = run(4, 3, 5)
    assert len(steps) == 3 * EPOCHS * STEPS
    monkeypatch.delenv(FOLDER)
    assert_equal(both, run(4, 3, 5))


# --- kills and interruptions ----------------------------------------------------------

PRELOADED = "pytest", "spectral_lib.training.loop", "spectral_lib.data.augmentations"


def processes():
    """A source of fresh processes that need not import torch each time."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*PRELOADED])
    return context


def slow_child(case, path, saves):
    torch.set_num_threads(1)
    step, save = Optimizer.step, CheckpointFile.save

    def slow_step(*args):
        time.sleep(0.004)  # so that the parent can hit it
        step(*args)

    def counted_save(self, state):
        save(self, state)
        saves.release()

    Optimizer.step, CheckpointFile.save = slow_step, counted_save
    run_case(case, path)


@pytest.mark.parametrize("case", CASES)
def test_killed_processes_end_as_if_nothing_had_happened(
    case, undisturbed, tmp_path, monkeypatch
):
    context, draw, codes = processes(), random.Random(case), []
    path = tmp_path / "run.pt"
    for _ in range(4):
        saves = context.Semaphore(0)
        process = context.Process(target=slow_child, args=(case, path, saves))
        process.start()
        for _ in range(draw.randrange(3)):
            while not saves.acquire(timeout=0.05) and process.is_alive():
                pass
        process.join(draw.uniform(0, 0.03))
        process.kill()
        process.join()
        codes.append(process.exitcode)
    assert set(codes) <= {-9, 0}, codes
    assert codes.count(-9) >= 2, codes
    with counted(monkeypatch) as steps:
        assert_equal(run_case(case, path), undisturbed[case])
    assert len(steps) <= STEPS * (EPOCHS * (1 if CASES[case][2] else 2) - 3)


def child_that_dies_saving(case, path, module, name, call):
    torch.set_num_threads(1)
    owner = importlib.import_module(module)
    plain, calls = getattr(owner, name), []

    def deadly(*args):
        calls.append(args)
        if len(calls) < call:
            return plain(*args)
        if name == "save":  # half of the file gets to the disk
            plain(*args)
            args[1].truncate(args[1].tell() // 2)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, deadly)
    run_case(case, path)


@pytest.mark.parametrize(
    ("module", "name", "call"),
    [
        ("torch", "save", 3),
        ("os", "fsync", 3),
        ("os", "replace", 4),
        ("os", "replace", 5),
    ],
)
def test_a_kill_in_the_middle_of_a_save_loses_one_epoch(
    module, name, call, undisturbed, tmp_path, monkeypatch
):
    path = tmp_path / "run.pt"
    args = (ADAM, path, module, name, call)
    process = processes().Process(target=child_that_dies_saving, args=args)
    process.start()
    process.join()
    assert process.exitcode == -9
    with counted(monkeypatch) as steps:  # any warning would be an error
        assert_equal(run_case(ADAM, path), undisturbed[ADAM])
    assert len(steps) == STEPS * (EPOCHS - 2)
    assert {f.name for f in tmp_path.iterdir()} == {"run.pt", "run.pt.previous"}


@pytest.mark.usefixtures("quick_disk")
@pytest.mark.parametrize(("case", "moments"), [*zip(CASES, (4, 12, 5, 3), strict=True)])
def test_interruptions_at_random_moments_lose_less_than_an_epoch(
    case, moments, undisturbed, tmp_path, monkeypatch
):
    total = EPOCHS * STEPS * (1 if CASES[case][2] else 2)
    for stop in random.Random(case).sample(range(total), moments):
        path = tmp_path / str(stop) / "run.pt"
        interrupt(monkeypatch, stop, case, path)
        with counted(monkeypatch) as steps:
            resumed = run_case(case, path)
        assert len(steps) == total - stop // STEPS * STEPS
        assert_equal(resumed, undisturbed[case])


# --- damage ---------------------------------------------------------------------------


def truncated(content, draw):
    return content[: draw.randrange(len(content))]


def altered(content, draw):
    at = draw.randrange(len(content))
    bit = bytes([content[at] ^ 1 << draw.randrange(8)])
    return content[:at] + bit + content[at + 1 :]


@pytest.mark.usefixtures("quick_disk")
@pytest.mark.parametrize("damage", [truncated, altered])
def test_damage_never_changes_the_result(damage, begun, undisturbed, tmp_path, capsys):
    draw, noticed = random.Random(3), 0
    for attempt in range(10):
        path = shutil.copytree(begun, tmp_path / str(attempt)) / "run.pt"
        path.write_bytes(damage(path.read_bytes(), draw))
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            assert_equal(run_case(ADAM, path), undisturbed[ADAM])
        noticed += bool(told)
        if told:
            assert "run.pt is damaged" in str(told[0].message)
            assert "now called run.pt.damaged" in str(told[0].message)
            assert path.with_name("run.pt.damaged").exists()
            assert "run.pt.previous, epoch 6 of 12" in capsys.readouterr().out
    assert noticed == 10 or (damage is altered and noticed > 3)


def heavier(content):
    content["state"]["weights"][1, 7] += 1e-3


def renamed(content):
    content["key"]["threads"] = "9"  # not to be taken for another run's


@pytest.mark.parametrize("alter", [heavier, renamed])
def test_files_that_torch_does_not_doubt_are_checked(
    alter, copy, undisturbed, monkeypatch
):
    content = torch.load(copy, weights_only=True)
    alter(content)
    torch.save(content, copy)
    with counted(monkeypatch) as steps, pytest.warns(RuntimeWarning) as told:
        assert_equal(run_case(ADAM, copy), undisturbed[ADAM])
    assert "does not match its hash" in str(told[0].message)
    assert len(steps) == (EPOCHS - 6) * STEPS  # from epoch 6, the one before 7


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_a_pickle_that_runs_code_is_set_aside_and_does_not_run(
    copy, undisturbed, tmp_path, monkeypatch
):
    harm = str(tmp_path / "harm")
    torch.save(Evil(harm), copy)
    plain = pickle.dumps(Evil(harm), protocol=2)
    copy.with_name("run.pt.previous").write_bytes(plain)
    with counted(monkeypatch) as steps, pytest.warns(RuntimeWarning) as told:
        assert_equal(run_case(ADAM, copy), undisturbed[ADAM])
    assert ["is damaged" in str(each.message) for each in told] == [True, True]
    assert len(steps) == EPOCHS * STEPS  # with both set aside it starts anew
    assert not os.path.exists(harm)


# --- foreign files and places that cannot be written to -------------------------------


def test_a_file_of_another_run_is_refused_before_training(copy, monkeypatch):
    before = copy.read_bytes()
    ensemble, data, how, probes = arguments(ADAM)
    other = replace(how, batch_size=9)
    with (
        counted(monkeypatch, stop=0),
        pytest.raises(ValueError, match="another run") as e,
    ):
        train(ensemble, data, other, probes, checkpoint=at_each_epoch(copy))
    first, difference, last = str(e.value).splitlines()
    assert str(copy) in first
    assert difference == "  batch_size: 10 then, 9 now"
    assert "delete the file and run.pt.previous" in last
    assert copy.read_bytes() == before


def test_the_second_file_of_a_run_is_checked_before_the_first_trains(
    copy, tmp_path, monkeypatch
):
    copy.rename(tmp_path / "run.1.pt")
    with counted(monkeypatch, stop=0), pytest.raises(ValueError, match=r"run\.1\.pt"):
        run_case(BATCH_NORM, tmp_path / "run.pt")


def test_unwritable_places_are_told_before_training(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    torch.save({"weights": torch.ones(3)}, tmp_path / "mine.pt")
    mine = (tmp_path / "mine.pt").read_bytes()
    for path, words in (
        (tmp_path / "file" / "run.pt", "cannot be written to .*file"),
        (tmp_path, "is a folder"),
        (tmp_path / "mine.pt", "not a checkpoint"),
    ):
        with counted(monkeypatch, stop=0), pytest.raises(ValueError, match=words):
            run_case(ADAM, path)
    assert (tmp_path / "mine.pt").read_bytes() == mine
    with pytest.raises(ValueError, match="seconds"):
        Checkpoint("x", seconds=-1)


def test_a_full_disk_costs_a_warning_and_keeps_the_old_file(tmp_path):
    file = CheckpointFile(tmp_path / "run.pt", 60.0, {"a": "b"})
    file.save({"weights": torch.arange(9), "epoch": 1, "epochs": 2})
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
