"""What a checkpoint holds, when it is saved, and what is not done again."""

import dataclasses
import re
import time
from types import SimpleNamespace

import torch
from small_runs import (
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

from spectral_lib.training import checkpoints
from spectral_lib.training.checkpoints import FOLDER, Checkpoint, CheckpointFile
from spectral_lib.training.ensemble import initialise
from spectral_lib.training.loop import train


def test_a_finished_run_is_read_and_nothing_is_done_again(tmp_path, monkeypatch):
    case, path = "batch norm, nesterov, in turn", tmp_path / "run.pt"
    first = run_case(case, path)
    files = {f.name: f.stat().st_mtime_ns for f in tmp_path.iterdir()}
    assert {"run.0.pt", "run.1.pt"} < files.keys()
    ensemble, data, how, probes = arguments(case)
    monkeypatch.setattr("spectral_lib.training.loop.measure", None)
    with counted(monkeypatch, stop=0):
        again = train(ensemble, data, how, probes, checkpoint=at_each_epoch(path))
    assert_equal(first, again)
    assert again.seconds == first.seconds
    assert files == {f.name: f.stat().st_mtime_ns for f in tmp_path.iterdir()}


def test_a_file_holds_data_only_and_both_states_are_whole(tmp_path, monkeypatch):
    case, path = "adam, cosine, dropout, stacked", tmp_path / "run.pt"
    interrupt(monkeypatch, 5 * STEPS + 1, case, path)
    assert {f.name for f in tmp_path.iterdir()} == {"run.pt", "run.pt.previous"}
    for name, epoch in (("run.pt", 5), ("run.pt.previous", 4)):
        state = torch.load(tmp_path / name, weights_only=True)["state"]
        assert state["epoch"] == epoch
        assert state["optimizer"]["steps"] == epoch * STEPS
        assert len(state["losses"]) == epoch


def test_seconds_add_up_over_interruptions(tmp_path, monkeypatch):
    case, path = "adam, cosine, dropout, stacked", tmp_path / "run.pt"
    interrupt(monkeypatch, 5 * STEPS, case, path)
    content = torch.load(path, weights_only=True)
    content["state"]["seconds"] += 1000.0
    content["digest"] = checkpoints._digest(content)
    torch.save(content, path)
    assert 1000 < run_case(case, path).seconds < 1100


def test_saves_wait_for_their_time_and_for_their_share(tmp_path, monkeypatch):
    clock = SimpleNamespace(now=0.0, perf_counter=lambda: clock.now, time=time.time)
    monkeypatch.setattr(checkpoints, "time", clock)
    file = CheckpointFile(tmp_path / "x.pt", Checkpoint("", 60.0, share=0.05), {})

    def slow_save(content, stream):
        clock.now += 6

    monkeypatch.setattr(torch, "save", slow_save)
    clock.now = 59
    assert not file.due()
    clock.now = 60
    assert file.due()
    file.save({})  # takes until 66, which is 5 % of what ends at 66 + 114
    clock.now = 66 + 113
    assert not file.due()
    clock.now = 66 + 114
    assert file.due()


def test_without_a_checkpoint_there_is_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(FOLDER, raising=False)
    run_case("diverging, stacked")
    assert not list(tmp_path.iterdir())


def test_a_folder_in_the_environment_serves_all_runs(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER, str(tmp_path / "new" / "folder"))
    ensemble, data, how, probes = arguments("adam, cosine, dropout, stacked")
    other = dataclasses.replace(how, batch_size=11)
    runs = [train(ensemble, data, h, probes, label="Net (a)") for h in (how, other)]
    names = sorted(f.name for f in (tmp_path / "new" / "folder").iterdir())
    assert len(names) == 2
    assert all(re.fullmatch(r"net-a-[0-9a-f]{12}\.pt", name) for name in names)
    with counted(monkeypatch, stop=0):
        for run, h in zip(runs, (how, other), strict=True):
            assert_equal(run, train(ensemble, data, h, probes, label="Net (a)"))
    named = Checkpoint(tmp_path / "named.pt")
    train(ensemble, data, how, probes, checkpoint=named)
    assert named.path.exists()
    assert len(list((tmp_path / "new" / "folder").iterdir())) == 2


def test_replicas_in_turn_share_their_files_with_other_ensembles(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER, str(tmp_path))
    _, data, how, probes = arguments("batch norm, nesterov, in turn")

    def run(*seeds):
        start = initialise(batch_norm_net, seeds, stacked=False)
        return train(start, data, how, probes)

    with counted(monkeypatch) as steps:
        run(3, 4)
        both = run(4, 3, 5)
    assert len(steps) == 3 * EPOCHS * STEPS
    monkeypatch.delenv(FOLDER)
    assert_equal(both, run(4, 3, 5))
