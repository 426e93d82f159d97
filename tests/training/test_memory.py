"""Ensembles that do not fit, in portions, and files of portions."""

import pytest
import torch
from torch import nn

from spectral_lib.models.mlp import MLP
from spectral_lib.training import memory
from spectral_lib.training.checkpoints import FOLDER, Checkpoint
from spectral_lib.training.ensemble import initialise
from spectral_lib.training.loop import Dataset, Probe, TrainSettings, every, train
from spectral_lib.training.memory import LIMIT, free_memory, portions, step_bytes
from spectral_lib.training.optimizers import Optimizer, OptimizerSettings

SEEDS = (1, 2, 7, 4, 5)
EPOCHS, BATCH = 4, 12
X = torch.randn(40, 20, generator=torch.Generator().manual_seed(0)).double()
DATA = Dataset(X, X.roll(1, 1))
RATES = OptimizerSettings("adam", (1e-3, 2e-3, 3e-3, 4e-3, 5e-3))


def mlp():
    return MLP([20, 9, 20])


def ensemble(seeds=SEEDS):
    return initialise(mlp, seeds, dtype=torch.float64)


def settings(**how):
    return TrainSettings(EPOCHS, BATCH, RATES, **how)


def look(found):
    return {"output": found.predict(X[:3]), "random": torch.rand(1).expand(len(found))}


PROBES = {"look": Probe(look, every(EPOCHS, 2))}


def room_for(replicas):
    return replicas * step_bytes(ensemble(), [DATA], settings()) + 1


@pytest.fixture
def sizes(monkeypatch):
    """Replicas of each optimizer that is made."""
    made, plain = [], Optimizer.__init__

    def init(self, weights, *rest):
        made.append(len(weights))
        plain(self, weights, *rest)

    monkeypatch.setattr(Optimizer, "__init__", init)
    return made


def assert_close(first, second):
    assert (first.ensemble.flatten() - second.ensemble.flatten()).abs().max() < 1e-10
    assert (first.loss - second.loss).abs().max() < 1e-6  # kept in float32
    assert first.ensemble.seeds == second.ensemble.seeds
    for name, value in first.records["look"].values.items():
        assert (value - second.records["look"][name]).abs().max() < 1e-10
    assert torch.equal(first.diverged_at, second.diverged_at)


@pytest.mark.parametrize(
    ("room", "parts", "words"),
    [
        (5, [5], ""),
        (3, [2, 3], "2 portions of up to 3"),
        (1, [1] * 5, "5 portions of 1"),
    ],
)
def test_portions_equal_the_whole(room, parts, words, sizes, capsys):
    whole = train(ensemble(), DATA, settings(), PROBES)
    assert not capsys.readouterr().out
    sizes.clear()
    run = train(ensemble(), DATA, settings(memory=room_for(room)), PROBES)
    assert sizes == parts
    assert_close(run, whole)
    said = capsys.readouterr().out
    assert said.count("\n") == (1 if words else 0)
    assert words in said
    if words:
        assert said.startswith("5 replicas need 0.")


def test_the_sentence(monkeypatch, capsys):
    monkeypatch.setattr(memory, "step_bytes", lambda *a: 190_000_000)
    monkeypatch.setattr(memory, "_bound", lambda *a: 10**12)
    start = ensemble(tuple(range(64)))
    assert portions(start, [DATA], TrainSettings(1, BATCH, memory=8 * 10**9)) == 2
    assert capsys.readouterr().out == (
        "64 replicas need 12.2 GB, 8.0 GB are free: trained in 2 portions of 32\n"
    )


def test_the_variable_and_what_does_not_fit(monkeypatch):
    def count(**how):
        return portions(ensemble(), [DATA], settings(**how))

    monkeypatch.setenv(LIMIT, str(room_for(2)))
    assert count() == 3
    assert count(memory=room_for(5)) == 1
    with pytest.raises(ValueError, match="one replica needs"):
        count(memory=room_for(1) // 2)
    for wrong in ("much", "-1", "nan", "inf"):
        monkeypatch.setenv(LIMIT, wrong)
        with pytest.raises(ValueError, match="give bytes, such as 8e9"):
            count()
    monkeypatch.delenv(LIMIT)
    monkeypatch.setattr(memory, "free_memory", lambda device: room_for(4))
    assert count() == 2  # a share of what is free is left to others
    monkeypatch.setattr(memory, "free_memory", lambda device: None)
    assert count() == 1


def test_bytes_of_a_step_by_hand():
    wide = initialise(lambda: nn.Sequential(nn.Linear(20, 50), nn.Tanh()), (1, 2))
    single = Dataset(X.float(), X.float())
    found = step_bytes(wide, [single], TrainSettings(1, BATCH))
    parameters = 4 * (20 * 50 + 50)
    batch = 2 * 4 * BATCH * 20
    outputs = 4 * BATCH * 50  # tanh keeps its result; the input is the batch's
    wanted = (
        memory.ROWS * parameters
        + memory.BATCHES * batch
        + (1 + memory.PASSING) * outputs
        + 4 * outputs
    )
    assert found == wanted


def test_counting_leaves_no_traces():
    def build():
        layers = nn.Linear(20, 8), nn.BatchNorm1d(8), nn.Dropout(0.5)
        return nn.Sequential(*layers, nn.Linear(8, 20))

    start = initialise(build, (1, 2), dtype=torch.float64)
    buffers = {name: b.clone() for name, b in start.buffers.items()}
    state = torch.get_rng_state()
    assert step_bytes(start, [DATA], settings()) > 0
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(b, buffers[name]) for name, b in start.buffers.items())


