"""What chapters refuse to run with, and that their profiles fit them."""

import ast
import functools
from pathlib import Path

import nbformat
import pytest
import yaml

from spectral_book.chapter.parameters import ParameterError

ROOT = Path(__file__).parents[2]


@functools.cache
def chapter(name: str) -> tuple[dict, type]:
    """A chapter's defaults, and the class that checks them."""
    notebook = nbformat.read(ROOT / "book" / f"{name}.ipynb", as_version=4)
    first, second = [c.source for c in notebook.cells if c.cell_type == "code"][:2]
    defaults = {
        line.target.id: ast.literal_eval(line.value) for line in ast.parse(first).body
    }
    namespace: dict = {"__name__": "chapter"}
    exec(f"{first}\n{second}".split("\nP = ")[0], namespace)
    return defaults, namespace["Parameters"].completed(namespace)


CHAPTERS = sorted(path.stem for path in (ROOT / "book" / "claims").glob("*.yaml"))


@pytest.mark.parametrize("name", CHAPTERS)
def test_defaults_and_profiles_are_possible(name):
    defaults, parameters = chapter(name)
    parameters.check(defaults)
    for path in sorted((ROOT / "params").glob(f"*/{name}.yaml")):
        profile = path.parent.name
        changed = yaml.safe_load(path.read_text("utf-8"))
        assert profile == "desk" or changed["device"] == "cuda"
        assert "data_root" not in changed  # of the user's machine alone
        changed["device"] = "cpu"
        assert parameters.check(defaults | changed).profile == profile


