"""Recorded runs: made by running a chapter, and refused once they no longer fit."""

import io
import json
import os
import re
import subprocess
import sys
import time
from base64 import b64encode
from html import unescape
from pathlib import Path

import nbformat
import psutil
import pytest
import yaml
from minibook import REPOSITORY, MiniBook, claim, claim_cell
from PIL import Image
from rows import published, row, run_of

from spectral_book import crate, records
from spectral_book.claims import places
from spectral_book.claims.claims_file import load_claims
from spectral_book.claims.ledger import MIME_TYPE
from spectral_book.claims.recorded import (
    compared,
    read_records,
    recorded_claims,
    recorded_marks,
    told_of,
)
from spectral_book.claims.strip import strips
from spectral_book.files import write_atomic
from spectral_book.pages.recorded_figures import (
    copy_recorded_figures,
    with_recorded_figures,
)
from spectral_book.records import differences
from spectral_book.runner import Execution

PARAMETERS = """
profile: str = "quick"
seeds: list[int] = [1, 2, 3]
device: str = "cpu"
data_root: str = ""
size: int = 2
"""

CHECK = """
from spectral_book.chapter.chapter import open_chapter
from spectral_book.chapter.parameters import ChapterParameters, Count

class Parameters(ChapterParameters):
    data_root: str
    size: Count

P = Parameters.read(globals())
chapter = open_chapter("tiny", P)
"""

JUDGE = """
import matplotlib.pyplot as plt
import torch
assert P.size < 9, "size is larger than this chapter can bear"
found = P.size + torch.tensor([0.01, 0.02, 0.03])
figure, axes = plt.subplots()
axes.plot(found)
chapter.show(figure, "Sizes.")
chapter.judge("size-counts", x=found, control={"x": 0 * found})
chapter.folded()
chapter.table()
chapter.publish()
"""

TRAIN = """
import os, time
from spectral_lib.data.dataset import Dataset
from spectral_lib.models.mlp import MLP
from spectral_lib.training.checkpoints import Checkpoint
from spectral_lib.training.ensemble import initialise
from spectral_lib.training.loop import Probe, TrainSettings, every, train

measured = os.environ["SPECTRAL_CHECKPOINTS"] + "/measured"

def slowly(ensemble):
    with open(measured, "a") as file:
        file.write("x")
    time.sleep(0.02)
    return {"weight": next(iter(ensemble.parameters.values())).flatten(1)[:, 0]}

x = torch.linspace(-1, 1, 20)[:, None]
probe = {"slowly": Probe(slowly, every(150))}
place = Checkpoint(os.environ["SPECTRAL_CHECKPOINTS"] + "/net.pt", seconds=0.2)
nets = initialise(lambda: MLP([1, 8, 1]), P.seeds)
data, settings = Dataset(x, x.sin()), TrainSettings(epochs=150, batch_size=10)
run = train(nets, data, settings, probe, checkpoint=place)
found = run.loss[-1] + 2
"""

CLAIMS = """
chapter: tiny
paper: "Euler 1748"
frozen: "2026-01-01"
claims:
  - id: size-counts
    source: "Fig. 1"
    statement: "The size is large."
    statistic: value
    quantity: "size"
    direction: greater
    no_effect: 0.0
    threshold: 1.0
    control: "size 0"
"""


def git(root: Path, *words: str) -> None:
    who = ["-c", "user.name=n", "-c", "user.email=e@x"]
    subprocess.run(["git", "-C", str(root), *who, *words], check=True)


def head(root: Path) -> str:
    branch = (root / ".git" / "HEAD").read_text().split()[1]
    return (root / ".git" / branch).read_text().strip()


def recorded(commit: str, parameters: dict, **changes) -> dict:
    """The record of a run of `CLAIMS` at the profile `gpu`."""
    asked = {"quantity": "size", "threshold": 1.0, "control": "size 0"}
    asked |= {"chapter": "tiny", "profile": "gpu", "values": [4.01, 4.02, 4.03]}
    found = row("size-counts", **asked | changes)
    run = {**run_of([found]), "parameters": parameters}
    return {"made": {"commit": commit}, "run": run, "claims": [found]}


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def shown_figure(number: int, size: tuple[int, int]) -> nbformat.NotebookNode:
    """A cell that has shown a figure of this number."""
    png = io.BytesIO()
    Image.new("RGB", size).save(png, "png")
    data = {"image/png": b64encode(png.getvalue()).decode()}
    outputs = [
        nbformat.v4.new_output("display_data", data),
        nbformat.v4.new_output(
            "display_data",
            {"text/html": f"<p>{number}</p>"},
            metadata=places.mark(places.FIGURE, number),
        ),
    ]
    return nbformat.v4.new_code_cell("", outputs=outputs)


