"""Files of another run, which must be refused, and what makes a run another."""

import dataclasses
import sys
from functools import partial
from types import ModuleType

import numpy as np
import pytest
import torch
from small_runs import (
    EPOCHS,
    arguments,
    assert_equal,
    at_each_epoch,
    counted,
    dropout_net,
    images,
    outputs_on,
    run_case,
)
from torch import nn

from spectral_lib.data.augmentations import crop_and_flip
from spectral_lib.data.dataset import Dataset
from spectral_lib.training import fingerprints
from spectral_lib.training.checkpoints import Checkpoint
from spectral_lib.training.ensemble import initialise
from spectral_lib.training.fingerprints import differences, fingerprint
from spectral_lib.training.loop import Probe, TrainSettings, every, train
from spectral_lib.training.losses import cross_entropy


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