@pytest.mark.parametrize(
    ("name", "parameter", "value", "said"),
    [
        ("common_yardstick", "waves", [1, 2], "at least 3 items"),
        ("common_yardstick", "waves", [1, 2, 162], "below half of the 324 test points"),
        ("common_yardstick", "test_every", 200, "below half of the 6 test points"),
        ("common_yardstick", "train_images", 36, "below half of the 9 test points"),
        ("common_yardstick", "middle", 7, "and hold middle = 7"),
        ("common_yardstick", "epochs", 6, "must end before epochs = 6"),
        ("derivative_operator", "kernel_sizes", [3, 8], "odd number"),
        ("derivative_operator", "kernel_sizes", [1, 3], "3 or larger"),
        ("derivative_operator", "seeds", [], "at least 1"),
        ("derivative_operator", "low", [5, 1], "lowest <= highest"),
        ("derivative_operator", "test_functions", 100, "leaves none of the 100"),
        ("derivative_operator", "batch_size", 21, "larger than the training set"),
        ("derivative_operator", "points", 100, "use more than 102"),
        ("derivative_operator", "loss_epochs", 100, "must lie between epochs = 150"),
        ("derivative_operator", "gap_epochs", 300, "and gap_epochs = 300"),
        ("derivative_operator", "high", [5, 10], "must begin above the end of low"),
        ("derivative_operator", "reading", "book", "'notebook' or 'paper'"),
        ("derivative_operator", "learning_rate", "1e-3", "valid number"),
        ("derivative_operator", "kernel_size", 3, "did you mean 'kernel_sizes'"),
        ("double_descent", "width", 100.0, "must be one of widths"),
        ("double_descent", "widths", [256.0, 64.0], "must rise"),
        ("double_descent", "noise", 0.3, "must be below more_noise"),
        ("double_descent", "epochs", 50, "too short for patience = 30"),
        ("double_descent", "samples", 127, "a multiple of 2"),
        ("double_descent", "others", ["mnist mlp 8"], "others.0"),
        ("double_descent", "other_noise", [0.2], "noise = 0.1 must be in other_noise"),
        ("double_descent", "padding", -1, "padding"),
        ("double_descent", "family", "cnn", "family = 'cnn'"),
        ("frequency_dynamics", "sigma_a", -1.0, "greater than or equal to 0"),
        ("frequency_dynamics", "share", 2.0, "must be below 2"),
        ("frequency_dynamics", "share", 0.0, "share = 0.0"),
        ("frequency_dynamics", "width", 8001, "a multiple of 2"),
        ("frequency_dynamics", "widths", [8000, 500], "must rise"),
        ("frequency_dynamics", "frequencies", [50.0, 10.0], "must rise"),
        ("frequency_dynamics", "long_shares", [0.5, 2.0], "must be below 2"),
        ("frequency_dynamics", "reach", 60, "use more than 80"),
        ("function_frequency", "cycles", [0.15, 0.3], "must hold 0.8 or more"),
        ("function_frequency", "first_cycles", 0.2, "must be one of cycles"),
        ("function_frequency", "offsets", [1, 2, 4], "must be 0 and then rise"),
        ("function_frequency", "few_decays", [1e-3, 1e-2], "must be 0 and then rise"),
        ("function_frequency", "second_family", ["cnn 4"], "at least 2"),
        ("function_frequency", "strengths", [0.1, 0.5], "0.1, 0.5, 1.0 and 10.0"),
        (
            "function_frequency",
            "sizes",
            [50, 100, 200],
            "at most the smallest of sizes",
        ),
        ("function_frequency", "epochs", 20, "before the last epoch"),
        ("instabilities", "kernel_size", 65, "kernel_size = 65"),
        ("instabilities", "kernel_size", 11, "kernel_size = 11"),
        ("instabilities", "weight_decay", -1e-4, "weight_decay = -0.0001"),
        ("instabilities", "learning_rate", 0.0, "learning_rate = 0.0"),
        ("instabilities", "sweep_rates", [0.0, 0.1], "sweep_rates.0 = 0.0"),
        ("instabilities", "sweep_rates", [0.2, 0.1], "must rise"),
        ("instabilities", "limit_decays", [-1.0, 1.0], "limit_decays.0 = -1.0"),
        ("instabilities", "factors", [3, 4], "must be odd numbers from 3 up"),
        ("instabilities", "factors", [3, 2.5], "factors.1 = 2.5"),
        ("instabilities", "factors", [5, 7], "with 3 among them"),
        ("instabilities", "train_images", -1, "train_images = -1"),
        ("instabilities", "data", "mnist", "data = 'mnist'"),
        ("instabilities", "momentum", 1.0, "momentum = 1.0"),
        ("instabilities", "final_epochs", 99, "more than epochs"),
        ("instabilities", "weight_deacy", 1.0, "did you mean 'weight_decay'"),
        ("sums_of_sinusoids", "points", 16, "cannot carry frequency 8; use more than"),
        ("sums_of_sinusoids", "layers", 2, "layers = 2"),
        ("sums_of_sinusoids", "frequencies", [2, 1], "must rise"),
        ("sums_of_sinusoids", "lowest_amplitude", 0.0, "lowest_amplitude = 0.0"),
        ("sums_of_sinusoids", "lowest_amplitude", 1.0, "lowest_amplitude = 1.0"),
    ],
)
def test_impossible_parameter(name, parameter, value, said):
    defaults, parameters = chapter(name)
    with pytest.raises(ParameterError) as told:
        parameters.check(defaults | {parameter: value})
    assert said in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("wrong", [float("inf"), float("nan")])
@pytest.mark.parametrize("name", CHAPTERS)
def test_no_number_may_be_infinite_or_none(name, wrong):
    defaults, parameters = chapter(name)
    for parameter, value in defaults.items():
        several = isinstance(value, list) and [type(v) for v in value][-1:] == [float]
        if several or isinstance(value, int | float):
            given = [*value[:-1], wrong] if several else wrong
            with pytest.raises(ParameterError, match=parameter):
                parameters.check(defaults | {parameter: given})


@pytest.mark.parametrize(
    ("parameter", "points"), [("points", 40), ("fine_points", 120)]
)
def test_too_few_points_are_told_with_their_nyquist_number(parameter, points):
    defaults, parameters = chapter("frequency_dynamics")
    with pytest.warns(UserWarning, match=rf"^{points} points .* \(Nyquist\)"):
        parameters.check(defaults | {parameter: points})
