"""Colours of ordered lines and the marker of an epoch show on what is behind them."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from spectral_book.chapter.figures import mark_epoch, ordered_lines, ramp


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
