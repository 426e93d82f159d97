"""The page "Add a paper" works: its chapter, taken from the page, is built."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib.pyplot as plt
import nbformat
import papermill
import pytest
import yaml
from minibook import REPOSITORY, MiniBook

from spectral_book.claims.claims_file import load_claims

pytestmark = pytest.mark.book

PAGE = REPOSITORY / "book" / "add_a_paper.md"
BLOCK = re.compile(
    r"^```\{code-block\} \w+\n:caption: ([^\n]+)\n(.*?)^```$", re.M | re.S
)
CELL = re.compile(r"Cell (\d+), (Markdown|code)(?:, `(\{.*\})`)?")
PROFILES = ("gpu", "paper")
RunCells = Callable[..., dict[str, Any]]


def blocks() -> dict[str, str]:
    """The page's blocks by caption."""
    return dict(BLOCK.findall(PAGE.read_text("utf-8")))


def notebook() -> nbformat.NotebookNode:
    """The page's cells as a notebook."""
    cells = []
    for caption, text in blocks().items():
        if found := CELL.fullmatch(caption):
            number, kind, metadata = found.groups()
            assert int(number) == len(cells) + 1
            v4 = nbformat.v4
            new = v4.new_code_cell if kind == "code" else v4.new_markdown_cell
            source = text.removesuffix("\n")
            cells.append(new(source, metadata=json.loads(metadata or "{}")))
            cells[-1]["id"] = f"cell-{len(cells) - 1:02d}"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


@pytest.fixture(scope="module")
def chapter(tmp_path_factory: pytest.TempPathFactory) -> MiniBook:
    """A repository with a book of this one chapter, written from the page."""
    root = tmp_path_factory.mktemp("added")
    book = MiniBook(root / "book")
    book.folder.mkdir()
    book.write("my_paper", notebook())
    book.configure("```{chapters}\n```\n\n```{ledger}\n```\n")
    for path, text in blocks().items():
        if path.endswith((".yaml", ".bib")):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
    # What the chapter refers to on other pages.
    intro = book.folder / "intro.md"
    intro.write_text(f"{intro.read_text()}\n(sums-of-sinusoids)=\n## Another chapter\n")
    (book.folder / "bibliography.md").write_text("# Papers\n\n```{bibliography}\n```\n")
    (book.folder / "add_a_paper.md").write_text(PAGE.read_text("utf-8"))
    toc = yaml.safe_load((book.folder / "_toc.yml").read_text())
    toc["chapters"] = [
        *yaml.safe_load(blocks()["_toc.yml, among the papers by their year"]),
        {"file": "add_a_paper"},
        {"file": "bibliography"},
    ]
    (book.folder / "_toc.yml").write_text(yaml.safe_dump(toc))
    return book


def test_the_chapter_builds_and_its_claim_reaches_the_front_page(chapter: MiniBook):
    done = chapter.build("-W", "-n", "--keep-going")
    assert done.returncode == 0, done.stdout
    (claim,) = json.loads((chapter.html / "ledger.json").read_text())["claims"]
    assert claim["id"] == "my-low-first"
    assert claim["verdict"] == "replicated"
    assert claim["profile"] == "quick", "the notebook agrees with its own defaults"
    front = (chapter.html / "intro.html").read_text("utf-8")
    assert "Which frequency comes first?" in front
    assert "Is a low frequency learned before a high one?" in front
    assert "Author" in front


@pytest.fixture
def run_cells(chapter: MiniBook, monkeypatch: pytest.MonkeyPatch) -> RunCells:
    """A function that runs cells in this process; a kernel for each takes seconds."""
    monkeypatch.chdir(chapter.folder)
    monkeypatch.setenv("CI", "1")
    monkeypatch.setattr("spectral_book.chapter.chapter.display", lambda *_, **__: None)

    def run(cells: Sequence[str], **parameters: Any) -> dict[str, Any]:
        injected = "\n".join(f"{k} = {v!r}" for k, v in parameters.items())
        namespace: dict[str, Any] = {"__name__": "chapter", "In": [""]}
        with plt.rc_context():
            for source in (cells[0], injected, *cells[1:]):
                namespace["In"].append(source)
                exec(compile(source, "cell", "exec", dont_inherit=True), namespace)
        return namespace

    return run


def code_cells() -> list[str]:
    return [cell.source for cell in notebook().cells if cell.cell_type == "code"]


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_runs_at_toy_size(
    run_cells: RunCells, capsys: pytest.CaptureFixture[str], profile: str
):
    given = yaml.safe_load(blocks()[f"params/{profile}/my_paper.yaml"])
    run_cells(code_cells(), **given | {"device": "cpu", "width": 8, "steps": 20})
    printed = capsys.readouterr().out
    assert f"profile {profile}, changed" in printed
    assert "my-low-first" in printed


def test_the_notebook_is_what_the_checks_of_chapters_ask_for(chapter: MiniBook):
    claims = load_claims(chapter.folder / "claims" / "my_paper.yaml")
    assert (claims.chapter, claims.citation) == ("my_paper", "author2030")
    path = chapter.folder / "my_paper.ipynb"
    known = papermill.inspect_notebook(str(path))
    assert all(p["help"] and p["inferred_type_name"] != "None" for p in known.values())
    for profile in PROFILES:
        given = yaml.safe_load(blocks()[f"params/{profile}/my_paper.yaml"])
        assert given["profile"] == profile
        assert set(given) <= set(known)
    checked = [c for c in notebook().cells if "nbval-check-output" in str(c.metadata)]
    assert len(checked) == 1
    shown = [c for c in notebook().cells if "chapter.show(figure" in c.source]
    assert shown
    assert all(c.metadata["mystnb"]["image"]["alt"] for c in shown)
    settings = ["--config", str(REPOSITORY / "pyproject.toml")]
    ruff = [sys.executable, "-m", "ruff", "check", "--no-cache", *settings, str(path)]
    done = subprocess.run(ruff, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


MISTAKES = {
    "widht": (r"\bwidth: int", "widht: int"),
    "steps": (r"steps: int.*\n", ""),
    "claims file": (r'"my_paper", P', '"my_papers", P'),
    "claim id": (r'judge\("my-low-first"', 'judge("my-first"'),
    "never judged": (r"chapter\.judge\([^)]*\)[^)]*\),\n.*\)", "pass"),
    "arguments": (r'return \{"a": low, "b": high\}', 'return {"x": low}'),
}
SAID = {
    "widht": "Unknown parameter 'widht': did you mean 'width'?",
    "steps": "Parameter 'steps' is missing.",
    "claims file": "There is no claims file claims/my_papers.yaml.",
    "claim id": "No claim 'my-first' in the chapter's claims file.",
    "never judged": "Claims never judged: my-low-first.",
    "arguments": "difference() got an unexpected keyword argument 'x'",
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_says_what_the_page_tells(run_cells: RunCells, name: str):
    pattern, replacement = MISTAKES[name]
    made = [re.sub(pattern, replacement, source) for source in code_cells()]
    assert made != code_cells()
    toy = {} if name == "steps" else {"steps": 20}
    with pytest.raises((ValueError, KeyError, TypeError)) as told:
        run_cells(made, **toy)
    assert SAID[name] in str(told.value)
    page = PAGE.read_text("utf-8").replace("my_paper.yaml", "my_papers.yaml")
    assert SAID[name] in page