def shown_claims(*ids: str) -> nbformat.NotebookNode:
    """A cell that has shown claims."""
    output = nbformat.v4.new_output(
        "display_data",
        {"text/html": ""},
        metadata=places.mark(places.CLAIMS, list(ids)),
    )
    return nbformat.v4.new_code_cell("", outputs=[output])


@pytest.fixture
def repository(tmp_path):
    """A repository with one chapter and its profiles."""
    book = MiniBook(tmp_path / "book")
    (book.folder / "claims").mkdir(parents=True)
    book.add("tiny", PARAMETERS, CHECK, JUDGE, tags={0: ["parameters"]})
    (book.folder / "claims" / "tiny.yaml").write_text(CLAIMS)
    for profile, size in {"gpu": 4, "paper": 90}.items():
        folder = tmp_path / "params" / profile
        folder.mkdir(parents=True)
        text = yaml.safe_dump({"profile": profile, "size": size, "data_root": "data"})
        (folder / "tiny.yaml").write_text(text)
    (tmp_path / ".gitignore").write_text("_build/\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "start")
    return tmp_path


def test_a_record_holds_what_ran_and_is_refused_once_it_no_longer_fits(
    repository, monkeypatch
):
    monkeypatch.delenv("SPECTRAL_CHECKPOINTS", raising=False)
    monkeypatch.chdir(repository)
    path = records.record(repository, "tiny", "gpu", {"data_root": "elsewhere"})
    run = repository / "book" / "_build" / "records" / "gpu" / "tiny.ipynb"
    assert str(repository / "elsewhere") in run.read_text()  # it ran in book/
    assert path == repository / "results" / "gpu" / "tiny.json"
    (one,) = read_records(repository / "results")
    assert one["run"]["parameters"]["size"] == 4
    assert "data_root" not in one["run"]["parameters"]
    made = one["made"]
    assert (made["device"], made["commit"]) == ("cpu", head(repository))
    assert (made["data"], made["note"]) == ({}, "")
    assert 0.01 < made["memory_gb"] < 20  # a kernel's
    (found,) = one["claims"]
    assert found["estimate"] == pytest.approx(4.02)
    assert found["profile"] == "gpu"
    assert found["verdict"] == "replicated"
    assert differences(one, repository) == []
    drawn = json.loads((path.parent / "figures" / "tiny.json").read_text())
    assert drawn["1"]["drawn"][0]["curves"][0]["y"] == [4.01, 4.02, 4.03]
    with Image.open(path.parent / "figures" / "tiny" / "size-counts.webp") as picture:
        assert picture.width > 300
    told = json.loads((repository / "results" / crate.FILE).read_text())
    parts = {part["@id"]: part for part in told["@graph"]}
    action = parts["#run-gpu-tiny"]
    assert action["result"]["@id"] == "gpu/tiny.json"
    assert parts[action["instrument"]["@id"]]["version"] == head(repository)
    assert {"@id": "gpu/tiny.json"} in parts["./"]["hasPart"]

    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "-m", "record")
    assert records.record(repository, "tiny", "gpu") == path

    edit(repository / "params" / "gpu" / "tiny.yaml", "size: 4", "size: 5")
    (told,) = differences(one, repository)
    assert "size was 4 and is 5" in told
    edit(repository / "params" / "gpu" / "tiny.yaml", "size: 5", "size: 4")

    claims = repository / "book" / "claims" / "tiny.yaml"
    edit(claims, "threshold: 1.0", "threshold: 0.5")
    (told,) = differences(one, repository)
    assert "threshold of 'size-counts' was" in told
    edit(claims, 'control: "size 0"', 'control: "size 1"')
    assert len(differences(one, repository)) == 2
    edit(claims, "id: size-counts", "id: size-weighs")
    assert len(differences(one, repository)) == 2


def test_what_figures_draw_is_recorded_as_far_as_it_is_small():
    figures = {1: {"drawn": "x" * 80}, 2: {"drawn": ""}, 3: {"drawn": "x" * 20}}
    assert list(json.loads(records.drawn_within(150, figures))) == ["2", "3"]
    assert list(json.loads(records.drawn_within(200, figures))) == ["2", "3", "1"]
    assert json.loads(records.drawn_within(10, figures)) == {}


