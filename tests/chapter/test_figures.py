"""Colours of ordered lines and the marker of an epoch show on what is behind them."""

import io

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.text import Text
from matplotlib.ticker import NullLocator
from PIL import Image

from spectral_book.chapter.figures import (
    COLUMN,
    LEAST,
    legible,
    mark_epoch,
    mean_over_seeds,
    ordered_lines,
    over_seeds,
    picture,
    points_over_seeds,
    ramp,
    use_house_style,
)


def luminance(colour):
    """Relative luminance of a colour in sRGB, as WCAG 2 defines it."""
    value = np.array(to_rgb(colour))
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return linear @ (0.2126, 0.7152, 0.0722)


@pytest.mark.parametrize("number", [1, 2, 8])
def test_ramp_goes_from_dark_to_a_colour_that_shows_on_white(number):
    lights = [luminance(colour) for colour in ramp(number)]
    assert len(lights) == number
    assert lights == sorted(set(lights))
    assert 1.05 / (lights[-1] + 0.05) > 2


def test_neighbours_among_ordered_lines_differ_in_dashes_as_well():
    looks = ordered_lines(8)
    assert [look["color"] for look in looks] == ramp(8)
    figure, axes = plt.subplots()
    for look in looks:
        axes.plot([0, 1], [0, 1], **look)
    plt.close(figure)
    styles = [look["linestyle"] for look in looks]
    assert all(one != other for one, other in zip(styles, styles[1:], strict=False))


def test_marker_of_an_epoch_is_light_and_dark_at_one_place():
    figure, axes = plt.subplots()
    mark_epoch(axes, 3.0)
    assert all(set(line.get_xdata()) == {3.0} for line in axes.lines)
    below, above = axes.lines
    assert luminance(below.get_color()) == pytest.approx(1)
    assert luminance(above.get_color()) == pytest.approx(0)
    assert (below.is_dashed(), above.is_dashed()) == (False, True)
    plt.close(figure)


@pytest.mark.parametrize(
    "setting",
    [
        "axes.facecolor: red",
        "figure.figsize: 1, 1",
        "savefig.dpi: 20",
        "savefig.transparent: True",
        "savefig.pad_inches: 2",
        "text.usetex: True",
        "lines.linestyle: :",
    ],
)
def test_a_users_settings_change_no_picture(tmp_path, setting):
    file = tmp_path / "matplotlibrc"
    file.write_text(setting)

    def drawn(own):
        with mpl.rc_context():
            if own:
                mpl.rcParams.update(mpl.rc_params_from_file(file))
            use_house_style()
            figure, axes = plt.subplots()
            axes.plot([0, 1], label="words")
            return picture(figure)

    same = drawn(own=True) == drawn(own=False)
    assert same  # and no difference of two pictures, which takes pytest minutes


def smallest(figure):
    """The smallest text of a drawn figure as a page shows it, in points."""
    figure.draw_without_rendering()
    shown = min(1, COLUMN / figure.get_figwidth())
    drawn = [
        one for one in figure.findobj(Text) if one.get_text() and one.get_visible()
    ]
    return min(one.get_fontsize() for one in drawn) * shown


@pytest.mark.parametrize("width", [6, 12])
def test_no_text_of_a_figure_is_too_small_to_read(width):
    use_house_style()
    figure, axes = plt.subplots(1, 2, figsize=(width, 2.5))
    axes[0].semilogy([1, 2], [1, 1e4], label="words")
    axes[1].imshow([[1, 2]])
    axes[1].text(0, 0, "a note", fontsize=5)
    axes[0].legend(title="title", fontsize=7, title_fontsize=6)
    axes[0].tick_params(labelsize=6)
    axes[1].yaxis.set_major_locator(NullLocator())  # an axis without numbers
    assert smallest(figure) < 6
    legible(figure)
    assert smallest(figure) == pytest.approx(LEAST)
    plt.close(figure)


def test_a_picture_is_cut_to_what_is_drawn_and_closed():
    figure = plt.figure(figsize=(4, 3), dpi=100)
    figure.text(0.5, 0.5, "words")
    with Image.open(io.BytesIO(picture(figure))) as opened:
        assert opened.format == "PNG"
        assert opened.width < 150
    assert plt.get_fignums() == []


def test_a_picture_has_a_palette_and_looks_as_it_was_drawn():
    figure, axes = plt.subplots()
    axes.plot([1, 3, 2], color="#0072B2", lw=3)
    axes.plot([2, 1, 3], color="#D55E00")
    axes.imshow(np.random.default_rng(1).random((20, 20)), extent=(0, 1, 0, 1))
    stream = io.BytesIO()
    figure.savefig(stream, format="png", bbox_inches="tight")
    data = picture(figure)
    assert len(data) < len(stream.getvalue())
    with Image.open(io.BytesIO(data)) as opened, Image.open(stream) as drawn:
        assert (opened.mode, opened.size) == ("P", drawn.size)
        change = np.subtract(opened.convert("RGB"), drawn.convert("RGB"), dtype=float)
    assert np.sqrt((change**2).mean()) < 2


def test_a_figure_that_cannot_be_drawn_raises_and_is_closed():
    figure = plt.figure()
    figure.text(0.5, 0.5, r"$\no_such_sign$")
    with pytest.raises(ValueError, match="no_such_sign"):
        picture(figure)
    assert plt.get_fignums() == []


def test_lines_over_seeds_are_geometric_means_between_the_seeds():
    y = np.array([[1.0, 4.0], [2.0, 2.0], [0.1, 10.0]])
    figure, (band, points) = plt.subplots(1, 2)
    over_seeds(band, [1, 2, 3], y, label="a", colour="red")
    points_over_seeds(points, [1, 2, 3], y, label="b", colour="red")
    for axes in (band, points):
        np.testing.assert_allclose(axes.lines[0].get_ydata(), [2, 2, 1])
    edges = band.collections[0].get_paths()[0].vertices
    for x, row in zip([1, 2, 3], y, strict=True):
        at = edges[edges[:, 0] == x, 1]
        assert (at.min(), at.max()) == (row.min(), row.max())
    seeds = [line.get_ydata().tolist() for line in points.lines[1:]]
    assert seeds == y.T.tolist()
    plt.close(figure)


def test_a_mean_over_seeds_lies_between_the_seeds():
    figure, axes = plt.subplots()
    y = [[1.0, 3.0], [-2.0, 0.0], [5.0, 5.0]]
    mean_over_seeds(axes, [1, 2, 3], y, "a", color="red")
    (line,), (band,) = axes.lines, axes.collections
    assert line.get_ydata().tolist() == [2, -1, 5]
    low, high = band.get_paths()[0].get_extents().intervaly
    assert (low, high) == (-2, 5)
    plt.close(figure)
