"""In what a run differs from the paper's, computed from parameters and comments."""

import nbformat
import pytest

from spectral_book.chapter.differences import differences, meanings
from spectral_book.chapter.parameters import parameters_cell

CELL = """# Of all runs
seeds = [1, 2]  # random starts
rates = [  # learning rates,
    1e-3,  # slow
    1e-2,
]
size: int = 16  # image size
plain = "a"
device = "cpu"  # where it runs
"""


@pytest.fixture
def notebook(tmp_path):
    """A notebook with parameters, and one without."""
    cell = nbformat.v4.new_code_cell(CELL, metadata={"tags": ["parameters"]})
    other = nbformat.v4.new_code_cell("seeds = 3  # another cell")
    nbformat.write(nbformat.v4.new_notebook(cells=[other, cell]), tmp_path / "c.ipynb")
    nbformat.write(nbformat.v4.new_notebook(cells=[other]), tmp_path / "bare.ipynb")
    return tmp_path / "c.ipynb"


def test_a_parameter_is_what_its_comment_says(notebook):
    assert meanings(parameters_cell(notebook.read_text())) == {
        "seeds": "random starts",
        "rates": "learning rates, slow",
        "size": "image size",
        "plain": "",
        "device": "where it runs",
    }
    assert parameters_cell(notebook.with_name("bare.ipynb").read_text()) == ""
    assert meanings("") == {}


def test_values_that_differ_are_told_in_the_order_of_the_run():
    here = {"size": 16, "rates": [1e-3, 0.01], "same": [1, 2], "own": 1, "mode": True}
    paper = {"mode": False, "same": [1, 2], "rates": [0.001, 0.1], "size": 32.0}
    found = differences(here, paper, {"size": "image size"})
    assert [tuple(one.values()) for one in found] == [
        ("size", "16", "32", "image size"),
        ("rates", "0.001, 0.01", "0.001, 0.1", ""),
        ("mode", "True", "False", ""),
    ]
    assert differences({"size": 16}, {"size": 16.0}, {}) == []


def test_where_a_chapter_runs_is_no_difference():
    here = {"device": "cpu", "data_root": "/here", "profile": "quick", "precision": "a"}
    paper = dict.fromkeys(here, "other")
    (only,) = differences(here, paper, {})
    assert only == {
        "name": "precision",
        "here": "a",
        "paper": "other",
        "meaning": "",
    }