def test_a_replica_that_really_does_not_fit_is_told(monkeypatch):
    def full(*args):
        raise torch.OutOfMemoryError("tried to allocate 9 GiB")

    monkeypatch.setattr(memory, "step_bytes", full)
    with pytest.raises(ValueError, match=r"one replica needs more than the 0\.0 MB"):
        train(ensemble(), DATA, settings(memory=10_000))


def test_a_run_begun_at_once_goes_on_so_and_says_it(tmp_path, sizes, capsys):
    file = Checkpoint(tmp_path / "run.pt", seconds=0, share=1)
    runs = []

    def run(memory=None, stop=None):
        def dies(found):
            runs.append(len(found))
            if len(runs) == stop:
                raise KeyboardInterrupt
            return look(found)

        begun = {"look": Probe(Same(dies), every(EPOCHS, 2))}
        how = settings(memory=memory)
        return train(ensemble(), DATA, how, begun, checkpoint=file)

    with pytest.raises(KeyboardInterrupt):
        run(stop=3)
    assert not capsys.readouterr().out
    sizes.clear()
    first = run(room_for(2))
    assert sizes == [5]
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert "trained all at once all the same, as its checkpoint was begun" in said
    again = run(1)  # finished: nothing is trained and nothing said
    assert torch.equal(first.ensemble.flatten(), again.ensemble.flatten())
    assert not capsys.readouterr().out


class Same:
    """Measures in a way that counts as the same in each run."""

    __slots__ = ("measure",)

    def __init__(self, measure):
        self.measure = measure

    def __call__(self, found):
        return self.measure(found)


@pytest.mark.parametrize(
    "names",
    [
        ["run.3of3.pt", "run.pt"],
        ["run.1of2.pt", "run.2of3.pt.previous"],
        ["run.6of6.pt"],
        ["run.3of2.pt"],
        ["run.0of2.pt"],
        ["run.1of1.pt"],
    ],
)
def test_stray_files_of_portions_are_named(names, tmp_path, sizes):
    for name in ("run.other.1of9.pt", "walk.1of9.pt", "run.1of9.pt.damaged", *names):
        (tmp_path / name).write_bytes(b"junk")
    with pytest.raises(ValueError, match="not of one run of 5 replicas") as told:
        train(ensemble(), DATA, settings(), checkpoint=Checkpoint(tmp_path / "run.pt"))
    assert all(name in str(told.value) for name in names)
    assert "1of9" not in str(told.value)
    assert not sizes


@pytest.mark.parametrize("named", [True, False])
def test_portions_are_found_again_with_more_memory(named, tmp_path, monkeypatch, sizes):
    whole = train(ensemble(), DATA, settings(), PROBES)
    file = Checkpoint(tmp_path / "run.pt", seconds=0, share=1) if named else None
    if not named:
        monkeypatch.setenv(FOLDER, str(tmp_path))
        monkeypatch.setattr("spectral_lib.training.checkpoints.Checkpoint.seconds", 0)

    class KilledError(Exception):
        pass

    def dies(found):
        if found.seeds == SEEDS[2:]:
            raise KilledError
        return look(found)

    def run(memory=None, measure=look):
        # The same code for both, or it would be another run.
        monkeypatch.setitem(globals(), "chosen", measure)
        return train(
            ensemble(),
            DATA,
            settings(memory=memory),
            {"look": Probe(measured, every(EPOCHS, 2))},
            checkpoint=file,
        )

    with pytest.raises(KilledError):
        run(room_for(3), dies)
    names = sorted(f.name for f in tmp_path.iterdir())
    assert [name.split(".", 1)[1] for name in names][:1] == ["1of2.pt"]
    sizes.clear()
    resumed = run(room_for(5))
    assert sizes == [2, 3]
    assert_close(resumed, whole)
    again = run(room_for(1))
    assert torch.equal(again.ensemble.flatten(), resumed.ensemble.flatten())
    assert {
        f.name.split(".", 1)[1].removesuffix(".previous") for f in tmp_path.iterdir()
    } == {
        "1of2.pt",
        "2of2.pt",
    }


def chosen(found):
    return look(found)


def measured(found):
    return globals()["chosen"](found)


def test_limits_of_control_groups(tmp_path):
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("700\n")
    stat = "anon 300\ninactive_file 250\nactive_file 9\n"
    (tmp_path / "memory.stat").write_text(stat)
    group = memory.CONTROL_GROUPS[0]
    assert memory._of_group(group, tmp_path) == 1000 - 700 + 250
    (tmp_path / "memory.max").write_text("max\n")
    assert memory._of_group(group, tmp_path) is None
    assert memory._of_group(memory.CONTROL_GROUPS[1], tmp_path) is None


def test_free_memory_is_about_what_the_machine_has():
    psutil = pytest.importorskip("psutil")
    found = free_memory(torch.device("cpu"))
    assert found is not None
    assert 0 < found <= psutil.virtual_memory().total
