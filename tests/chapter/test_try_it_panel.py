"""Experiments under controls: in a real kernel while it works, and on a still page."""

import asyncio
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

import ipywidgets as widgets
import matplotlib.pyplot as plt
import pytest
from jupyter_client.session import Session

from spectral_book.chapter import try_it as live
from spectral_book.runner import kernel_manager

EXPERIMENT = """
import time
import matplotlib.pyplot as plt
import ipywidgets as widgets
from spectral_book.chapter import try_it as live

taken = []

def run(level):
    '''<b>Steps</b>
    of a &amp; run.'''
    if level > 8:
        raise ValueError(f"level is {level}; give 8 at most.")
    if level == 6:
        raise SystemExit("enough")
    for step in range(level * 20):
        figure, ax = plt.subplots(figsize=(1, 1))
        ax.set_title(f"{level} {step}")
        time.sleep(0.02)
        taken.append((level, step))
        yield figure
"""
SHOW = """
control = widgets.IntSlider(2, 0, 9, description="level")
live_there = live.is_live()
if live_there:
    panel = live.Panel(run, {"level": control})
    print(control.model_id, panel._stop.model_id, panel._again.model_id,
          panel._status.model_id, panel._image.model_id)
"""

CHAPTER = """
import torch
from spectral_book.chapter.chapter import Chapter
from spectral_book.claims.claims_file import ClaimsFile
from spectral_book.chapter.provenance import provenance

claims = ClaimsFile(chapter="c", paper="P", frozen="then", claims=())
cpu = torch.device("cpu")
chapter = Chapter(claims, "quick", cpu, provenance("c", "quick", [1], cpu, {}))
"""


def levels(level):
    """A line
    at a level."""
    for height in range(level):
        figure, ax = plt.subplots(figsize=(2, 1))
        ax.set_title(str(height))
        yield figure


def slider(value=3, **more):
    return widgets.IntSlider(value, 0, 9, **more)


def test_without_a_reader_the_last_figure_is_there_and_all_are_closed():
    before = plt.get_fignums()
    figure = live.last_figure(levels, {"level": slider(4)})
    # Wherever a style that another test has set puts titles.
    where = ("left", "center", "right")
    assert "".join(map(figure.axes[0].get_title, where)) == "3"
    assert plt.get_fignums() == before
    assert live.check(levels, {"level": slider()}) == "A line at a level."


def test_the_invitation_names_the_controls_and_their_values():
    text = live.invitation(
        "a_chapter",
        {
            "level": slider(4, description="height"),
            "rate": widgets.FloatLogSlider(0.025, base=10, min=-3, max=0),
            "rule": widgets.Dropdown(options={"plain": 0, "with momentum": 1}, value=1),
        },
    )
    assert "`a_chapter.ipynb`" in text
    assert "change *height*, *rate* or *rule*" in text
    assert "ends with height = 4, rate = 0.025, rule = with momentum." in text


def not_a_generator(level):
    """A caption."""
    return plt.figure()


def without_docstring(level):
    yield plt.figure()


@pytest.mark.parametrize(
    ("run", "names", "message"),
    [
        (levels, ["level", "width"], "takes level and the controls are level, width"),
        (levels, [], "takes level and the controls are none"),
        (not_a_generator, ["level"], "yields nothing"),
        (without_docstring, ["level"], "no docstring"),
    ],
)
def test_an_experiment_that_does_not_fit_is_refused(run, names, message):
    with pytest.raises(ValueError, match=message):
        live.check(run, {name: slider() for name in names})


def test_an_experiment_without_a_figure_is_refused():
    with pytest.raises(ValueError, match="levels ended without a figure"):
        live.last_figure(levels, {"level": slider(0)})