def test_a_recorded_figure_replaces_the_former_ones_of_its_chapter(tmp_path):
    def show(number, *claims):
        return shown_figure(number, (40 * number, 30)), shown_claims(*claims)

    path = tmp_path / "gpu" / "tiny.json"
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [*show(1, "alpha", "beta"), *show(2, "gamma"), *show(3)]
    records.keep_figures(path, notebook)
    folder = tmp_path / "gpu" / "figures" / "tiny"
    assert sorted(f.name for f in folder.iterdir()) == ["alpha.webp", "gamma.webp"]
    with Image.open(folder / "gamma.webp") as picture:
        assert picture.width == 80
    notebook.cells = [*show(1, "beta")]
    records.keep_figures(path, notebook)
    assert [file.name for file in folder.iterdir()] == ["beta.webp"]


def test_a_recorded_figure_is_shown_below_the_one_that_its_claim_belongs_to(tmp_path):
    figures = [shown_figure(n, (8, 8)) for n in (1, 2, 3)]
    claims = [shown_claims(name) for name in ("alpha", "beta", "gamma")]
    cells = [cell for pair in zip(figures, claims, strict=True) for cell in pair]
    notebook = nbformat.v4.new_notebook(cells=cells)
    for name in (
        "gpu/figures/tiny/beta",
        "gpu/figures/tiny/gamma",
        "gpu/figures/old/x",
    ):
        write_atomic(tmp_path / f"{name}.webp", b"picture")
    told = {"recorded": "gpu, <images>, commit abc"}
    # The largest run that could test gamma is another one: its figure was not kept.
    rows = {
        "beta": row("beta", profile="gpu") | told,
        "gamma": row("gamma", profile="paper") | told,
    }
    shown = with_recorded_figures("part/tiny", notebook, rows, tmp_path)
    texts = [cell.outputs[-1].data["text/html"] for cell in shown.cells[::2]]
    assert ["recorded-figure" in text for text in texts] == [False, True, False]
    assert '<div class="recorded-box"><img src="../_recorded/gpu/tiny/beta' in texts[1]
    assert "recorded: gpu, &lt;images&gt;, commit abc" in texts[1]
    assert "recorded-figure" not in nbformat.writes(notebook)
    refused = with_recorded_figures("part/tiny", notebook, {}, tmp_path)
    assert "recorded-figure" not in nbformat.writes(refused)
    html = tmp_path / "html"
    write_atomic(html / "_recorded" / "stale.webp", b"")
    copy_recorded_figures(html, tmp_path)
    found = {str(f.relative_to(html)) for f in html.rglob("*.webp")}
    assert "_recorded/gpu/tiny/beta.webp" in found
    assert "_recorded/stale.webp" not in found


@pytest.mark.processes
def test_a_run_that_was_killed_goes_on_and_leaves_the_same_record(
    repository, monkeypatch
):
    judge = JUDGE.replace("found = P.size + torch.tensor([0.01, 0.02, 0.03])\n", "")
    cells = PARAMETERS, CHECK, "import torch" + TRAIN + judge
    MiniBook(repository / "book").add("tiny", *cells, tags={0: ["parameters"]})
    git(repository, "commit", "--quiet", "-am", "a training")
    whole, cut = repository / "_build" / "whole", repository / "_build" / "cut"
    for clone in (whole, cut):
        git(repository, "clone", "--quiet", ".", str(clone))
    monkeypatch.delenv("SPECTRAL_CHECKPOINTS", raising=False)
    records.record(whole, "tiny", "gpu")

    kept = cut / "book" / "_build" / "records" / "gpu"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "spectral_book.records", "tiny", "gpu"]
    begun = subprocess.Popen(command, cwd=cut, env=environment)
    while not (kept / "tiny.checkpoints" / "net.pt.previous").is_file():
        assert begun.poll() is None
        time.sleep(0.05)
    # Its kernel would train on until it sees that nobody is there any more.
    for process in [*psutil.Process(begun.pid).children(recursive=True), begun]:
        process.kill()
    begun.wait()
    assert not (cut / "results").exists()
    before = readings(kept)
    records.record(cut, "tiny", "gpu")
    told = re.search(
        r"read from .*, epoch (\d+) of 150", (kept / "tiny.ipynb").read_text()
    )
    assert 0 < int(told[1]) < 150
    # What was read is used too: no epoch of before is measured again.
    assert readings(kept) - before == 150 - int(told[1])
    made = [json.loads((c / "results/gpu/tiny.json").read_text()) for c in (whole, cut)]
    for one in made:
        for own in ("seconds", "memory_gb", "date"):
            del one["made"][own]
    assert made[0] == made[1]


