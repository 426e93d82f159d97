"""Parameters of a chapter: every wrong one is told in a sentence."""

import nbformat
import pytest

from spectral_book.chapter.parameters import (
    ChapterParameters,
    Count,
    Even,
    Kernel,
    NotNegative,
    ParameterError,
    Positive,
    Precision,
    Range,
    Rising,
    RisingKernels,
    assigned,
    defaults,
)

GOOD = {
    "profile": "quick",
    "seeds": [1, 2],
    "device": "cpu",
    "points": 10,
    "rate": 0.1,
    "span": [1, 5],
    "kernel": 3,
    "kernels": [3, 7],
    "depths": [3, 4],
    "width": 2,
}


class Sample(ChapterParameters):
    points: Count
    rate: Positive
    span: Range
    kernel: Kernel
    kernels: RisingKernels
    depths: Rising
    width: Even


def test_good_parameters_are_frozen():
    p = Sample.check(GOOD)
    assert p.kernels == [3, 7]
    with pytest.raises(ValueError, match="frozen"):
        p.points = 3


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("profile", "quik", "'quick', 'desk', 'gpu' or 'paper'"),
        ("seeds", [], "at least 1"),
        ("seeds", [1, 1], "twice"),
        ("seeds", 3, "list"),
        ("seeds", [-1], "greater than or equal to 0"),
        ("seeds", [2**32], "less than 4294967296"),
        ("width", 0, "greater than or equal to 2"),
        ("width", 3, "a multiple of 2"),
        ("device", "tpu", "'auto', 'cpu' or 'cuda'"),
        ("points", 0, "greater than or equal to 1"),
        ("points", "10", "valid integer"),
        ("points", 2.5, "valid integer"),
        ("rate", 0.0, "greater than 0"),
        ("rate", "1e-3", "valid number"),
        ("span", [5, 1], "lowest <= highest"),
        ("span", [0, 1], "1 <= lowest"),
        ("span", [1, 2, 3], "at most 2"),
        ("kernel", 4, "odd"),
        ("kernel", 1, "3 or larger"),
        ("kernels", [3], "at least 2"),
        ("kernels", [7, 3], "rise"),
        ("kernels", [3, 8], "odd"),
        ("depths", [4, 4], "rise"),
    ],
)
def test_each_impossible_value_is_named(name, value, words):
    with pytest.raises(ParameterError, match=words) as caught:
        Sample.check(GOOD | {name: value})
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_and_missing_names():
    with pytest.raises(ParameterError, match="did you mean 'kernels'"):
        Sample.check(GOOD | {"kernals": [3]})
    with pytest.raises(ParameterError, match="'rate' is missing"):
        Sample.check({k: v for k, v in GOOD.items() if k != "rate"})


def cell(values):
    return "\n".join(f"{k}: object = {v!r}  # why" for k, v in values.items())


def test_reading_a_running_notebook():
    injected = "# Parameters\npoints = 20\n"
    namespace = GOOD | {
        "points": 20,
        "In": ["", cell(GOOD), injected, "Sample.read(globals())"],
    }
    assert Sample.read(namespace).points == 20


def test_defaults_are_those_of_the_tagged_cell(tmp_path):
    cells = [nbformat.v4.new_code_cell("points = 3")]
    tagged = nbformat.v4.new_code_cell(cell(GOOD), metadata={"tags": ["parameters"]})
    path = tmp_path / "chapter.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[*cells, tagged]), path)
    assert defaults(path) == GOOD


def test_a_misspelt_name_is_refused_and_may_be_corrected_in_the_same_kernel():
    wrong = cell({k: v for k, v in GOOD.items() if k != "rate"} | {"rat": 0.1})
    check = "Sample.read(globals())"
    namespace = GOOD | {"rat": 0.1, "In": ["", wrong, check]}
    with pytest.raises(ParameterError, match="did you mean 'rate'"):
        Sample.read(namespace)
    namespace["In"] += [cell(GOOD), check]
    assert Sample.read(namespace).rate == 0.1