class Reader:
    """A front end in small: it sends cells and widget messages and keeps what comes."""

    def __init__(self, client, session: Session, interrupt) -> None:
        self.client, self.session = client, session
        self.interrupt = interrupt
        self.printed = ""
        self.state: dict[str, dict] = {}
        self.shown: dict[str, list[str]] = {}  # values, in order
        self.pictures = 0

    async def run(self, code: str, metadata: dict | None = None) -> float:
        """Execute a cell as a front end does; return the seconds till its answer."""
        content = {"code": code, "silent": False, "store_history": True}
        message = self.session.msg("execute_request", content, metadata=metadata)
        return await self._ask(message)

    async def _ask(self, message) -> float:
        sent = time.monotonic()
        self.client.shell_channel.send(message)
        while True:
            reply = await self.client.get_shell_msg(timeout=20)
            if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
                assert reply["content"]["status"] == "ok", reply["content"]
                return time.monotonic() - sent

    async def widgets(self) -> list[str]:
        """Give the names of a panel's widgets, in the order in which it prints them."""
        async with asyncio.timeout(20):
            while len(self.printed.split()) < 5:
                await asyncio.sleep(0.01)
        return self.printed.split()

    async def subshell(self) -> str:
        """Open a second thread of the kernel for widget messages, as JupyterLab."""
        message = self.session.msg("create_subshell_request", {})
        self.client.control_channel.send(message)
        reply = await self.client.control_channel.get_msg(timeout=20)
        return reply["content"]["subshell_id"]

    def send(self, widget: str, data: dict, subshell: str | None = None) -> None:
        message = self.session.msg("comm_msg", {"comm_id": widget, "data": data})
        message["header"]["subshell_id"] = subshell
        self.client.shell_channel.send(message)

    def change(self, widget: str, value: object, subshell: str | None = None) -> None:
        data = {"method": "update", "state": {"value": value}, "buffer_paths": []}
        self.send(widget, data, subshell)

    def press(self, widget: str, subshell: str | None = None) -> None:
        self.send(widget, {"method": "custom", "content": {"event": "click"}}, subshell)

    async def listen(self) -> None:
        """Keep what the kernel publishes."""
        while True:
            message = await self.client.get_iopub_msg(timeout=None)
            content, kind = message["content"], message["msg_type"]
            if kind == "stream":
                self.printed += content["text"]
            elif kind in ("comm_open", "comm_msg"):
                data = content["data"]
                if data.get("method", "update") == "update":
                    seen = self.state.setdefault(content["comm_id"], {})
                    seen.update(data["state"])
                    if data.get("buffer_paths") == [["value"]]:
                        self.pictures += 1
                    elif "value" in data["state"]:
                        values = self.shown.setdefault(content["comm_id"], [])
                        values.append(data["state"]["value"])

    async def until(self, widget: str, word: str, seconds: float = 20) -> str:
        """Wait for a value with a word in it, after those waited for before."""
        async with asyncio.timeout(seconds):
            while True:
                for value in self.values(widget):
                    if word in value:
                        return value
                await asyncio.sleep(0.01)

    def values(self, widget: str) -> Iterator[str]:
        """Take what a widget has shown and no one has looked at."""
        while queue := self.shown.get(widget):
            yield queue.pop(0)


@contextmanager
def plain_environment(monkeypatch):
    with monkeypatch.context() as patch:
        patch.delenv("CI", raising=False)
        patch.delenv("SPECTRAL_BUILD", raising=False)
        yield


async def meet(folder, scenario):
    """Start a kernel, let a reader use it, and end it."""
    manager = kernel_manager(folder)
    await manager.start_kernel()
    client = manager.client()
    client.start_channels()
    try:
        await client.wait_for_ready(timeout=60)
        reader = Reader(client, client.session, manager.interrupt_kernel)
        listening = asyncio.create_task(reader.listen())
        await reader.run(EXPERIMENT)
        try:
            await scenario(reader)
        finally:
            listening.cancel()
    finally:
        client.stop_channels()
        await manager.shutdown_kernel(now=True)


