"""What makes a run another one, so that no old number is read for it."""

import dataclasses
import itertools
import linecache
import os
import shutil
import subprocess
import sys
import threading
from functools import partial
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from small_runs import EPOCHS, arguments, dropout_net, images, outputs_on
from torch import nn

from spectral_lib import code_hash
from spectral_lib.data.augmentations import crop_and_flip
from spectral_lib.training import run_keys
from spectral_lib.training.ensemble import initialise
from spectral_lib.training.loop import Probe, every
from spectral_lib.training.losses import cross_entropy
from spectral_lib.training.optimizers import OptimizerSettings
from spectral_lib.training.run_keys import describe, differences, run_key, summary


@pytest.fixture
def run():
    ensemble, data, how, probes = arguments("adam, cosine, dropout, stacked")
    return SimpleNamespace(ensemble=ensemble, how=how, data=data, probes=probes)


def key_of(run):
    return run_key(run.ensemble, run.how, [run.data], run.probes)


def setting(**fields):
    return lambda run: setattr(run, "how", dataclasses.replace(run.how, **fields))


def network(build=dropout_net, **how):
    def change(run):
        run.ensemble = initialise(build, run.ensemble.seeds, **how)

    return change


def seeds(run):
    run.ensemble = dataclasses.replace(run.ensemble, seeds=(1, 2, 3))


def probe(name, measure, epochs):
    return lambda run: run.probes.update({name: Probe(measure, epochs)})


SAME = outputs_on(images(1))
CHANGES = [
    ("optimizer", setting(optimizer=OptimizerSettings("adam", schedule="cosine"))),
    ("epochs", setting(epochs=13)),
    ("batch_size", setting(batch_size=9)),
    ("loss", setting(loss=lambda a, b: 2 * cross_entropy(a, b))),
    ("augment", setting(augment=crop_and_flip(2))),
    ("precision", setting(precision="bf16")),
    ("network", network(lambda: dropout_net(0.4))),
    ("weights", network(dtype=torch.float64)),
    ("weights", lambda run: run.ensemble.parameters["4.bias"][1].add_(1e-6)),
    ("stacked", network(stacked=False)),
    ("seeds", seeds),
    ("data", lambda run: run.data.targets[3].add_(1)),
    ("probe 'few'", probe("few", SAME, every(9, 3))),
    ("probe 'all'", probe("all", outputs_on(images(6)), every(EPOCHS))),
    ("probe 'few'", lambda run: run.probes.pop("few")),
]


@pytest.mark.parametrize(("entry", "change"), CHANGES)
def test_each_change_of_what_was_handed_in_is_named(entry, change, run):
    before = key_of(run)
    with torch.no_grad():
        change(run)
    after = key_of(run)
    (line,) = differences(before, after)
    assert line.startswith(f"{entry}: ")
    assert " then, " in line
    assert summary(before) != summary(after)


