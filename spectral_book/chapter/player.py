"""Frames that a reader scrubs through in the finished page, without a kernel."""

import io
from collections.abc import Callable, Iterable
from typing import TypeVar

import ipywidgets as widgets
import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

Setting = TypeVar("Setting")

MOST_FRAMES = 60
"""More frames make a page that is slow to load."""


def png(figure: Figure, dpi: int = 80, colours: int = 32) -> bytes:
    """Render a figure as a small PNG with a palette, and close it."""
    raw = io.BytesIO()
    figure.savefig(raw, format="png", dpi=dpi)
    plt.close(figure)
    small = io.BytesIO()
    picture = Image.open(raw).convert("RGB")
    picture.quantize(colours, dither=Image.Dither.NONE).save(
        small, "png", optimize=True
    )
    return small.getvalue()


def player(
    settings: Iterable[Setting],
    draw: Callable[[Setting], Figure],
    description: str = "frame",
    interval: int = 400,
    dpi: int = 80,
) -> widgets.VBox:
    """Draw one frame for each setting and put a play button and a slider above them.

    Parameters
    ----------
    settings
        What the frames show, in order; a frame should name its own setting.
    draw
        Returns the figure of one setting; all of one size.
    description
        Label of the slider.
    interval
        Milliseconds a frame while playing.
    dpi
        Dots per inch of a frame.

    Returns
    -------
    VBox
        The widgets are linked in the browser, so they work in a static page.

    Raises
    ------
    ValueError
        If there are no frames, or more than ``MOST_FRAMES``.
    """
    frames = [png(draw(setting), dpi) for setting in settings]
    if not 1 <= len(frames) <= MOST_FRAMES:
        raise ValueError(f"there are {len(frames)} frames; give 1 to {MOST_FRAMES}.")
    last = len(frames) - 1
    play = widgets.Play(min=0, max=last, interval=interval, show_repeat=False)
    slider = widgets.IntSlider(min=0, max=last, description=description)
    images = [widgets.Image(value=frame, format="png") for frame in frames]
    stack = widgets.Stack(images, selected_index=0)
    widgets.jslink((play, "value"), (slider, "value"))
    widgets.jslink((slider, "value"), (stack, "selected_index"))
    return widgets.VBox([widgets.HBox([play, slider]), stack])
