"""The benchmarks run, do the same work in all ways, and keep what they measured."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT))

from benchmarks import (
    book,
    choices,
    clock,
    ensemble,
    forms,
    local_spectrum,
    measure,
    peers,
    rate,
    works,
)
from benchmarks.__main__ import parse
from benchmarks.measure import Group, Setting, Timed, by_turns
from spectral_book.pages.costs import read_costs
from spectral_lib.training.ensemble import initialise
from spectral_lib.training.loop import TrainSettings, train

pytestmark = pytest.mark.usefixtures("quiet")
TINY = Setting(torch.device("cpu"), rounds=1, tiny=True)


@pytest.fixture
def quiet(monkeypatch):
    """No progress bars."""
    monkeypatch.setenv("CI", "true")


def test_ways_take_turns_after_a_warm_up():
    calls = []
    ways = {name: lambda name=name: calls.append(name) or name for name in "ab"}
    done = by_turns(ways, replace(TINY, rounds=3))
    assert calls == list("ab" * 4)
    assert [len(taken) for taken in done.seconds.values()] == [3, 3]
    assert done.results == {"a": "a", "b": "b"}


def test_ratios_are_taken_within_rounds():
    done = Timed({"ours": [1.0, 2.0, 4.0], "loop": [3.0, 4.0, 4.0]}, {})
    row = done.row("q", "loop", per=1e-3, unit="ms")
    assert (row.ours, row.other) == (2000.0, 4000.0)
    assert row.ratio == (1.0, 2.0, 3.0)
    share = done.row("q", "loop", share=True)
    assert share.ratio == pytest.approx((1 / 3, 1 / 2, 1.0))


def rows_of(*quantities, fail=False):
    """A function that gives rows, and then perhaps fails."""

    def rows(setting):
        for name in quantities:
            yield Timed({"ours": [1.0], "b": [2.0]}, {}).row(name, "b")
        if fail:
            raise RuntimeError("broke off")

    return rows


def test_rows_are_kept_as_they_come_and_merged(tmp_path, monkeypatch):
    file = tmp_path / "cpu.json"
    group = Group("one", "One", "Of one.", rows_of("a", "b"))
    group.measure(TINY, file)
    with pytest.raises(RuntimeError, match="broke off"):
        replace(group, rows=rows_of("b", "c", fail=True)).measure(TINY, file)
    found = [row.quantity for row in read_costs(file).groups["one"].rows]
    assert found == ["a", "b", "c"]
    monkeypatch.setattr(measure, "commit", lambda: "another")
    replace(group, rows=rows_of("c")).measure(TINY, file)
    (row,) = read_costs(file).groups["one"].rows
    assert row.quantity == "c"


@pytest.mark.parametrize("module", [ensemble, rate, local_spectrum, peers, forms])
def test_every_measurement_runs_and_ways_agree(module):
    rows = list(module.GROUP.rows(TINY))
    assert rows
    for row in rows:
        assert row.ours > 0
        assert row.gap is None or row.gap < 1e-2, row


@pytest.mark.parametrize("way", ["plain", "lightning"])
@pytest.mark.parametrize("work", [works.perceptron, works.convolution, works.images])
def test_peers_end_at_our_loss(way, work):
    if way == "lightning":
        pytest.importorskip("lightning")
    made = work(TINY)
    ours = works.ours(made, (1, 2), TINY, stacked=made.stacked)
    theirs = getattr(works, way)(made, (1, 2), TINY)
    assert theirs.shape == (2,)
    assert not torch.equal(ours[0], ours[1])
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=0)


def test_a_peer_that_does_other_work_is_refused(monkeypatch):
    plain = works.plain
    monkeypatch.setattr(works, "plain", lambda *given: plain(*given) * 1.01)
    with pytest.raises(SystemExit, match="did not do the same work"):
        list(peers.rows(TINY))


def test_flops_are_those_of_three_products_a_layer():
    made = works.perceptron(TINY)
    weights = 64 * 100 + 100 * 100 + 100 * 10
    first = 64 * 100  # no gradient of the images is needed
    assert made.flops() == 2 * made.batch * (3 * weights - first)


class NotStackable(torch.nn.Linear):
    """A layer that looks at a number, which vmap forbids."""

    def __init__(self):
        super().__init__(64, 10)

    def forward(self, x):
        return super().forward(x) * float(x.sum().item() > 0)


def test_choices_are_compared_where_both_ways_are_possible():
    made = works.perceptron(TINY)
    small = initialise(made.build, (1, 2))
    how = TrainSettings(50, 16, loss=works.cross_entropy)
    timing = choices.compare(train, small, made.data, how, rounds=2)
    assert timing["stacked"]
    assert [len(s) for s in timing["seconds"].values()] == [2, 2]
    assert timing["weights"] == 64 * 100 + 100 * 100 + 100 * 10 + 210
    assert choices.size(timing) == "17,610 weights, batches of 16"
    row = choices.choice("here", timing)
    assert row.quantity == "here: 2 replicas stacked"
    assert row.against == "one after another"

    odd = initialise(NotStackable, (1, 2), stacked=False)
    timing = choices.compare(train, odd, made.data, how, rounds=1)
    assert "seconds" not in timing
    assert "item()" in timing["refused"]


def test_time_belongs_to_the_innermost_kind(monkeypatch):
    now = iter([0.0, 1.0, 3.0, 7.0, 15.0, 31.0])
    monkeypatch.setattr(clock.time, "perf_counter", lambda: next(now))
    watch = clock.Clock()
    watch.enter("cells")
    inner = watch.wrap("training", lambda: watch.wrap("imports", lambda: 5)())
    assert inner() == 5
    assert watch.spent == {
        "between cells": 1.0,
        "cells": 2.0,
        "training": 4.0 + 16.0,
        "imports": 8.0,
    }


CELLS = [
    """
