"""The numbers of figures are those that were drawn, few and short."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pytest

from spectral_book.chapter.drawn import MOST_CELLS, MOST_POINTS, numbers


@pytest.fixture
def drawn():
    """A function that draws on an axes and returns the axes' numbers."""

    def drawn(draw):
        figure, axes = plt.subplots()
        draw(axes)
        found = numbers(figure)
        plt.close(figure)
        json.dumps(found, allow_nan=False)
        return found[0]

    return drawn


def curve(x, y, label=""):
    return {"label": label, "x": x, "y": y}


@pytest.mark.parametrize(
    ("draw", "curves"),
    [
        (
            lambda ax: ax.plot([1, 2], [0.123456, np.nan], label="a"),
            [curve([1.0, 2.0], [0.12346, None], "a")],
        ),
        (lambda ax: (ax.axhline(1), ax.axvline(2), ax.axline((0, 0), slope=1)), []),
        (
            lambda ax: ax.bar([1, 2], [3, -4], label="b"),
            [curve([1.0, 2.0], [3.0, -4.0], "b")],
        ),
        (lambda ax: ax.barh(["p", "q"], [3, 4]), [curve([3.0, 4.0], [0.0, 1.0])]),
        (lambda ax: ax.scatter([1], [2], label="s"), [curve([1.0], [2.0], "s")]),
        (
            lambda ax: ax.errorbar([1], [2], yerr=0.5),
            [curve([1.0], [2.0]), curve([1.0, 1.0], [1.5, 2.5])],
        ),
    ],
)
def test_curves_bars_and_dots_are_points(drawn, draw, curves):
    assert drawn(draw)["curves"] == curves


def test_an_area_is_the_curve_round_it(drawn):
    (area,) = drawn(lambda ax: ax.fill_between([0, 1], [1, 2], [3, 5]))["curves"]
    assert {*zip(area["x"], area["y"], strict=True)} == {(0, 1), (1, 2), (1, 5), (0, 3)}


@pytest.mark.parametrize(
    "draw",
    [
        lambda ax: ax.pcolormesh([0, 1, 3], [4, 5], [[1.0, np.inf]]),
        lambda ax: ax.imshow([[1.0, np.inf]], extent=(0, 2, 5, 4)),
        lambda ax: ax.imshow([[1.0, np.inf]], extent=(0, 2, 4, 5), origin="lower"),
    ],
)
def test_a_map_has_its_values_and_where_they_begin(drawn, draw):
    (found,) = drawn(draw)["maps"]
    assert found == {"x": [0.0, 1.0], "y": [4.0], "values": [[1.0, None]]}


def test_what_is_long_is_thinned(drawn):
    many = np.arange(3 * MOST_POINTS)
    (line,) = drawn(lambda ax: ax.plot(many, many))["curves"]
    assert line["x"] == line["y"] == list(range(0, 3 * MOST_POINTS, 3))
    cells = np.zeros((2 * MOST_CELLS, 3))
    (found,) = drawn(lambda ax: ax.imshow(cells, aspect="auto"))["maps"]
    assert (len(found["values"]), len(found["y"])) == (MOST_CELLS, MOST_CELLS)
    assert (len(found["values"][0]), len(found["x"])) == (3, 3)


def test_axes_have_labels_scales_and_names_and_bars_of_colours_are_left_out():
    figure, (one, other) = plt.subplots(1, 2)
    one.set(title="t", xlabel="x", yscale="log")
    other.set_xticks([0, 1, 7], ["p", "q", "beyond"])
    other.set_yticks([0], ["r"])
    other.set_title("u", loc="left")
    figure.colorbar(other.imshow([[1, 2]]), ax=other)
    found = numbers(figure)
    plt.close(figure)
    assert [axes["title"] for axes in found] == ["t", "u"]
    assert found[0]["x"] == {"label": "x", "scale": "linear", "names": {}}
    assert (found[0]["y"]["scale"], found[1]["y"]["names"]) == ("log", {"r": 0})
    assert found[1]["x"]["names"] == {"p": 0, "q": 1, "beyond": 7}


def test_a_picture_in_colours_is_no_map(drawn):
    assert drawn(lambda ax: ax.imshow(np.zeros((2, 2, 3))))["maps"] == []