@pytest.mark.parametrize(
    ("cells", "names"),
    [
        (["a = 1", "import os", "b: int = 2", "c = print(3)", "d += 4"], "d c b"),
        (["a = b, *c = 1, 2", "%time d = 1", "e: int"], "e"),
        (
            ["profile = f()\nimport os\nif os:\n    b = 1", "c = 2", "def f(): d = 1"],
            "profile b",
        ),
        (["profile = [i for i in b]\nfrom a import b as c\ndef d(): e = 1"], "profile"),
        (["profile = 1\nfor a in b:\n    c = 1", "d = 2"], "d profile a c"),
        (
            ["profile = 1; a = 2", "print()", "profile = 2; b = 2", "print()"],
            "profile b",
        ),
    ],
)
def test_names_are_those_of_the_parameters_cell_and_of_assignments_just_before(
    cells, names
):
    assert assigned({"In": ["", *cells, "now"]}) == names.split()


@pytest.mark.parametrize(
    "line",
    [
        "seeds = list(range(1, 6)); pointz = 3",
        "rate = float('inf'); pointz = 3",
        "import math; pointz = math.pi",
        "if seeds: pointz = 3",
        "for pointz in seeds: pass",
    ],
)
def test_a_misspelt_name_beside_an_expression_is_refused(line):
    namespace: dict = {}
    exec(f"{cell(GOOD)}\n{line}", namespace)
    namespace["In"] = ["", f"{cell(GOOD)}\n{line}", "Sample.read(globals())"]
    with pytest.raises(ParameterError, match="'pointz': did you mean 'points'"):
        Sample.read(namespace)


class Trained(ChapterParameters):
    precision: Precision


def trained(precision, device="cpu"):
    return Trained.check(
        {"profile": "quick", "seeds": [1], "device": device, "precision": precision}
    )


def test_precision_that_a_device_lacks_is_refused_before_training():
    assert trained("bf16").precision == "bf16"
    for precision, said in (
        ("float16", "precision = 'float16': Input should be 'float32', 'tf32'"),
        ("tf32", "precision is 'tf32', which belongs to CUDA, and the device is cpu"),
    ):
        with pytest.raises(ParameterError) as told:
            trained(precision)
        assert str(told.value).startswith(said)
    with pytest.raises(ParameterError) as told:  # of a wrong device that alone is said
        trained("bf16", "tpu")
    assert str(told.value) == "device is 'tpu'; use 'auto', 'cpu' or 'cuda'."


def test_a_device_without_the_precision(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "An old GPU")
    with pytest.raises(ParameterError, match="An old GPU has no TF32"):
        trained("tf32", "cuda")


class Unusual(ChapterParameters):
    share: NotNegative


ANNOTATED = """
profile: str = "quick"
seeds: list[int] = [1]
device: str = "cpu"
share: float = 0.0
steps: int = 5
rate: float = 0.1
sizes: list[int] = [1, 2]
"""


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("steps = 0", "steps = 0: Input should be greater than or equal to 1"),
        ("steps = 1.5", "steps = 1.5: Input should be a valid integer"),
        ("rate = 0.0", "rate = 0.0: Input should be greater than 0"),
        ("rate = float('inf')", "finite number"),
        ("rate = float('nan')", "finite number"),
        ("share = -1.0", "share = -1.0: Input should be greater than or equal to 0"),
        ("sizes = []", "at least 1 item"),
        ("sizes = [0]", "sizes.0 = 0"),
    ],
)
def test_a_parameter_that_the_class_does_not_name_has_the_type_of_its_cell(line, said):
    namespace: dict = {}
    exec(ANNOTATED, namespace)
    assert Unusual.read(namespace).model_dump()["sizes"] == [1, 2]
    exec(line, namespace)
    with pytest.raises(ParameterError) as told:
        Unusual.read(namespace)
    assert said in str(told.value)


def test_a_misspelt_name_of_the_class_is_missing():
    namespace: dict = {}
    exec(ANNOTATED.replace("share", "shaer"), namespace)
    with pytest.raises(ParameterError, match="'share' is missing"):
        Unusual.read(namespace)