def test_threads_versions_and_default_types_count(run, monkeypatch):
    before = key_of(run)
    for where, name, value, entry in (
        (torch, "get_num_threads", lambda: 7, "threads"),
        (torch, "__version__", "9.9", "torch"),
        (torch, "get_default_dtype", lambda: torch.float64, "default dtype"),
        (torch.backends.cpu, "get_cpu_capability", lambda: "AVX9", "device"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(where, name, value)
            after = key_of(run)
        assert [n for n in before if before[n] != after[n]] == [entry]


def test_code_edited_after_its_import_makes_another_run(run, monkeypatch):
    """This process still runs the old code, which a fresh one must not be given."""
    before = key_of(run)
    monkeypatch.setattr(run_keys, "code_hash", lambda: "edited")
    here = key_of(run)
    monkeypatch.setattr(run_keys, "IMPORTED", "edited")
    fresh = key_of(run)
    assert len({before["code"], here["code"], fresh["code"]}) == 3


SCRIPT = """
import torch
from spectral_lib.data.dataset import Dataset
from spectral_lib.models.mlp import MLP
from spectral_lib.training.ensemble import initialise
from spectral_lib.training.loop import Probe, TrainSettings, train

def reading(ensemble):
    return {"size": 1.0 * ensemble.flatten().norm(dim=1)}

x = torch.linspace(0, 1, 16)[:, None]
probes = {"size": Probe(reading, frozenset([2]))}
run = train(initialise(lambda: MLP([1, 3, 1]), [1]), Dataset(x, x),
            TrainSettings(2, 4), probes, label="run")
print(float(run.records["size"]["size"]))
"""


def test_an_edit_starts_anew_and_never_returns_old_numbers(tmp_path):
    library = shutil.copytree(code_hash.LIBRARY, tmp_path / "spectral_lib")
    files = tmp_path / "checkpoints"
    environment = os.environ | {
        "PYTHONPATH": str(tmp_path),
        "SPECTRAL_CHECKPOINTS": str(files),
    }

    def run(text):
        (tmp_path / "script.py").write_text(text)
        command = [sys.executable, "script.py"]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        *read, number = done.stdout.splitlines()
        assert all(line.startswith("read from ") for line in read)
        return float(number), bool(read)

    first, read = run(SCRIPT)
    assert not read
    assert run(SCRIPT) == (first, True)
    number, read = run(SCRIPT.replace("1.0 *", "3.0 *"))
    assert (number, read) == (pytest.approx(3 * first), False)
    with (library / "models" / "shake.py").open("a") as stream:
        stream.write("\n\ndef unused():\n    return 1\n")
    assert run(SCRIPT) == (first, False)


# --- values of a notebook -------------------------------------------------------------

CELLS = itertools.count()


def typed(text, name="f", **names):
    """What a cell of a notebook defines."""
    file = f"<cell {next(CELLS)}>"
    linecache.cache[file] = (len(text), None, text.splitlines(True), file)
    names |= {"__name__": "__main__", "torch": torch, "np": np}
    exec(compile(text, file, "exec"), names)
    return names[name]


MEASURE = """
class Scale:
    power = 2
    def __call__(self, v):
        return v**self.power

def shift(v):
    return v + offset

def f(ensemble, factor=2, *, top=1):
    return {k: (lambda v: factor * Scale()(shift(v)))(v) for k, v in ensemble.items()}
"""


def text_of(value):
    return describe(value, "here")


def test_functions_of_a_notebook_count_by_source_names_and_defaults():
    def seen(old="", new="", **names):
        return text_of(typed(MEASURE.replace(old, new), offset=1, **names))

    assert seen() == seen() == seen(unused=5)
    texts = [seen()]
    texts.append(text_of(typed(MEASURE, offset=2)))
    texts.append(text_of(typed(MEASURE, offset=torch.ones(1))))
    texts += [seen("factor=2", "factor=3"), seen("top=1", "top=2")]
    texts += [seen("lambda v: f", "lambda v: v + f"), seen("power = 2", "power = 3")]
    texts += [seen("v**self", "v*self"), seen("v + offset", "v - offset")]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("given", ["v=source", "*, v=source", "", "v=source, name=1"])
def test_values_of_defaults_and_closures_count_whatever_their_names(given):
    result = "v" if given else "source"
    body = f"def inner({given}):\n        return {result}\n    return inner"
    made = typed(f"def f(source):\n    {body}")
    assert text_of(made(1)) == text_of(made(1)) != text_of(made(2))


def test_two_functions_on_one_line_are_two():
    first, second = typed("f = [lambda x: x, lambda x: x + x]")
    assert text_of(first) != text_of(second)


def test_what_a_function_closes_over_counts():
    made = typed(
        "def f(value):\n    def inner():\n        return value\n    return inner"
    )
    values = [1, 1.0, "1", None, [1], (1,), {"1": 1}, {1: 1}, torch.ones(1), nn.ReLU()]
    values += [torch.ones(1, dtype=int), torch.ones(1, 1), np.ones(1), np.float64(1)]
    values += [partial(max, key=1), partial(max, key=2), torch.relu, torch.tanh, np.sin]
    values += [nn.ReLU, {1, 2}, {1, 3}, torch.float32, range(3), slice(3), text_of]
    values += [torch.Generator().manual_seed(1), torch.Generator().manual_seed(2)]
    values += [
        dropout_net(0.5),
        dropout_net(0.5),
        torch.ones(1).sin,
        torch.zeros(1).sin,
    ]
    values += [crop_and_flip(1), crop_and_flip(2), np, torch]
    texts = [text_of(made(value)) for value in values]
    assert len(set(texts)) == len(texts)
    assert texts == [text_of(made(value)) for value in values]
    assert text_of({"a", "b", "c"}) == text_of({"c", "b", "a"})


class Holder:
    def __init__(self, value):
        self.value, self.me = value, self

    def method(self):
        return self.value


def test_objects_count_by_what_they_hold_and_may_hold_themselves():
    assert text_of(Holder(torch.ones(3))) == text_of(Holder(torch.ones(3)))
    assert text_of(Holder(torch.ones(3))) != text_of(Holder(torch.zeros(3)))
    assert text_of(Holder(1).method) != text_of(Holder(2).method)


@pytest.mark.parametrize("use", ["my_probes.g(e)", "call(my_probes, e)"])
def test_modules_beside_a_notebook_count_by_their_source(use, tmp_path, monkeypatch):
    def text(source):
        file = tmp_path / f"my_probes_{len(source)}.py"
        file.write_text(source)
        module = ModuleType("my_probes")
        module.__file__ = str(file)
        exec(compile(source, file, "exec"), module.__dict__)
        monkeypatch.setitem(sys.modules, "my_probes", module)
        return text_of(typed(f"def f(e):\n    return {use}", my_probes=module))

    source = "def g(e):\n    return e + 1\n"
    assert text(source) == text(source)
    assert text(source) != text(source.replace("1", "10"))


def test_of_an_attribute_that_is_used_the_rest_of_its_object_does_not_count():
    cell = """
@dataclasses.dataclass
class Chapter:
    device: str
    seconds: float

def f(e):
    return e.to(chapter.device)
"""

    def text(source, *values):
        names = {"dataclasses": dataclasses}
        names["chapter"] = typed(cell, "Chapter", **names)(*values)
        return text_of(typed(source, **names))

    whole = cell.replace(".device)", ")")
    assert text(cell, "cpu", 1.0) == text(cell, "cpu", 2.0) != text(cell, "meta", 1.0)
    assert text(whole, "cpu", 1.0) == text(whole, "cpu", 1.0) != text(whole, "cpu", 2.0)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (threading.Lock(), "a lock is the same in another process"),
        ((i for i in "ab"), "a generator is the same"),
        (eval("lambda e: e", {"__name__": "__main__"}), "source cannot be read"),
    ],
)
def test_what_cannot_be_compared_is_refused_by_name(value, words, run):
    made = typed("def f(value):\n    return lambda e: {'a': value(e)}")
    run.probes = {"odd": Probe(made(value), frozenset([1]))}
    with pytest.raises(ValueError, match=words) as told:
        key_of(run)
    assert "probe 'odd'" in str(told.value)
    assert "'value'" in str(told.value)
