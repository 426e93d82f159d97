"""Experiments under controls: on a still page, and live as a reader changes them."""

import asyncio
import os
import threading

import ipywidgets as widgets
import matplotlib.pyplot as plt
import pytest

from spectral_book.chapter import try_it as live
from spectral_book.kernels import kernel_manager

LONG = 7
"""At this level and above an experiment ends only if it is stopped."""


def slider(value=3, **more):
    return widgets.IntSlider(value, 0, 9, **more)


class Steps:
    """An experiment that notes its steps; some of its levels fail."""

    def __init__(self):
        self.taken = []
        self.threads = set()

    def experiment(self):
        def run(level):
            """<b>Steps</b>
            of a &amp; run."""
            if level == 4:
                raise ValueError("level is 4;\n give <less>.")
            if level == 5:
                raise SystemExit("enough")
            if level == 6:
                raise KeyError
            for step in range(10**9 if level >= LONG else level):
                figure, ax = plt.subplots(figsize=(1, 1))
                ax.set_title(f"{level} {step}")
                self.taken.append((level, step))
                self.threads.add(threading.get_ident())
                assert os.environ["CI"] == "true"  # no bar for every step
                yield figure

        return run


@pytest.fixture
def steps():
    return Steps()


def test_without_a_reader_the_last_figure_is_there_and_all_are_closed(steps):
    before = plt.get_fignums()
    figure = live.last_figure(steps.experiment(), {"level": 3})
    # Wherever a style that another test has set puts titles.
    where = ("left", "center", "right")
    assert "".join(map(figure.axes[0].get_title, where)) == "3 2"
    assert plt.get_fignums() == before
    assert live.caption_of(steps.experiment()) == "<b>Steps</b> of a &amp; run."


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


def two(level, width):
    """Levels, drawn in different widths."""
    for wide in (1, width):
        figure, ax = plt.subplots(figsize=(wide, 1))
        ax.bar(0, level)
        ax.set_ylim(0, 9)
        yield figure


def test_a_still_page_holds_an_answer_for_each_combination_of_steps():
    controls = {"level": slider(3, description="height"), "width": slider(2)}
    before = plt.get_fignums()
    made = live.answers(two, controls, {"width": [2, 4, 3], "level": [0, 3]})
    assert plt.get_fignums() == before
    assert len(made.frames) == len(set(made.frames)) == 6
    alone = live.answers(two, {"level": slider(0), "width": slider(3)}, {"width": [3]})
    assert made.frames[4] == alone.frames[0]  # width 3, the last; level 0, the first
    assert [choice.values for choice in made.choices] == [("2", "4", "3"), ("0", "3")]
    assert [choice.name for choice in made.choices] == ["width", "height"]
    assert [choice.start for choice in made.choices] == [0, 1]
    text = live.invitation("a_chapter", controls, ["width"])
    assert "the answers with height = 3. `make lab`" in text
    assert "the answers. `make" in live.invitation("c", controls, ["width", "height"])


def test_a_page_holds_no_more_answers_than_a_player_frames():
    controls = {"level": slider(3), "width": slider(2)}
    with pytest.raises(ValueError, match="there are 64 frames; give 1 to 60"):
        live.answers(two, controls, {"level": range(8), "width": range(8)})


async def until(condition):
    """Wait for a condition; how long that takes is no matter."""
    async with asyncio.timeout(120):
        while not condition():
            await asyncio.sleep(0.01)


def in_a_loop(steps, level, scenario):
    """Open a panel as a cell does, and let a reader use it."""

    async def cell():
        control = slider(level)
        panel = live.Panel(steps.experiment(), {"level": control})
        assert not steps.taken  # the cell waits for no run
        await scenario(panel, control)
        panel.close()
        await asyncio.gather(panel._task, return_exceptions=True)

    before = plt.get_fignums(), os.environ.get("CI")
    asyncio.run(cell())
    assert (plt.get_fignums(), os.environ.get("CI")) == before


def status(panel):
    return panel._status.value.removeprefix('<span role="status">')[: -len("</span>")]


def test_a_run_shows_its_steps_and_its_end(steps):
    async def scenario(panel, control):
        assert panel._image.layout.visibility == "hidden"
        await panel._task
        assert steps.taken == [(2, 0), (2, 1)]
        assert bytes(panel._image.value).startswith(b"\x89PNG")
        assert panel._image.layout.visibility == "visible"
        assert status(panel).endswith(" s")
        assert panel._stop.disabled
        assert panel._image.tooltip == "Steps of a & run."
        assert panel._image.description == ""  # a front end asks for its length
        panel._again.click()
        await until(lambda: len(steps.taken) == 4)

    in_a_loop(steps, 2, scenario)


def test_a_change_takes_the_place_of_a_run_and_of_changes_just_before_it(steps):
    async def scenario(panel, control):
        await until(lambda: steps.taken)
        former, said = panel._task, []
        panel._status.observe(lambda change: said.append(change["new"]), "value")
        control.value = 8  # at once: this one never starts
        control.value = 2
        await until(lambda: panel._stop.disabled)
        assert former.done()
        assert "stopped" not in "".join(said)  # a run that was replaced is silent
        assert {level for level, _ in steps.taken} == {LONG, 2}
        assert steps.taken[-2:] == [(2, 0), (2, 1)]
        assert "running" not in status(panel)

    in_a_loop(steps, LONG, scenario)


