"""What the chapter on instabilities refuses to run with, and that profiles fit it."""

import ast
from pathlib import Path

import nbformat
import pytest
import yaml

from spectral_lib.book.parameters import ParameterError

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def chapter():
    """The chapter's defaults, and the class that checks them."""
    notebook = nbformat.read(ROOT / "book" / "instabilities.ipynb", as_version=4)
    first, second = [c.source for c in notebook.cells if c.cell_type == "code"][:2]
    defaults = {
        line.target.id: ast.literal_eval(line.value) for line in ast.parse(first).body
    }
    namespace: dict = {"__name__": "chapter"}
    exec(second.split("\nP = ")[0], namespace)
    return defaults, namespace["Parameters"]


def test_defaults_and_profiles_are_possible(chapter):
    defaults, parameters = chapter
    parameters.check(defaults)
    for profile in ("gpu", "paper"):
        path = ROOT / "params" / profile / "instabilities.yaml"
        changed = yaml.safe_load(path.read_text("utf-8"))
        assert parameters.check(defaults | changed).profile == profile


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("kernel_size", 257, "larger than the image"),
        ("kernel_sizes", [16, 300], "larger than the image"),
        ("equation_decay", 0.0, "equation_decay = 0.0"),
        ("weight_decay", -1e-4, "weight_decay = -0.0001"),
        ("learning_rate", 0.0, "learning_rate = 0.0"),
        ("sweep_rates", [0.0, 0.1], "sweep_rates.0 = 0.0"),
        ("sweep_rates", [0.2, 0.1], "must rise"),
        ("limit_decays", [-1.0, 1.0], "limit_decays.0 = -1.0"),
        ("factors", [3, 4], "must be odd numbers from 3 up"),
        ("factors", [3, 2.5], "factors.1 = 2.5"),
        ("factors", [5, 7], "with 3 among them"),
        ("precision", "float16", "precision = 'float16'"),
        ("data", "mnist", "data = 'mnist'"),
        ("momentum", 1.0, "momentum = 1.0"),
        ("final_epochs", 99, "more than epochs"),
        ("weight_deacy", 1.0, "did you mean 'weight_decay'"),
    ],
)
def test_impossible_parameter(chapter, name, value, said):
    defaults, parameters = chapter
    with pytest.raises(ParameterError) as told:
        parameters.check(defaults | {name: value})
    assert said in str(told.value)
    assert "\n" not in str(told.value)
