"""Pictures of a built page get palettes."""

import io

import numpy as np
import pytest
from PIL import Image

from spectral_book.pages.pictures import with_palette


def png(levels, mode=None):
    stream = io.BytesIO()
    Image.fromarray(np.asarray(levels, "uint8"), mode).save(stream, "png")
    return stream.getvalue()


def lines(height=200, width=300):
    """A picture like a plot: a few colours, and shades of each on their edges."""
    rows, columns = np.mgrid[:height, :width]
    picture = np.full((height, width, 3), 255.0)
    for colour, slope in (([0, 114, 178], 0.3), ([213, 94, 0], 0.5)):
        near = np.clip(3 - abs(rows - slope * columns), 0, 1)[..., None]
        picture = picture * (1 - near) + near * np.array(colour)
    return picture


def test_plot_gets_a_palette_and_stays_as_it_looks():
    data = png(lines())
    smaller = with_palette(data)
    assert len(smaller) < len(data)
    with Image.open(io.BytesIO(smaller)) as opened:
        assert opened.mode == "P"
        change = np.asarray(opened.convert("RGB"), float) - lines()
    assert np.sqrt((change**2).mean()) < 1


@pytest.mark.parametrize("kind", ["many colours", "transparent", "has a palette"])
def test_other_pictures_stay(kind):
    noise = np.random.default_rng(1).integers(0, 256, (60, 60, 4))
    if kind == "many colours":
        assert with_palette(png(noise[..., :3])) is None
    elif kind == "transparent":
        assert with_palette(png(noise)) is None
    else:
        assert with_palette(with_palette(png(lines()))) is None
