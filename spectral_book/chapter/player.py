"""Pictures that a reader moves through: an image, sliders and a few lines of script."""

import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from html import escape, unescape
from typing import Any, TypeVar

from matplotlib.figure import Figure

from spectral_book.chapter.drawn import numbers
from spectral_book.chapter.figures import picture

Setting = TypeVar("Setting")

MOST_FRAMES = 60
"""More frames make a page that is slow to load."""

# Without scripts the last frame stands alone. Nothing plays by itself.
_PAGE = """<div class="player">
<img src="{last}" alt="{alt} Frame {count} of {count}.">
<p hidden><button type="button" aria-label="play or pause">&#9654;</button>
<label>{label} <input type="range" min="1" max="{count}" value="{count}"></label></p>
<script>(() => {{
  const box = document.currentScript.parentElement;
  const find = (name) => box.querySelector(name);
  const [img, play, slider] = ["img", "button", "input"].map(find);
  const frames = [...{others}, img.src];
  let timer;
  const show = (frame) => {{
    slider.value = frame;
    img.src = frames[frame - 1];
    img.alt = img.alt.replace(/\\d+( of \\d+\\.)$/, frame + "$1");
  }};
  const pause = () => {{ timer = clearInterval(timer); }};
  const step = () => {{
    show((slider.value % frames.length) + 1);
    if (slider.value === slider.max) pause();
  }};
  play.onclick = () => {{ timer ? pause() : (timer = setInterval(step, {interval})); }};
  slider.oninput = () => show(slider.valueAsNumber);
  find("p").hidden = false;
}})();</script></div>"""

_ANSWERS = """<div class="player answers" data-words="{alt}">
<img src="{start}" alt="{alt} {state}.">
{controls}
<script>(() => {{
  const box = document.currentScript.parentElement;
  const img = box.querySelector("img");
  const sliders = [...box.querySelectorAll("input")];
  const frames = {frames};
  const values = {values};
  const show = () => {{
    const places = sliders.map((slider) => slider.valueAsNumber);
    img.src = frames[places.reduce((at, place, i) => at * values[i].length + place, 0)];
    const texts = places.map((place, i) => values[i][place]);
    sliders.forEach((slider, i) => {{
      slider.ariaValueText = slider.nextElementSibling.value = texts[i];
    }});
    const state = sliders.map((slider, i) => slider.name + " " + texts[i]);
    img.alt = box.dataset.words + " " + state.join(", ") + ".";
  }};
  sliders.forEach((slider) => (slider.oninput = show));
  box.querySelectorAll("p").forEach((line) => (line.hidden = false));
}})();</script></div>"""

_CONTROL = """<p hidden><label>{name}
<input type="range" name="{name}" min="0" max="{last}" value="{place}"
aria-valuetext="{value}"> <output>{value}</output></label></p>"""


@dataclass(frozen=True)
class Player:
    """Frames as PNG files, the name of what they run over, and milliseconds a frame.

    ``drawn`` are the numbers of each frame.
    """

    frames: tuple[bytes, ...]
    description: str
    interval: int
    drawn: tuple[Any, ...] = ()

    def html(self, alt: str = "A figure in several frames.") -> str:
        """Return the player as HTML; ``alt`` says in words what its pictures show."""
        *others, last = map(_data, self.frames)
        return _PAGE.format(
            last=last,
            others=json.dumps(others),
            alt=escape(alt),
            count=len(self.frames),
            label=escape(self.description),
            interval=self.interval,
        )

    def _repr_html_(self) -> str:
        return self.html()


@dataclass(frozen=True)
class Choice:
    """A setting that readers choose: its name, its values in words, where it starts."""

    name: str
    values: tuple[str, ...]
    start: int


@dataclass(frozen=True)
class Answers:
    """A picture for each combination of some choices' values, the last one fastest."""

    frames: tuple[bytes, ...]
    choices: tuple[Choice, ...]
    drawn: tuple[Any, ...] = ()

    def html(self, alt: str = "A figure that answers to its controls.") -> str:
        """Return a picture over its controls as HTML; ``alt`` says what it shows.

        Without scripts the one of the start stands alone.
        """
        frames = [_data(frame) for frame in self.frames]
        start, state = 0, []
        for choice in self.choices:
            start = start * len(choice.values) + choice.start
            state.append(f"{choice.name} {choice.values[choice.start]}")
        controls = [
            _CONTROL.format(
                name=escape(choice.name),
                last=len(choice.values) - 1,
                place=choice.start,
                value=escape(choice.values[choice.start]),
            )
            for choice in self.choices
        ]
        values = json.dumps([choice.values for choice in self.choices])
        return _ANSWERS.format(
            start=frames[start],
            alt=escape(alt),
            state=escape(", ".join(state)),
            controls="\n".join(controls),
            frames=json.dumps(frames),
            values=values.replace("<", "\\u003c"),
        )


def player(
    settings: Iterable[Setting],
    draw: Callable[[Setting], Figure],
    description: str = "frame",
    interval: int = 400,
    dpi: int = 80,
) -> Player:
    """Draw one frame for each setting, for a play button and a slider.

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

    Raises
    ------
    ValueError
        If there are no frames, or more than ``MOST_FRAMES``.
    """
    frames, drawn = [], []
    for setting in settings:
        figure = draw(setting)
        drawn.append(numbers(figure))
        frames.append(png(figure, dpi))
    if not 1 <= len(frames) <= MOST_FRAMES:
        raise ValueError(f"there are {len(frames)} frames; give 1 to {MOST_FRAMES}.")
    return Player(tuple(frames), description, interval, tuple(drawn))


def png(figure: Figure, dpi: int = 80) -> bytes:
    """Render a figure as a frame, in few colours and of its whole size; close it."""
    return picture(figure, 32, dpi, cut=False)


def _data(frame: bytes) -> str:
    return f"data:image/png;base64,{b64encode(frame).decode()}"


def first_sentence(caption: str) -> str:
    """Return a caption's first sentence without its markup."""
    return re.split(r"(?<=[.!?]) (?=[A-Z])", plain_words(caption))[0]


def plain_words(html: str) -> str:
    """Return the words of a piece of HTML on one line."""
    return " ".join(unescape(re.sub(r"<[^>]+>", "", html)).split())


def with_alt(html: str, alt: str) -> str:
    """Return a page's part with another text for the pictures of its players."""
    pattern = r'(<div class="player">\s*<img [^>]*alt=")[^"]*?( Frame \d+ of \d+\.")'
    return re.sub(pattern, lambda match: f"{match[1]}{escape(alt)}{match[2]}", html)