def readings(kept: Path) -> int:
    """How often the probe of `TRAIN` has measured, in all runs together."""
    return (kept / "tiny.checkpoints" / "measured").stat().st_size


def test_claims_unlike_the_claims_file_are_not_recorded(repository, monkeypatch):
    shown = {MIME_TYPE: published(claim("strange", chapter="tiny", profile="gpu"))}
    output = nbformat.v4.new_output("display_data", shown)
    cell = nbformat.v4.new_code_cell("", outputs=[output])
    run = Execution("tiny", nbformat.v4.new_notebook(cells=[cell]), 1.0, None)
    monkeypatch.setattr(records, "execute_notebooks", lambda jobs, **_: [run])
    with pytest.raises(RuntimeError, match="'size-counts' is in the claims file alone"):
        records.record(repository, "tiny", "gpu")
    assert not (repository / "results").exists()


def test_images_are_looked_for_before_anything_runs(repository, monkeypatch):
    monkeypatch.setattr(records, "execute_notebooks", None)
    monkeypatch.delenv("SPECTRAL_DATA", raising=False)
    edit(repository / "params" / "gpu" / "tiny.yaml", "size: 4", "data: cifar10")
    with pytest.raises(ValueError, match=r"there is no .*none/cifar10/train-"):
        records.record(repository, "tiny", "gpu", {"data_root": "none"})


def test_a_run_whose_files_change_meanwhile_is_not_recorded(repository, monkeypatch):
    commits = iter(["one", "two"])
    monkeypatch.setattr(records, "_clean_commit", lambda root: next(commits))
    with pytest.raises(RuntimeError, match="moved on from one"):
        records.record(repository, "tiny", "gpu")
    assert not (repository / "results").exists()


def test_nothing_is_recorded_of_a_failed_run(repository, monkeypatch):
    monkeypatch.delenv("SPECTRAL_CHECKPOINTS", raising=False)
    with pytest.raises(RuntimeError, match="can bear"):
        records.record(repository, "tiny", "paper")
    assert not (repository / "results").exists()


@pytest.mark.parametrize(
    ("chapter", "profile", "message"),
    [
        ("tiny", "quick", "profile 'quick': there is no"),
        ("tony", "gpu", "known chapters: tiny"),
    ],
)
def test_bad_requests_are_told_before_anything_runs(
    repository, chapter, profile, message
):
    with pytest.raises(ValueError, match=message):
        records.record(repository, chapter, profile)


def test_uncommitted_files_are_not_recorded(repository, monkeypatch, capsys):
    edit(repository / "params" / "gpu" / "tiny.yaml", "size: 4", "size: 5")
    monkeypatch.chdir(repository)
    assert records.main(["tiny", "gpu"]) == 2
    assert "commit them first" in capsys.readouterr().err


def test_verdicts_are_compared_where_both_runs_could_test_a_claim():
    here = {
        "same": "replicated",
        "moved": "replicated",
        "lost": "replicated",
        "gained": "not comparable",
        "neither": "not comparable",
        "alone": "replicated",
    }
    there = here | {"moved": "inconclusive", "lost": "not comparable"}
    there |= {"gained": "holds"}
    del there["alone"]
    rows = [{"id": name, "verdict": verdict} for name, verdict in here.items()]
    found = compared(rows, {k: {"verdict": v} for k, v in there.items()})
    names = {kind: [row["id"] for row, _ in pairs] for kind, pairs in found.items()}
    wanted = {"alike": "same", "other": "moved", "here": "lost", "there": "gained"}
    assert names == {kind: [name] for kind, name in wanted.items()}
    assert not any(compared(rows, {}).values())


def test_the_larger_profile_is_shown_unless_it_could_not_test_the_claim():
    def one(*rows):
        run = {"profile": "gpu", "parameters": {}}
        return {"made": {"commit": "c0ffee00"}, "run": run, "claims": rows}

    def said(name, verdict):
        return {"id": name, "verdict": verdict, "values": [], "why": "It is so."}

    small = one(said("a", "replicated"), said("b", "x"))
    large = one(said("a", "not comparable"), said("b", "y"))
    shown = recorded_claims([small, large])
    assert {name: row["verdict"] for name, row in shown.items()} == {
        "a": "replicated",
        "b": "y",
    }


