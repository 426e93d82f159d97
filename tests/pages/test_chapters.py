"""A real chapter at a tiny size: the same numbers, until a probe is changed."""

import shutil

import pytest
from minibook import REPOSITORY, clean_environment

from spectral_book.claims.ledger import claims_of
from spectral_book.runner import NotebookJob, execute_notebooks

pytestmark = pytest.mark.processes

CHAPTER = "derivative_operator"
TINY = {
    "points": 64,
    "functions": 24,
    "test_functions": 8,
    "batch_size": 8,
    "channels": 4,
    "kernel_sizes": [3, 7],
    "layer_counts": [3, 4],
    "epochs": 6,
    "loss_epochs": 8,
    "gap_epochs": 8,
    "last_epochs": 2,
    "early_learning_rate": 1e-2,
    "early_epochs": 60,
    "early_readings": [4, 40],
    "watched_kernels": [3, 7],
    "measure_every": 1,
}


def rows_of(library):
    """Execute the chapter with a library of its own; its rows but for the seconds."""
    book = REPOSITORY / "book"
    job = NotebookJob(CHAPTER, book / f"{CHAPTER}.ipynb", parameters=TINY)
    own = {"PYTHONPATH": str(library), "OMP_NUM_THREADS": "1"}
    environment = clean_environment() | own
    (run,) = execute_notebooks([job], at_once=1, environment=environment)
    assert run.failure is None, run.failure
    rows = claims_of(CHAPTER, run.notebook)
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


def test_runs_give_the_same_numbers_until_a_probe_is_changed(tmp_path):
    shutil.copytree(REPOSITORY / "spectral_lib", tmp_path / "spectral_lib")
    first, second = rows_of(tmp_path), rows_of(tmp_path)
    assert len(first) > 20
    for row in first:
        assert row["control"]["name"]
    assert sum(len(row["values"]) >= 5 for row in first) > 15
    assert first == second

    probe = tmp_path / "spectral_lib" / "probes" / "errors.py"
    text = probe.read_text("utf-8")
    assert text.count("cosine = output @ target") == 1
    probe.write_text(text.replace("= output @ target", "= -output @ target"), "utf-8")
    right, wrong = (
        {row["id"]: row["verdict"] for row in rows}
        for rows in (first, rows_of(tmp_path))
    )
    # So small a chapter leaves it open: its control does as well.
    assert right["shape-before-amplitude"] != "not replicated"
    assert wrong["shape-before-amplitude"] == "not replicated"
