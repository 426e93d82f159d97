"""Frames with a slider that works without a kernel."""

import io
from base64 import b64encode

import matplotlib.pyplot as plt
import pytest
from PIL import Image

from spectral_book.chapter.player import (
    MOST_FRAMES,
    first_sentence,
    player,
    png,
    with_alt,
)


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


def test_the_last_frame_stands_in_the_page_and_the_others_in_its_script():
    film = player([1, 5, 9], draw, 'a "level"')
    assert len(set(film.frames)) == 3
    html = film.html("Lines & more.")
    first, second, last = (b64encode(frame).decode() for frame in film.frames)
    assert f'{last}" alt="Lines &amp; more.">' in html
    assert html.index(last) < html.index(first) < html.index(second)
    assert 'min="0" max="2" value="2"' in html
    assert "<output>3 of 3</output>" in html
    assert "a &quot;level&quot;\n<input" in html
    assert "setInterval(step, 400)" in html
    assert " hidden>" in html  # until a script runs


def test_the_pictures_of_a_player_get_other_words_and_no_other_picture_does():
    html = player([1, 5], draw).html("old")
    beside = '<img src="x" alt="old">'
    changed = with_alt(beside + html, r"a < b \1")
    assert changed == beside + html.replace('alt="old', r'alt="a &lt; b \1')


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("<b>Greys &amp; light.</b> From dark to light.", "Greys & light."),
        ("At 0.5 s\nand later", "At 0.5 s and later"),
        ("Is it? Yes.", "Is it?"),
    ],
)
def test_a_caption_begins_with_words_for_its_picture(caption, words):
    assert first_sentence(caption) == words


def test_as_many_frames_as_a_page_can_hold(monkeypatch):
    for name in ("png", "numbers"):
        monkeypatch.setattr(f"spectral_book.chapter.player.{name}", lambda *_: b"any")
    film = player([1] * MOST_FRAMES, lambda _: None)
    assert len(film.frames) == MOST_FRAMES


@pytest.mark.parametrize("count", [0, MOST_FRAMES + 1])
def test_impossible_number_of_frames(count):
    with pytest.raises(ValueError, match=f"there are {count} frames"):
        player([1] * count, draw)
