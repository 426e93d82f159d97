"""A run with other parameters than its profile's says only what is true of itself."""

import re
from html import unescape
from pathlib import Path

import pytest

from spectral_book.claims.ledger import claims_of, runs_of
from spectral_book.runner import NotebookJob, execute_notebooks

pytestmark = pytest.mark.processes

NAME = "sums_of_sinusoids"
BOOK = Path(__file__).resolve().parents[2] / "book"
CHANGED = {
    "seeds": [1, 2, 3, 4],
    "width": 32,
    "layers": 4,
    "frequencies": [1, 2, 3, 5],
    "points": 16,
    "steps": 60,
    "petal_steps": 40,
    "feature_steps": 20,
}


@pytest.fixture(scope="module")
def changed():
    """The executed notebook of a run that is too short to learn anything."""
    job = NotebookJob(NAME, BOOK / f"{NAME}.ipynb", parameters=CHANGED)
    (run,) = execute_notebooks([job], at_once=1, environment={"OMP_NUM_THREADS": "1"})
    assert run.failure is None, run.failure
    return run.notebook


def said(notebook) -> str:
    """All that a run says in text, tags left out."""
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", [])]
    texts = [
        output.get("text", "") + "".join(map(str, output.get("data", {}).values()))
        for output in outputs
        if "image/png" not in output.get("data", {})
    ]
    return " ".join(unescape(re.sub("<[^>]*>", " ", " ".join(texts))).split())


def test_every_row_names_the_run_as_changed(changed):
    rows = claims_of(NAME, changed)
    assert {row["profile"] for row in rows} == {"quick, changed"}
    assert {row["n"] + row["missing"] for row in rows if row["n"]} <= {2, 4}
    # What was measured of rounding belongs to the profile's own run.
    assert {row["rounding_decides"] for row in rows} == {False}


def test_what_differs_from_the_paper_is_this_run_s(changed):
    (run,) = runs_of(NAME, changed)
    here = {one["name"]: (one["here"], one["paper"]) for one in run["differences"]}
    assert here["width"] == ("32", "256")
    assert here["frequencies"][0] == "1, 2, 3, 5"
    assert here["layers"] == ("4", "6")
    assert run["parameters"]["steps"] == 60


def test_no_sentence_speaks_of_the_usual_run(changed):
    text = said(changed)
    for usual in ("width 64", "48 points", "4,000", "12 networks", "seeds 1 to 12"):
        assert usual not in text
    assert "seeds 1 to 4" in text
    never = re.search(r"Never at 90 % are (\d+) of (\d+) sines .* (\d+) with", text)
    assert int(never[2]) == len(CHANGED["frequencies"]) * len(CHANGED["seeds"])
    assert int(never[1]) <= int(never[2])
    assert "the last step, 60." in text
    assert not re.search(r"\bnan\b", text)


def test_a_run_that_learned_nothing_replicates_no_order(changed):
    rows = {row["id"]: row for row in claims_of(NAME, changed)}
    for name in ("sum-high-late", "sum-high-untouched", "sum-low-first"):
        assert rows[name]["rule"] != "replicated"