def test_the_stop_button_stops_between_two_steps(steps):
    async def scenario(panel, control):
        await until(lambda: status(panel).startswith("running, "))
        assert not panel._stop.disabled
        panel._stop.click()
        await panel._task
        assert status(panel).startswith("stopped after ")
        assert panel._stop.disabled
        taken = len(steps.taken)
        await asyncio.sleep(0.1)
        assert len(steps.taken) == taken

    in_a_loop(steps, LONG, scenario)


@pytest.mark.parametrize(
    ("level", "said"),
    [
        (4, "ValueError: level is 4; give &lt;less&gt;."),
        (5, "SystemExit: enough"),
        (6, "KeyError: "),
    ],
)
def test_an_error_is_one_sentence_and_the_panel_goes_on(steps, level, said):
    async def scenario(panel, control):
        await panel._task
        assert status(panel) == said
        assert panel._stop.disabled
        control.value = 1
        await until(lambda: steps.taken == [(1, 0)])

    in_a_loop(steps, level, scenario)


def test_changes_from_another_thread_run_in_that_of_the_cells(steps):
    async def scenario(panel, control):
        await panel._task
        await asyncio.to_thread(setattr, control, "value", 2)
        await until(lambda: steps.taken[-1] == (2, 1))
        assert steps.threads == {threading.get_ident()}

    in_a_loop(steps, 1, scenario)


def test_a_closed_panel_runs_no_more(steps):
    async def cell():
        control = slider(LONG)
        panel = live.Panel(steps.experiment(), {"level": control})
        await until(lambda: steps.taken)
        panel.close()
        taken = len(steps.taken)
        control.value = 2
        await asyncio.sleep(live.DEBOUNCE + 0.1)
        assert len(steps.taken) == taken
        assert panel._task.done()

    asyncio.run(cell())


CELL = """
import matplotlib.pyplot as plt
import ipywidgets as widgets
from spectral_book.chapter import try_it as live

taken = []

def run(level):
    for step in range(10**9 if level > 6 else level):
        taken.append((level, step))
        yield plt.figure(figsize=(1, 1))

control = widgets.IntSlider(7, 0, 9)
panel = live.Panel(run, {"level": control})
print(control.model_id, panel._stop.model_id)
"""


class Reader:
    """A front end in small: it sends cells and widget messages to a kernel."""

    def __init__(self, client, subshell):
        self.client, self.subshell = client, subshell

    async def run(self, code, metadata=None):
        """Execute a cell as a front end does; return what it printed."""
        content = {"code": code, "silent": False, "store_history": True}
        session = self.client.session
        message = session.msg("execute_request", content, metadata=metadata)
        self.client.shell_channel.send(message)
        printed, mine = "", message["header"]["msg_id"]
        while True:
            reply = await self.client.get_iopub_msg(timeout=120)
            if reply["parent_header"].get("msg_id") != mine:
                continue
            if reply["msg_type"] == "stream":
                printed += reply["content"]["text"]
            assert reply["msg_type"] != "error", reply["content"]
            if reply["content"].get("execution_state") == "idle":
                return printed

    def send(self, widget, **data):
        message = self.client.session.msg("comm_msg", {"comm_id": widget, "data": data})
        message["header"]["subshell_id"] = self.subshell
        self.client.shell_channel.send(message)


async def meet(folder, threaded, scenario):
    """Start a kernel, let a reader use it, and end it."""
    manager = kernel_manager(folder)
    await manager.start_kernel()
    client = manager.client()
    client.start_channels()
    try:
        await client.wait_for_ready(timeout=120)
        subshell = None
        if threaded:  # a second thread for widget messages, as in JupyterLab
            message = client.session.msg("create_subshell_request", {})
            client.control_channel.send(message)
            reply = await client.control_channel.get_msg(timeout=120)
            subshell = reply["content"]["subshell_id"]
        await scenario(Reader(client, subshell))
    finally:
        client.stop_channels()
        await manager.shutdown_kernel(now=True)


@pytest.mark.processes
@pytest.mark.parametrize("threaded", [False, True], ids=["one thread", "subshell"])
def test_a_reader_changes_and_stops_a_run_while_the_kernel_answers(tmp_path, threaded):
    async def scenario(reader):
        printed = await reader.run(CELL, {"cellId": "a"})
        control, stop = printed.split()
        wait = "import asyncio\nwhile not ({}):\n    await asyncio.sleep(0.01)"
        await reader.run(wait.format("(7, 3) in taken"))
        state = {"value": 8}
        reader.send(control, method="update", state=state, buffer_paths=[])
        await reader.run(wait.format("(8, 3) in taken"))
        reader.send(stop, method="custom", content={"event": "click"})
        await reader.run(wait.format("'stopped after' in panel._status.value"))
        await reader.run("assert plt.get_fignums() == []")

    asyncio.run(meet(tmp_path, threaded, scenario))
