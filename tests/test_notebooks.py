"""Committed notebooks are in their one form, and every chapter is wired up."""

import ast
import subprocess
import sys
from pathlib import Path

import nbformat
import papermill
import pytest
import yaml

from spectral_book.claims.claims_file import load_claims

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "book").glob("*.ipynb"))
CHAPTERS = [p for p in NOTEBOOKS if (p.parent / "claims" / f"{p.stem}.yaml").is_file()]
SCRIPT = ROOT / "scripts" / "refresh_notebooks.py"


def run(*arguments):
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_committed_notebooks_hold_nothing_but_the_checked_table():
    done = run("--check", *NOTEBOOKS)
    assert done.returncode == 0, done.stdout + done.stderr
    for path in CHAPTERS:
        cells = nbformat.read(path, as_version=4).cells
        with_outputs = [c for c in cells if c.get("outputs")]
        assert len(with_outputs) == 1, path
        assert "nbval-check-output" in with_outputs[0].metadata.tags


def test_the_script_strips_what_a_session_leaves_and_is_idempotent(tmp_path):
    path = tmp_path / "used.ipynb"
    notebook = nbformat.read(CHAPTERS[0], as_version=4)
    for number, cell in enumerate(c for c in notebook.cells if c.cell_type == "code"):
        cell.execution_count = number + 7
        if not cell.outputs:
            cell.outputs = [nbformat.v4.new_output("stream", text="left over")]
    notebook.metadata["widgets"] = {"state": {}}
    nbformat.write(notebook, path)
    assert run("--check", path).returncode == 1
    assert run("--strip", path).returncode == 0
    first = path.read_bytes()
    assert run("--strip", path).returncode == 0
    assert path.read_bytes() == first == CHAPTERS[0].read_bytes()


@pytest.mark.processes
def test_the_script_runs_a_notebook_and_keeps_the_checked_table_or_says_what_failed(
    tmp_path,
):
    path = tmp_path / "small.ipynb"

    def write(first):
        cells = [nbformat.v4.new_code_cell(source) for source in (first, "print(x)")]
        cells[1].metadata["tags"] = ["nbval-check-output"]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), path)

    write("print('gone'); x = 3")
    assert run(path).returncode == 0
    cells = nbformat.read(path, as_version=4).cells
    assert [[o["text"] for o in cell.outputs] for cell in cells] == [[], ["3\n"]]
    write("import threading; x = threading.Thread(target=int, args='a'); x.start()")
    before = path.read_bytes()
    done = run(path)
    assert done.returncode == 1
    assert "chapter small failed, cell" in done.stderr
    assert path.read_bytes() == before


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_every_chapter_has_claims_profiles_and_a_place_in_the_book(path):
    name = path.stem
    assert load_claims(ROOT / "book" / "claims" / f"{name}.yaml").chapter == name
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    assert name in [page["file"] for part in toc["parts"] for page in part["chapters"]]
    known = papermill.inspect_notebook(str(path))
    assert all(p["inferred_type_name"] != "None" for p in known.values())
    assert all(p["help"] for p in known.values()), "each parameter says what it is"
    for profile in ("gpu", "paper"):
        given = yaml.safe_load((ROOT / "params" / profile / f"{name}.yaml").read_text())
        assert set(given) <= set(known), f"{profile} sets unknown parameters"
        assert given["profile"] == profile


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_every_figure_has_an_alternative_text(path):
    drawing = {"chapter.show", "chapter.try_it"}
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type != "code":
            continue
        statements = ast.parse(cell.source).body
        helpers = [s for s in statements if isinstance(s, ast.FunctionDef)]
        drawing |= {one.name for one in helpers if drawing & calls([one])}
        if "player(" in cell.source:  # its caption is its text
            continue
        if drawing & calls([s for s in statements if s not in helpers]):
            alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt")
            assert alt, cell.source


def calls(statements):
    """Names of what statements call, with a dot where they are of an object."""
    nodes = [node for statement in statements for node in ast.walk(statement)]
    return {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}