def test_a_record_says_what_its_images_are(repository, monkeypatch, tmp_path):
    monkeypatch.delenv("SPECTRAL_CHECKPOINTS", raising=False)
    images = tmp_path / "images" / "cifar10"
    images.mkdir(parents=True)
    for split in ("test", "train"):
        (images / f"{split}-00000-of-00001.parquet").write_bytes(split.encode())
    edit(
        repository / "params" / "gpu" / "tiny.yaml", "size: 4", "size: 4\ndata: cifar10"
    )
    notebook = repository / "book" / "tiny.ipynb"
    edit(notebook, "size: int = 2", 'data: str = \\"digits\\"\\nsize: int = 2')
    edit(notebook, "    size: Count", "    data: str\\n    size: Count")
    git(repository, "commit", "--quiet", "-am", "images")
    path = records.record(
        repository, "tiny", "gpu", {"data_root": str(images.parent)}, "cut to size"
    )
    (one,) = read_records(repository / "results")
    assert one["made"]["data"]["test-00000-of-00001.parquet"] == (
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    )  # of the word "test", as sha256sum prints it
    day, commit = one["made"]["date"], one["made"]["commit"][:7]
    said = f"cifar10 where images are used (cut to size), {day}, commit {commit}"
    told = told_of(json.loads(path.read_text()))
    assert told == f"a larger run, profile gpu, {said}"


def test_marks_beside_a_run_are_those_of_claims_that_ask_for_the_same(repository):
    claims = load_claims(repository / "book" / "claims" / "tiny.yaml").claims
    results = repository / "results"
    assert recorded_marks(results, "tiny", claims) == {}
    (results / "gpu").mkdir(parents=True)
    content = recorded(head(repository), {"size": 4})
    why = content["claims"][0]["why"]
    content["claims"][0]["why"] = "Words of an older edition."
    (results / "gpu" / "tiny.json").write_text(json.dumps(content))
    (found,) = recorded_marks(results, "tiny", claims).values()
    run = f"a larger run, profile gpu, commit {head(repository)[:7]}"
    assert found["recorded"] == run
    assert found["why"] == why
    assert recorded_marks(results, "other", claims) == {}
    moved = [claims[0].model_copy(update={"threshold": 0.5})]
    assert recorded_marks(results, "tiny", moved) == {}
    drawn = strips([content["claims"][0]], {"size-counts": found})
    said = f"Recorded run ({run}), not made by this build: replicated, 4.02"
    assert said in drawn
    assert 'class="recorded"' in drawn
    assert ", recorded run 4.02" in drawn
    assert 'class="recorded"' not in strips([content["claims"][0]], {})


@pytest.fixture
def fitting(repository):
    """A record that fits the repository, made without running anything."""
    return recorded(head(repository), {"profile": "gpu", "size": 4, "seeds": [1, 2, 3]})


def test_another_wording_does_not_outdate_a_record(repository, fitting):
    assert differences(fitting, repository) == []
    claims = repository / "book" / "claims" / "tiny.yaml"
    edit(claims, "The size is large.", "It is large, the size.")
    edit(claims, "Fig. 1", "Fig. 2")
    assert differences(fitting, repository) == []


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("no_effect: 0.0", "no_effect: 0.5", "no_effect"),
        ("direction: greater", "direction: less\n    threshold: -1.0", "direction"),
        ("statistic: value", "statistic: log_log_slope", "statistic"),
        ('quantity: "size"', 'quantity: "weight"', "quantity"),
        ("threshold: 1.0", "threshold: 1.0\n    interval: range", "interval"),
        ("threshold: 1.0", "threshold: 1.0\n    origin: book", "origin"),
        (
            "threshold: 1.0",
            "threshold: 1.0\n    precondition: {quantity: NMSE, below: 0.1}",
            "precondition",
        ),
    ],
)
def test_what_a_verdict_rests_on_outdates_it(repository, fitting, old, new, key):
    claims = repository / "book" / "claims" / "tiny.yaml"
    if "direction" in old:
        edit(claims, "    threshold: 1.0\n", "")
    edit(claims, old, new)
    told = differences(fitting, repository)
    assert f"tiny, gpu: {key} of 'size-counts' was" in told[0]


def test_a_verdict_that_does_not_follow_and_an_unknown_commit_are_refused(
    repository, fitting
):
    fitting["claims"][0] |= {"rule": "not replicated", "verdict": "not replicated"}
    fitting["claims"][0]["holm"] = False
    fitting["made"]["commit"] = 40 * "0"
    told = " ".join(differences(fitting, repository))
    assert "tiny, gpu: size-counts: its verdict is 'not replicated', and" in told
    assert "its mark of Holm's correction does not follow" in told
    assert f"the repository knows no commit {40 * '0'}" in told


