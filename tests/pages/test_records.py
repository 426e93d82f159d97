"""Recorded runs: made by running a chapter, and refused once they no longer fit."""

import json
import subprocess
from pathlib import Path

import nbformat
import pytest
import yaml
from minibook import REPOSITORY, MiniBook, claim, claim_cell

from spectral_book import records
from spectral_book.claims.ledger import MIME_TYPE
from spectral_book.records import differences, read_records, recorded_claims
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
import torch
assert P.size < 9, "size is larger than this chapter can bear"
found = P.size + torch.tensor([0.01, 0.02, 0.03])
chapter.judge("size-counts", x=found, control={"x": 0 * found})
chapter.table()
chapter.publish()
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
    differs: {quick: "", gpu: "", paper: ""}
"""


def git(root: Path, *words: str) -> None:
    who = ["-c", "user.name=n", "-c", "user.email=e@x"]
    subprocess.run(["git", "-C", str(root), *who, *words], check=True)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


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
    assert one["parameters"]["size"] == 4
    assert "data_root" not in one["parameters"]
    assert one["made"]["device"] == "cpu"
    head = (repository / ".git" / "HEAD").read_text().split()[1]
    commit = (repository / ".git" / head).read_text().strip()
    assert one["made"]["commit"] == commit
    (row,) = one["claims"]
    assert row["estimate"] == pytest.approx(4.02)
    assert row["profile"] == "gpu"
    assert row["verdict"] == "replicated"
    assert differences(one, repository) == []

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


def test_claims_unlike_the_claims_file_are_not_recorded(repository, monkeypatch):
    output = nbformat.v4.new_output("display_data", {MIME_TYPE: [claim("strange")]})
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
    ("chapter", "profile", "machine", "message"),
    [
        ("tiny", "quick", {}, "profile is 'quick'; recorded are gpu and paper"),
        ("tony", "gpu", {}, "known chapters: tiny"),
        ("tiny", "gpu", {"size": "3"}, "size cannot be set here"),
    ],
)
def test_bad_requests_are_told_before_anything_runs(
    repository, chapter, profile, machine, message
):
    with pytest.raises(ValueError, match=message):
        records.record(repository, chapter, profile, machine)


def test_uncommitted_files_are_not_recorded(repository, monkeypatch, capsys):
    edit(repository / "params" / "gpu" / "tiny.yaml", "size: 4", "size: 5")
    monkeypatch.chdir(repository)
    assert records.main(["tiny", "gpu"]) == 2
    assert "commit them first" in capsys.readouterr().err


def test_the_larger_profile_is_shown_unless_it_could_not_test_the_claim():
    def one(*rows):
        return {"claims": rows}

    small = one({"id": "a", "verdict": "replicated"}, {"id": "b", "verdict": "x"})
    large = one({"id": "a", "verdict": "not comparable"}, {"id": "b", "verdict": "y"})
    shown = recorded_claims([small, large])
    assert {name: row["verdict"] for name, row in shown.items()} == {
        "a": "replicated",
        "b": "y",
    }


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        json.dumps({"profile": "gpu", "chapter": "one"}),
        json.dumps(
            dict(profile="gpu", chapter="two", made={1: 1}, parameters={}, claims=[1])
        ),
    ],
)
def test_a_file_that_is_no_record_is_refused(tmp_path, text):
    (tmp_path / "gpu").mkdir()
    (tmp_path / "gpu" / "one.json").write_text(text)
    with pytest.raises(ValueError, match="make it anew"):
        read_records(tmp_path)


def test_the_front_page_shows_recorded_runs_and_refuses_old_ones(tmp_path):
    book = MiniBook(tmp_path / "book")
    book.folder.mkdir()
    book.add("alpha", claim_cell(claim("alpha-one")))
    book.add("beta", claim_cell(claim("beta-one")))
    book.configure("```{ledger}\n```")
    assert book.build().returncode == 0
    assert "Recorded run" not in (book.html / "intro.html").read_text()

    row = claim("alpha-one", "inconclusive", estimate=0.0321, profile="gpu")
    wanted = CLAIMS.replace("size-counts", "alpha-one").replace("tiny", "alpha")
    (book.folder / "claims" / "alpha.yaml").write_text(wanted)
    row |= {"statistic": "value", "quantity": "size", "interval": "t"}
    row["control"] = {"name": "size 0", "estimate": 0.0, "ci_low": None}
    params = tmp_path / "params" / "gpu"
    params.mkdir(parents=True)
    (params / "alpha.yaml").write_text("profile: gpu\n")
    results = tmp_path / "results" / "gpu"
    results.mkdir(parents=True)
    content = {
        "chapter": "alpha",
        "profile": "gpu",
        "made": {"commit": "abc"},
        "parameters": {"profile": "gpu"},
        "claims": [row],
    }
    threshold = records.load_claims(book.folder / "claims" / "alpha.yaml").claims[0]
    row["threshold"] = threshold.bar()
    (results / "alpha.json").write_text(json.dumps(content))
    built = book.build()
    assert built.returncode == 0, built.stdout
    page = (book.html / "intro.html").read_text()
    assert "Recorded run" in page
    assert "0.0321" in page

    (params / "alpha.yaml").write_text("profile: gpu\nepochs: 3\n")
    built = book.build()
    assert built.returncode != 0
    assert "epochs was None and is 3" in built.stdout


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
