"""Small experiments that run again as a reader moves their controls."""

import asyncio
import inspect
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from itertools import product
from typing import Any

import ipywidgets as widgets
import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from traitlets import Unicode

from spectral_book.chapter.player import Choice, Player, plain_words, png
from spectral_book.claims.numbers import number
from spectral_book.claims.sentences import listing

Experiment = Callable[..., Iterator[Figure]]
"""A generator function of named settings; each figure it yields replaces the last."""

DEBOUNCE = 0.2
"""Seconds without a change before a run starts: a slider sends many while it moves."""

PAUSE = 0.01
"""Seconds between steps: a message to the kernel takes several turns of its loop."""


def caption_of(run: Experiment) -> str:
    """Return an experiment's docstring as one line, the caption of its figures."""
    return " ".join((inspect.getdoc(run) or "").split())


def answers(
    run: Experiment,
    controls: Mapping[str, widgets.ValueWidget],
    steps: Mapping[str, Sequence[Any]],
) -> Player:
    """Run an experiment for each combination of some controls' values.

    ``steps`` are these values by the controls' names, each control's own among them;
    the other controls stay as they are.
    """
    choices = []
    for name, values in steps.items():
        control = controls[name]
        words = tuple(_word(value) for value in values)
        start = list(values).index(control.value)
        choices.append(Choice(control.description or name, words, start))
    figures = (
        last_figure(run, values_of(controls) | dict(zip(steps, chosen, strict=True)))
        for chosen in product(*steps.values())
    )
    return Player.of(figures, choices)


def invitation(
    chapter: str,
    controls: Mapping[str, widgets.ValueWidget],
    answered: Sequence[str] = (),
) -> str:
    """Return what a page without a kernel says of an experiment, as Markdown.

    ``answered`` are the names of the controls that the page itself answers to.
    """
    labels = {c.description or name: c for name, c in controls.items()}
    named = listing([f"*{label}*" for label in labels], "or")
    live = (
        f"`make lab` opens the chapters in JupyterLab; in `{chapter}.ipynb` this "
        f"experiment runs again when you change {named}."
    )
    fixed = [f"{n} = {_value(c)}" for n, c in labels.items() if n not in answered]
    rest = f" with {', '.join(fixed)}" if fixed else ""
    if answered:
        return (
            f"**Try it.** Move the sliders; this page holds the answers{rest}. {live}"
        )
    return f"**Live in Jupyter.** {live} This page shows how it ends{rest}."


def last_figure(run: Experiment, values: Mapping[str, Any]) -> Figure:
    """Run an experiment to its end; return its last figure."""
    return deque(_figures(run, values), maxlen=1).pop()


def values_of(controls: Mapping[str, widgets.ValueWidget]) -> dict[str, Any]:
    """Return what controls say, by their names."""
    return {name: control.value for name, control in controls.items()}


class Picture(widgets.Image):
    """A picture that front ends name by its ``tooltip``, as the title of the ``img``.

    Without a description, which the usual picture has not, they fail on a tooltip.
    """

    description = Unicode("").tag(sync=True)


class Panel:
    """An experiment under its controls, with a stop button and a status line: a `box`.

    It starts by itself, runs again after a change, and runs in steps between the
    messages to the kernel, which is never busy for longer than one step. Its stop
    button stops it between two steps.
    """

    def __init__(
        self, run: Experiment, controls: Mapping[str, widgets.ValueWidget]
    ) -> None:
        self._run, self._controls = run, dict(controls)
        # Front ends may deliver changes in another thread (a subshell), so that they
        # arrive while a cell runs; experiments stay in the thread of the cells.
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._image = Picture(
            format="png",
            tooltip=plain_words(caption_of(run)),
            layout={"max_width": "100%"},
        )
        self._image.layout.visibility = "hidden"  # an empty picture looks broken
        self._status = widgets.HTML()
        self._stop = widgets.Button(description="stop", tooltip="stop this run")
        self._again = widgets.Button(description="run again")
        self._stop.on_click(lambda _: self._soon(self._cancel))
        self._again.on_click(lambda _: self._soon(self._start))
        for control in self._controls.values():
            control.style.description_width = "9em"
            control.layout.width = "34em"
            control.observe(self._changed, "value")
        buttons = widgets.HBox([self._stop, self._again, self._status])
        self.box = widgets.VBox([*self._controls.values(), buttons, self._image])
        self._start()

    def close(self) -> None:
        """End a run under way and let go of the controls."""
        for control in self._controls.values():
            control.unobserve(self._changed, "value")
        self._cancel()
        self.box.close()

    def _changed(self, _: object) -> None:
        self._soon(self._start)

    def _soon(self, action: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(action)

    def _start(self) -> None:
        """Run with what the controls say now, in place of a run under way."""
        self._cancel()
        # The loop itself holds on to no task.
        self._task = self._loop.create_task(self._work())

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _work(self) -> None:
        started = time.perf_counter()

        def say(text: str) -> None:
            # A run that was replaced is silent.
            if self._task is asyncio.current_task():
                self._status.value = f'<span role="status">{text}</span>'

        def seconds() -> str:
            return f"{time.perf_counter() - started:.1f} s"

        self._stop.disabled = False
        say("running")
        try:
            await asyncio.sleep(DEBOUNCE)
            started = time.perf_counter()
            for figure in _figures(self._run, values_of(self._controls)):
                self._image.value = png(figure, 110)
                self._image.layout.visibility = "visible"
                say(f"running, {seconds()}")
                await asyncio.sleep(PAUSE)
            say(seconds())
        except asyncio.CancelledError:
            say(f"stopped after {seconds()}")
        except (Exception, KeyboardInterrupt, SystemExit) as error:
            # An exception that left the task would be lost, or end the kernel.
            say(escape(f"{type(error).__name__}: {' '.join(str(error).split())}"))
        if self._task is asyncio.current_task():
            self._stop.disabled = True


def _figures(run: Experiment, values: Mapping[str, Any]) -> Iterator[Figure]:
    """Take an experiment's steps, each figure closed before it is handed out."""
    steps = run(**values)
    while True:
        before = set(plt.get_fignums())
        try:
            with _without_progress_bars():
                figure = next(steps, None)
        finally:
            # Those of a step that failed, too: the next cell would show them.
            for number in set(plt.get_fignums()) - before:
                plt.close(number)
        if figure is None:
            return
        yield figure


@contextmanager
def _without_progress_bars() -> Iterator[None]:
    """Keep the training loop from drawing a bar for every step of an experiment."""
    before = os.environ.get("CI")
    os.environ["CI"] = "true"
    try:
        yield
    finally:
        if before is None:
            del os.environ["CI"]
        else:
            os.environ["CI"] = before


def _value(control: widgets.ValueWidget) -> str:
    """Return a control's value as the page would show it: a drop-down list's label."""
    return _word(getattr(control, "label", control.value))


def _word(value: Any) -> str:
    return number(value, ".4g") if isinstance(value, float) else str(value)
