"""Killed and interrupted runs against runs that nobody disturbed."""

import importlib
import multiprocessing
import os
import random
import signal
import time

import pytest
import torch
from small_runs import (
    CASES,
    EPOCHS,
    STEPS,
    assert_equal,
    counted,
    interrupt,
    run_case,
)

from spectral_lib.training.checkpoints import CheckpointFile
from spectral_lib.training.optimizers import Optimizer

# --- real kills ---------------------------------------------------------------------

PRELOADED = "pytest", "spectral_lib.training.loop", "spectral_lib.data.augmentations"


def processes():
    """A source of fresh processes that need not import torch each time."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*PRELOADED])
    return context


def slow_child(case, path, saves):
    torch.set_num_threads(1)
    step, save = Optimizer.step, CheckpointFile.save

    def slow_step(self, gradient):
        time.sleep(0.004)  # so that the parent can hit it
        step(self, gradient)

    def counted_save(self, state):
        save(self, state)
        saves.release()

    Optimizer.step, CheckpointFile.save = slow_step, counted_save
    run_case(case, path)


@pytest.mark.parametrize("case", CASES)
def test_killed_processes_end_as_if_nothing_had_happened(case, tmp_path, monkeypatch):
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
    undisturbed = run_case(case)
    with counted(monkeypatch) as steps:
        assert_equal(run_case(case, path), undisturbed)
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
    [("torch", "save", 3), ("os", "fsync", 4), ("os", "link", 2), ("os", "replace", 3)],
)
def test_a_kill_in_the_middle_of_a_save_loses_one_epoch(
    module, name, call, tmp_path, monkeypatch
):
    case, path = "adam, cosine, dropout, stacked", tmp_path / "run.pt"
    args = (case, path, module, name, call)
    process = processes().Process(target=child_that_dies_saving, args=args)
    process.start()
    process.join()
    assert process.exitcode == -9
    with counted(monkeypatch) as steps:  # any warning would be an error
        assert_equal(run_case(case), run_case(case, path))
    assert len(steps) == STEPS * (EPOCHS + EPOCHS - 2)


# --- interruptions at every kind of moment --------------------------------------------


@pytest.mark.usefixtures("quick_disk")
@pytest.mark.parametrize(("case", "moments"), [*zip(CASES, (4, 20, 5, 3), strict=True)])
def test_interruptions_at_random_moments_lose_less_than_an_epoch(
    case, moments, tmp_path, monkeypatch
):
    undisturbed = run_case(case)
    total = EPOCHS * STEPS * (1 if CASES[case][2] else 2)
    for stop in random.Random(case).sample(range(total), moments):
        path = tmp_path / str(stop) / "run.pt"
        interrupt(monkeypatch, stop, case, path)
        with counted(monkeypatch) as steps:
            resumed = run_case(case, path)
        assert len(steps) == total - stop // STEPS * STEPS
        assert_equal(resumed, undisturbed)