import time
from spectral_lib.training.loop import TrainSettings, train
from benchmarks.works import perceptron
from benchmarks.measure import Setting
from spectral_lib.training.ensemble import initialise
import torch
""",
    """
class chapter:
    class provenance:
        chapter = "tiny"

def slowly(inputs, targets, generators):
    time.sleep(0.3)
    return inputs, targets.float()[..., None].expand(*targets.shape, 10)

work = perceptron(Setting(torch.device("cpu"), tiny=True))
train(initialise(work.build, [1]), work.data, TrainSettings(1, 64, augment=slowly))
""",
    "time.sleep(0.4)",
]


def test_build_is_split_into_its_parts(tmp_path, monkeypatch):
    folder = tmp_path / "book"
    folder.mkdir()
    cells = [nbformat.v4.new_markdown_cell("# Tiny")]
    cells += [nbformat.v4.new_code_cell(text) for text in CELLS]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "tiny.ipynb")
    config = (ROOT / "_config.yml").read_text().replace("logo: logo.svg\n", "")
    config = config.replace("  favicon: logo.svg\n", "")
    (folder / "_config.yml").write_text(config)
    (folder / "references.bib").touch()
    (folder / "_toc.yml").write_text("format: jb-book\nroot: tiny\n")
    rows = {row.quantity: row for row in book.rows_of_build(TINY, folder)}
    assert not (folder / "_build").exists()

    one = rows["tiny"]
    # Two batches of 0.3 s and a cell of 0.4 s; more on a busy machine.
    assert one.other >= 1.0
    assert one.ours > one.other + float(rows["Whole build: imports"].ours)
    for kind, least in {"training": 0.6, "other cells": 0.4, "imports": 0.3}.items():
        assert rows[f"Whole build: {kind}"].ours >= least
    whole = rows["Whole build, one chapter at a time"]
    parts = [row.ours for name, row in rows.items() if name.startswith("Whole build:")]
    assert sum(parts) == pytest.approx(whole.ours, rel=0.02)


def test_a_table_is_measured_by_its_name(tmp_path):
    file = tmp_path / "cpu.json"
    command = [sys.executable, "-m", "benchmarks", "--tiny", "--rounds", "1"]
    done = subprocess.run(
        [*command, "--only", "batch", "--json", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (row,) = read_costs(file).groups["batch"].rows
    assert row.ours > 1  # the second that the notebook sleeps


def test_bad_options_stop_before_anything_is_measured(tmp_path):
    file = tmp_path / "cpu.json"
    file.write_text("[]")
    for words, sentence in (
        (["--rounds", "0"], "--rounds is 0"),
        (["--json", str(file)], "holds no measurements"),
    ):
        group = Group("one", "One", "Of one.", rows_of("a"))
        with pytest.raises(SystemExit, match=sentence):
            measure.run([group], parse(words))