def wrong(**changes):
    """A record with some of its entries changed."""
    return recorded("abc", {}) | changes


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "is not a record"),
        ([], "is not a record"),
        ({"profile": "gpu", "chapter": "tiny"}, "KeyError"),
        (wrong(made={}), "KeyError\\('commit'"),
        (wrong(run={"chapter": "tiny"}), "profile"),
        (wrong(claims=[]), "holds a record of tiny, gpu"),
        (wrong(claims=[{"id": "a"}]), "claim 'a': Field 'estimate' is missing"),
        (recorded("abc", {}, chapter="other"), "holds a record of other, gpu"),
    ],
)
def test_a_file_that_is_no_record_is_refused(tmp_path, content, told):
    (tmp_path / "gpu").mkdir()
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / "gpu" / "tiny.json").write_text(text)
    with pytest.raises(ValueError, match=told) as error:
        read_records(tmp_path)
    assert "make it anew" in str(error.value)


def test_the_front_page_shows_recorded_runs_and_refuses_those_that_do_not_fit(tmp_path):
    book = MiniBook(tmp_path / "book")
    book.folder.mkdir()
    cell = claim_cell(claim("size-counts", chapter="tiny"))
    book.add("tiny", cell, "#! ```{recorded}\n```")
    book.configure("```{ledger}\n```")
    (book.folder / "claims" / "tiny.yaml").write_text(CLAIMS)
    assert book.build().returncode == 0
    assert "Recorded run" not in (book.html / "intro.html").read_text()
    assert "No run on other images is recorded" in (book.html / "tiny.html").read_text()

    params = tmp_path / "params" / "gpu"
    params.mkdir(parents=True)
    (params / "tiny.yaml").write_text("profile: gpu\n")
    results = tmp_path / "results" / "gpu"
    results.mkdir(parents=True)
    content = recorded("abc", {"profile": "gpu"}, values=[0.0321, 0.1321, 1.9321])
    (results / "tiny.json").write_text(json.dumps(content))
    built = book.build()
    assert built.returncode == 0, built.stdout
    assert "tiny, gpu: cannot tell here whether the repository knows" in built.stdout
    page = (book.html / "intro.html").read_text()
    assert "Recorded run" in page
    assert "0.699" in page
    html = (book.html / "tiny.html").read_text()
    page = " ".join(re.sub(r"<[^>]+>", " ", html).split())
    assert "Recorded is a larger run, profile gpu, commit abc. Of the 1 claims" in page
    page = unescape(page)
    assert "size-counts 0.61 [0.598, 0.622] ✓ replicated 0.699 [−1.96" in page
    assert "] ? inconclusive too uncertain to tell" in page

    (params / "tiny.yaml").write_text("profile: gpu\nepochs: 3\n")
    content["claims"][0] |= {"rule": "replicated", "verdict": "replicated"}
    (results / "tiny.json").write_text(json.dumps(content))
    git(tmp_path, "init", "--quiet")
    built = book.build()
    assert built.returncode != 0
    assert "tiny, gpu: epochs was None and is 3" in built.stdout
    assert "its verdict is 'replicated', and 'inconclusive' follows" in built.stdout
    assert "the repository knows no commit abc" in built.stdout
    assert not list(book.html.glob("ledger*"))


def test_the_crate_of_this_repository_is_of_its_records():
    results = REPOSITORY / "results"
    assert (results / crate.FILE).read_text("utf-8") == crate.crate(results)


def test_the_records_of_this_repository_fit_it():
    found = read_records(REPOSITORY / "results")
    assert [line for one in found for line in differences(one, REPOSITORY)] == []


def test_a_changed_run_does_not_bear_its_profiles_name(repository, monkeypatch):
    monkeypatch.chdir(repository / "book")
    namespace: dict = {"__name__": "tiny"}
    exec(CHECK.split("\nP = ")[0], namespace)
    usual = {"seeds": [1, 2, 3], "device": "cpu"}

    def label(profile, size, root="elsewhere"):
        given = usual | {"profile": profile, "size": size, "data_root": root}
        parameters = namespace["Parameters"].check(given)
        return namespace["open_chapter"]("tiny", parameters).provenance.profile

    assert label("quick", 2) == "quick"
    assert label("quick", 3) == "quick, changed"
    assert label("gpu", 4) == "gpu"
    assert label("gpu", 2) == "gpu, changed"
