"""Killed runs against runs that nobody disturbed, and files that must be refused."""

import dataclasses
import importlib
import multiprocessing
import os
import random
import re
import resource
import shutil
import signal
import sys
import time
import warnings
from contextlib import contextmanager
from functools import partial
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from spectral_lib.data.augmentations import crop_and_flip
from spectral_lib.data.dataset import Dataset
from spectral_lib.training import checkpoints, fingerprints
from spectral_lib.training.checkpoints import FOLDER, Checkpoint, CheckpointFile
from spectral_lib.training.ensemble import initialise
from spectral_lib.training.fingerprints import differences, fingerprint
from spectral_lib.training.loop import Probe, TrainSettings, every, train
from spectral_lib.training.losses import cross_entropy
from spectral_lib.training.optimizers import Optimizer, OptimizerSettings

EPOCHS, BATCH, ROWS, SIDE = 12, 10, 43, 6
STEPS = ROWS // BATCH


def dropout_net(share=0.3):
    layers = nn.Linear(SIDE**2, 12), nn.ReLU(), nn.Dropout(share), nn.Linear(12, 4)
    return nn.Sequential(nn.Flatten(), *layers)


def batch_norm_net():
    layers = nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten()
    return nn.Sequential(*layers, nn.Dropout(0.2), nn.Linear(3 * (SIDE - 2) ** 2, 4))


def images(seed=0):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(ROWS, 1, SIDE, SIDE, generator=g)
    return Dataset(x, torch.randint(4, (ROWS,), generator=g))


def outputs_on(data):
    def measure(ensemble):
        torch.rand(2)
        return {"logits": ensemble.predict(data.inputs)[:, :5], "first": look(ensemble)}

    return measure


def look(ensemble):
    return next(iter(ensemble.parameters.values()))[:, 0]  # a view of the weights


MOMENTUM = OptimizerSettings("sgd", (0.05, 0.1), momentum=0.9, milestones=(5,))
NESTEROV = OptimizerSettings("sgd", 0.05, momentum=0.9, nesterov=True, clip=1.0)
COSINE = OptimizerSettings("adam", (1e-3, 1e-2, 3e-3), schedule="cosine")
HUGE = OptimizerSettings("sgd", (1e-3, 1e30), momentum=0.5)

CASES = {  # network, seeds, stacked, optimizer, augmentation
    "momentum, dropout, in turn": (dropout_net, (1, 2), False, MOMENTUM, True),
    "adam, cosine, dropout, stacked": (dropout_net, (1, 2, 1), True, COSINE, True),
    "batch norm, nesterov, in turn": (batch_norm_net, (3, 4), False, NESTEROV, True),
    "diverging, stacked": (dropout_net, (1, 2), True, HUGE, False),
}


def arguments(case):
    build, seeds, stacked, optimizer, augmented = CASES[case]
    data = images()
    augment = crop_and_flip(1) if augmented else None
    how = TrainSettings(EPOCHS, BATCH, optimizer, cross_entropy, augment)
    measure = outputs_on(images(1))
    probes = {"all": Probe(measure, every(EPOCHS)), "few": Probe(measure, every(9, 4))}
    return initialise(build, seeds, stacked=stacked), data, how, probes


def at_each_epoch(path):
    return Checkpoint(path, seconds=0, share=1)


def run_case(case, path=None):
    return train(*arguments(case), checkpoint=path and at_each_epoch(path))


def assert_equal(first, second):
    """Bitwise, where nan equals nan."""
    pairs = [(first.loss, second.loss), (first.diverged_at, second.diverged_at)]
    for kind in ("parameters", "buffers"):
        ours, theirs = getattr(first.ensemble, kind), getattr(second.ensemble, kind)
        assert ours.keys() == theirs.keys()
        pairs += [(ours[name], theirs[name]) for name in ours]
    assert first.records.keys() == second.records.keys()
    for name, record in first.records.items():
        other = second.records[name]
        assert record.values.keys() == other.values.keys()
        pairs.append((record.epochs, other.epochs))
        pairs += [(record[key], other[key]) for key in record.values]
    assert first.ensemble.seeds == second.ensemble.seeds
    for a, b in pairs:
        assert a.dtype == b.dtype
        assert a.shape == b.shape
        assert torch.equal(a.isnan(), b.isnan())
        assert torch.equal(a.nan_to_num(0), b.nan_to_num(0))


