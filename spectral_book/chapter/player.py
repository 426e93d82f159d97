"""Pictures that a reader moves through: an image, sliders and a few lines of script."""

import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape, unescape
from math import prod
from typing import Any, Self, TypeVar

from matplotlib.figure import Figure

from spectral_book.chapter.drawn import numbers
from spectral_book.chapter.figures import picture

Setting = TypeVar("Setting")

MOST_FRAMES = 60
"""More frames make a page that is slow to load."""

INTERVAL = 400
"""Milliseconds a frame of a film that plays."""

# Without scripts the frame of the start stands alone. Nothing plays by itself.
_PAGE = """<div class="player">
<img src="{start}" alt="{alt}">
{controls}
<script>(() => {{
  const box = document.currentScript.parentElement;
  const [img, play] = ["img", "button"].map((name) => box.querySelector(name));
  const sliders = [...box.querySelectorAll("input")];
  const frames = {frames};
  const values = {values};
  const words = img.alt;
  const show = () => {{
    const places = sliders.map((slider) => slider.valueAsNumber);
    img.src = frames[places.reduce((at, place, i) => at * values[i].length + place, 0)];
    const texts = places.map((place, i) => values[i][place]);
    sliders.forEach((slider, i) => {{
      slider.ariaValueText = slider.nextElementSibling.value = texts[i];
    }});
    const state = sliders.map((slider, i) => slider.name + " " + texts[i]);
    img.alt = words + " " + state.join(", ") + ".";
  }};
  let timer;
  const pause = () => {{ timer = clearInterval(timer); }};
  const step = () => {{
    sliders[0].value = (sliders[0].valueAsNumber + 1) % frames.length;
    show();
    if (sliders[0].value === sliders[0].max) pause();
  }};
  if (play) play.onclick = () => {{
    timer ? pause() : (timer = setInterval(step, {interval}));
  }};
  sliders.forEach((slider) => (slider.oninput = show));
  box.querySelectorAll("p").forEach((line) => (line.hidden = false));
  show();
}})();</script></div>"""

_PLAY = '<button type="button" aria-label="play or pause">&#9654;</button>'

_CONTROL = """<p hidden>{play}<label>{name}
<input type="range" name="{name}" min="0" max="{last}" value="{place}"
aria-valuetext="{value}"> <output>{value}</output></label></p>"""


@dataclass(frozen=True)
class Choice:
    """A setting that readers choose: its name, its values in words, where it starts."""

    name: str
    values: tuple[str, ...]
    start: int


@dataclass(frozen=True)
class Player:
    """A picture for each combination of some choices' values, the last one fastest.

    ``drawn`` are the numbers of each frame. With an ``interval``, of milliseconds a
    frame, a button plays the frames of the only choice.
    """

    frames: tuple[bytes, ...]
    choices: tuple[Choice, ...]
    drawn: tuple[Any, ...] = ()
    interval: int = 0

    @classmethod
    def of(
        cls, figures: Iterable[Figure], choices: Sequence[Choice], interval: int = 0
    ) -> Self:
        """Draw the figures of all combinations; ValueError for none or too many."""
        count = prod(len(choice.values) for choice in choices)
        if not 1 <= count <= MOST_FRAMES:
            raise ValueError(f"there are {count} frames; give 1 to {MOST_FRAMES}.")
        frames, drawn = [], []
        for figure in figures:
            drawn.append(numbers(figure))
            frames.append(png(figure))
        return cls(tuple(frames), tuple(choices), tuple(drawn), interval)

    def html(self, alt: str) -> str:
        """Return a picture over its controls as HTML; ``alt`` says what it shows."""
        frames = [f"data:image/png;base64,{b64encode(f).decode()}" for f in self.frames]
        start = 0
        for choice in self.choices:
            start = start * len(choice.values) + choice.start
        controls = [
            _CONTROL.format(
                play=_PLAY if self.interval else "",
                name=escape(choice.name),
                last=len(choice.values) - 1,
                place=choice.start,
                value=escape(choice.values[choice.start]),
            )
            for choice in self.choices
        ]
        values = json.dumps([choice.values for choice in self.choices])
        return _PAGE.format(
            start=frames[start],
            alt=escape(alt),
            controls="\n".join(controls),
            frames=json.dumps(frames),
            values=values.replace("<", "\\u003c"),
            interval=self.interval,
        )


def player(
    settings: Iterable[Setting],
    draw: Callable[[Setting], Figure],
    description: str = "frame",
) -> Player:
    """Draw one frame for each setting, for a play button and a slider.

    ``draw`` returns the figure of a setting, all of one size; ``description`` names
    what the frames run over. ValueError without frames, or with more than
    ``MOST_FRAMES``.
    """
    all_settings = list(settings)
    count = len(all_settings)
    places = tuple(f"{place} of {count}" for place in range(1, count + 1))
    choice = Choice(description, places, count - 1)
    return Player.of(map(draw, all_settings), [choice], INTERVAL)


def png(figure: Figure, dpi: int = 80) -> bytes:
    """Render a figure as a frame, in few colours and of its whole size; close it."""
    return picture(figure, 32, dpi, cut=False)


def first_sentence(caption: str) -> str:
    """Return a caption's first sentence without its markup."""
    return re.split(r"(?<=[.!?]) (?=[A-Z])", plain_words(caption))[0]


def plain_words(html: str) -> str:
    """Return the words of a piece of HTML on one line."""
    return " ".join(unescape(re.sub(r"<[^>]+>", "", html)).split())


def with_alt(html: str, alt: str) -> str:
    """Return a page's part with another text for the pictures of its players."""
    pattern = r'(<div class="player">\s*<img [^>]*alt=")[^"]*'
    return re.sub(pattern, lambda match: match[1] + escape(alt), html)
