"""Frames with a slider that works without a kernel."""

import io

import matplotlib.pyplot as plt
import pytest
from PIL import Image

from spectral_book.chapter.player import MOST_FRAMES, player, png


def draw(level):
    figure, ax = plt.subplots(figsize=(2, 1))
    ax.plot([0, 1], [level, level])
    ax.set_ylim(0, 10)
    return figure


def test_png_is_small_and_closes_its_figure():
    before = plt.get_fignums()
    data = png(draw(3), dpi=50)
    assert plt.get_fignums() == before
    picture = Image.open(io.BytesIO(data))
    assert (picture.size, picture.mode) == ((100, 50), "P")
    assert len(data) < 4000


def test_frames_play_button_and_slider():
    box = player([1, 5, 9], draw, "level")
    (play, slider), stack = box.children[0].children, box.children[1]
    assert (play.max, slider.max, slider.description) == (2, 2, "level")
    frames = [image.value for image in stack.children]
    assert len(set(frames)) == 3
    assert stack.selected_index == 0


@pytest.mark.parametrize("count", [0, MOST_FRAMES + 1])
def test_impossible_number_of_frames(count):
    with pytest.raises(ValueError, match=f"there are {count} frames"):
        player([1] * count, lambda level: draw(level))