@pytest.fixture
def quick_disk(monkeypatch):
    """No waiting for the disk, where no machine stops."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


class Interrupted(Exception):
    """What stands for a kill inside this process."""


@contextmanager
def counted(monkeypatch, stop=None):
    """Count optimizer steps, and interrupt before step ``stop``."""
    taken = []
    plain = Optimizer.step

    def step(self, gradient):
        if len(taken) == stop:
            raise Interrupted
        taken.append(self.steps)
        plain(self, gradient)

    with monkeypatch.context() as patch:
        patch.setattr(Optimizer, "step", step)
        yield taken


def interrupt(monkeypatch, stop, case, path):
    with counted(monkeypatch, stop), pytest.raises(Interrupted):
        run_case(case, path)


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


# --- what is refused --------------------------------------------------------------


def changed(what):
    """Arguments of a run that differs in one thing, and what has to be named."""
    ensemble, data, how, probes = arguments("adam, cosine, dropout, stacked")
    optimizer, measure = how.optimizer, probes["all"].measure
    seeds = ensemble.seeds

    def settings(**fields):
        return dataclasses.replace(how, **fields)

    match what:
        case "rate":
            how = settings(optimizer=dataclasses.replace(optimizer, learning_rate=0.25))
            words = "settings.optimizer.learning_rate: [0.001, 0.01, 0.003] then, 0.25"
        case "epochs":
            how, words = settings(epochs=13), "settings.epochs: 12 then, 13 now"
        case "batch":
            how, words = settings(batch_size=9), "settings.batch_size: 10 then, 9 now"
        case "loss":
            how = settings(loss=lambda a, b: 2 * cross_entropy(a, b))
            words = "settings.loss: spectral_lib.training.losses.cross_entropy then"
        case "augmentation":
            how = settings(augment=crop_and_flip(2))
            words = "settings.augment.change.padding: 1 then, 2 now"
        case "dropout":
            ensemble = initialise(lambda: dropout_net(0.4), seeds)
            words = "module.3: torch.nn.modules.dropout.Dropout(training=True, p=0.3, "
        case "seeds":
            ensemble = dataclasses.replace(ensemble, seeds=(1, 2, 3))
            words = "ensemble.seeds: [1, 2, 1] then, [1, 2, 3] now"
        case "weights":
            ensemble = initialise(dropout_net, (1, 2, 9))
            words = "ensemble.parameters.4.bias: float32 [3, 4] "
        case "dtype":
            ensemble = initialise(dropout_net, seeds, dtype=torch.float64)
            words = "now"
        case "data":
            data = images(5)
            words = "data[0].stored: float32 [43, 1, 6, 6] "
        case "epochs of a probe":
            probes = {**probes, "few": Probe(measure, every(9, 3))}
            words = "probes.few.epochs: [0, 4, 8, 9] then, [0, 3, 6, 9] now"
        case "measure":
            probes = {**probes, "all": Probe(outputs_on(images(6)), every(EPOCHS))}
            words = "probes.all.measure.data.stored: float32"
        case "probe":
            probes = {"all": probes["all"]}
            words = "probes.few: spectral_lib.training.probing.Probe then, absent now"
    return (ensemble, data, how, probes), words


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """The file of a run that was interrupted, to be copied."""
    folder = tmp_path_factory.mktemp("begun")
    with pytest.MonkeyPatch.context() as patch:
        interrupt(patch, 31, "adam, cosine, dropout, stacked", folder / "run.pt")
    return folder


WHAT = (
    *("rate", "epochs", "batch", "loss", "augmentation", "dropout", "seeds"),
    *("weights", "dtype", "data", "epochs of a probe", "measure", "probe"),
)


@pytest.mark.parametrize("what", WHAT)
def test_another_run_is_refused_with_the_difference(what, begun, monkeypatch):
    path = begun / "run.pt"
    before = path.read_bytes()
    other, words = changed(what)
    with (
        counted(monkeypatch, stop=0),
        pytest.raises(ValueError, match="another run") as told,
    ):
        train(*other, checkpoint=at_each_epoch(path))
    message = str(told.value)
    assert words in message
    assert "delete" in message
    few = what not in ("weights", "dtype", "loss", "probe")
    assert len(message.splitlines()) < 6 or not few, message
    assert path.read_bytes() == before


def test_other_code_threads_and_versions_are_refused(begun, monkeypatch):
    case, path = "adam, cosine, dropout, stacked", begun / "run.pt"
    real = fingerprints.code_digest

    def refused(*words):
        with pytest.raises(ValueError, match="another run") as told:
            run_case(case, path)
        lines = str(told.value).splitlines()
        assert len(lines) == 3
        assert all(word in lines[1] for word in words)

    for name in ("loop", "ensemble", "optimizers", "progress"):
        module = f"spectral_lib.training.{name}"
        with monkeypatch.context() as patch:
            patch.setattr(
                fingerprints,
                "code_digest",
                lambda m, module=module: "edited" if m == module else real(m),
            )
            refused(f"code of {module}: ", " then, edited now")
    with monkeypatch.context() as patch:
        patch.setattr(torch, "get_num_threads", lambda: 7)
        refused("threads: 1 then, 7 now")
    with monkeypatch.context() as patch:
        patch.setattr(torch, "__version__", "9.9")
        refused("torch: ", " then, 9.9 now")


NET = """
from torch import nn