@pytest.mark.parametrize("threaded", [False, True], ids=["one thread", "subshell"])
def test_a_reader_changes_and_stops_a_run_while_it_works(
    tmp_path, monkeypatch, threaded
):
    async def scenario(reader: Reader) -> None:
        subshell = await reader.subshell() if threaded else None
        await reader.run(SHOW, {"cellId": "a"})
        await reader.run("assert not taken[20:]")  # the cell waited for no run
        control, stop, again, status, _ = await reader.widgets()

        await reader.until(status, "running, ")
        reader.change(control, 7, subshell)
        await reader.until(status, ">running<")
        await reader.until(status, "running, ")
        # It runs, and the kernel answers meanwhile.
        ask = "assert 0 < taken.count((7, 0)) and (7, 139) not in taken"
        answers = [await reader.run(ask) for _ in range(5)]
        assert statistics.median(answers) < 0.5, answers
        before = reader.pictures
        await asyncio.sleep(0.5)
        assert reader.pictures > before, "pictures come while it runs"
        reader.press(stop, subshell)
        text = await reader.until(status, "stopped after", 2)
        assert reader.state[stop]["disabled"]
        assert text.startswith('<span role="status">')
        await reader.run(
            "assert plt.get_fignums() == []\n"
            "assert [level for level, _ in taken] == sorted(l for l, _ in taken)\n"
            "assert (7, 0) in taken\n"
            "assert not {(2, 39), (7, 139)} & set(taken)\n"
            "stopped = len(taken)"
        )
        reader.change(control, 9, subshell)
        text = await reader.until(status, "level is 9")
        assert text == '<span role="status">level is 9; give 8 at most.</span>'
        # Nothing ran since: neither the stopped run nor a new one.
        await reader.run("assert len(taken) == stopped")

        reader.change(control, 8, subshell)
        reader.change(control, 1, subshell)  # at once: the first never starts
        await reader.until(status, ">running, ")
        while "running" in await reader.until(status, " s<"):
            pass
        await reader.run("assert taken[stopped:] == [(1, step) for step in range(20)]")
        reader.press(again, subshell)
        await reader.until(status, "running, ")
        await reader.run("assert taken[stopped + 20:][:1] == [(1, 0)]")
        reader.change(control, 0, subshell)
        await reader.until(status, "run ended without a figure; yield at least one")
        reader.change(control, 6, subshell)
        await reader.until(status, "SystemExit: enough")
        await reader.run("assert taken")  # the kernel is still the same

    with plain_environment(monkeypatch):
        asyncio.run(meet(tmp_path, scenario))


def test_an_interrupt_stops_a_run_and_the_kernel_goes_on(tmp_path, monkeypatch):
    async def scenario(reader: Reader) -> None:
        await reader.run(SHOW.replace("Slider(2", "Slider(7"), {"cellId": "a"})
        _, _, again, status, _ = await reader.widgets()
        for _ in range(2):
            await reader.until(status, "running, ")
            waiting = asyncio.create_task(reader.until(status, "stopped after", 5))
            while not waiting.done():  # one between two steps is ignored
                await reader.interrupt()
                await asyncio.sleep(0.1)
            await waiting
            await reader.interrupt()  # nothing runs any more
            await reader.run("assert taken and (7, 139) not in taken")
            reader.press(again)

    with plain_environment(monkeypatch):
        asyncio.run(meet(tmp_path, scenario))


def test_the_picture_is_named_by_its_caption(tmp_path, monkeypatch):
    async def scenario(reader: Reader) -> None:
        await reader.run(SHOW, {"cellId": "a"})
        *_, image = await reader.widgets()
        state = reader.state[image]
        assert state["_view_name"] == "ImageView"
        assert state["tooltip"] == "Steps of a & run."
        # A front end asks for its length before it shows a tooltip.
        assert state["description"] == ""

    with plain_environment(monkeypatch):
        asyncio.run(meet(tmp_path, scenario))


def test_a_cell_run_again_ends_its_former_panel(tmp_path, monkeypatch):
    async def scenario(reader: Reader) -> None:
        await reader.run(CHAPTER)
        cell = "chapter.try_it(run, level=widgets.IntSlider(7, 1, 9))"
        await reader.run(cell, {"cellId": "a"})
        await reader.run(
            "import asyncio\n"
            "while not taken:\n"
            "    await asyncio.sleep(0.01)\n"
            "(former,) = chapter.panels.values()\n"
            "(slider,) = former._controls.values()"
        )
        again = cell.replace("7", "1") + "\nbefore = len(taken)"
        await reader.run(again, {"cellId": "a"})
        await reader.run(
            "assert former.box.comm is None and former._image.comm is None\n"
            "(current,) = chapter.panels.values()\n"
            "assert current is not former\n"
            "assert former._task is None\n"
            "slider.value = 3\n"
            "former._soon(former._start)"  # a change on its way when it was closed
        )
        await reader.run(
            "while taken[-1] != (1, 19):\n"
            "    await asyncio.sleep(0.01)\n"
            "await asyncio.sleep(0.5)\n"
            "assert [level for level, _ in taken[before:]] == 20 * [1]"
        )

    with plain_environment(monkeypatch):
        asyncio.run(meet(tmp_path, scenario))


@pytest.mark.parametrize("variable", ["", "CI", "SPECTRAL_BUILD"])
def test_no_reader_where_cells_have_no_name_or_the_environment_says_so(
    tmp_path, monkeypatch, variable
):
    async def scenario(reader: Reader) -> None:
        await reader.run(SHOW, {"cellId": "a"} if variable else {})
        await reader.run("assert not live_there and not taken")

    with plain_environment(monkeypatch):
        if variable:
            monkeypatch.setenv(variable, "1")
        asyncio.run(meet(tmp_path, scenario))