class Net(nn.Linear):
    '''A network.'''
    def forward(self, x):
        return FACTOR * super().forward(x)  # comment
"""


def test_an_edited_model_is_refused_and_an_edited_comment_is_not(tmp_path, monkeypatch):
    source = tmp_path / "edited_net.py"
    x = torch.randn(12, 3)

    def run(text):
        source.write_text(text)
        module = ModuleType("edited_net")
        module.__file__ = str(source)
        exec(compile(text, source, "exec"), module.__dict__)
        monkeypatch.setitem(sys.modules, "edited_net", module)
        start = initialise(lambda: module.Net(3, 2), (1,))
        data = Dataset(x, torch.zeros(12, 2))
        return train(start, data, TrainSettings(2, 4), checkpoint=Checkpoint("run.pt"))

    monkeypatch.chdir(tmp_path)
    two = NET.replace("FACTOR", "2.0")
    first = run(two)
    assert_equal(first, run(two.replace("# comment", "\n").replace("A net", "My net")))
    with pytest.raises(ValueError, match=r"code of edited_net: .* then, .* now"):
        run(NET.replace("FACTOR", "3.0"))


def typed(text, **names):
    """A function as if a notebook had defined it."""
    names |= {"__name__": "__main__", "torch": torch}
    exec(text, names)
    return names["measure"]


MEASURE = """
def measure(ensemble, power=2):
    return {k: (lambda v: v**power + offset)(v) for k, v in ensemble.items()}
"""


def test_functions_of_a_notebook_count_by_code_names_and_defaults():
    def seen(text=MEASURE, **names):
        return fingerprint(f=typed(text, **{"offset": 1, "unused": 0, **names}))

    assert seen() == seen(unused=5)
    assert seen() == seen(MEASURE.replace("{k: (", "{k:  ("))
    assert differences(seen(), seen(offset=2)) == ["f.offset: 1 then, 2 now"]
    (line,) = differences(seen(), seen(MEASURE.replace("power=2", "power=3")))
    assert line == "f.defaults: [2] then, [3] now"
    (line,) = differences(seen(), seen(MEASURE.replace("**power", "*power")))
    assert line.startswith("f: __main__.measure ")


def test_objects_count_by_what_they_hold():
    class Holder:
        def __init__(self, value):
            self.value, self.me = value, self

        def method(self):
            return self.value

    def apart(first, second):
        return differences(fingerprint(x=first), fingerprint(x=second))

    assert not apart(Holder(torch.ones(3)), Holder(torch.ones(3)))
    assert len(apart(Holder(torch.ones(3)), Holder(torch.zeros(3)))) == 1
    assert len(apart(Holder(1).method, Holder(2).method)) == 1
    assert len(apart(partial(max, key=1), partial(max, key=2))) == 1
    assert len(apart(torch.relu, torch.tanh)) == 1
    assert len(apart(nn.ReLU, nn.Tanh)) == 1
    assert len(apart(np.arange(4), np.arange(4.0))) == 1
    assert len(apart(dropout_net(0.5), dropout_net(0.5))) == 4
    assert not apart({"a", "b", "c"}, {"c", "b", "a"})


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
