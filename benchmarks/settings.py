"""What the settings of the loop bring: precision and layout.

The epochs after a run's first one give the time of a step. Ways that a device or
machine cannot do are left out.

    python -m benchmarks.settings --rounds 5
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor

from benchmarks import works
from benchmarks.measure import Group, Setting, Timed, finish, largest_gap, timed
from spectral_book.pages.costs import Cost
from spectral_lib.training.loop import Probe, every

USUAL, PLAIN = "float32 as it comes", "plain loop, DataLoader"
Way = Callable[[], tuple[float, Tensor]]
"""Gives seconds a step and losses [R] of the last epoch."""


def steady(
    work: works.Work, replicas: int, setting: Setting, *, stacked: bool, **how: Any
) -> tuple[float, Tensor]:
    """Seconds a step after the first epoch, and losses."""
    ends: list[float] = []

    def note(_: object) -> dict[str, Tensor]:
        finish(setting)
        ends.append(time.perf_counter())
        return {}

    probes = {"time": Probe(note, every(work.epochs))}
    seeds = range(1, replicas + 1)
    loss = works.ours(work, seeds, setting, probes=probes, stacked=stacked, **how)
    epoch = (ends[-1] - ends[1]) / (work.epochs - 1)
    steps = work.steps // work.epochs
    return epoch / steps, loss


def cases(setting: Setting) -> Iterator[tuple[works.Work, int, dict[str, dict]]]:
    """Networks, numbers of replicas, and settings by name."""
    many = setting.size(64 if setting.on_gpu else 16, 2)
    epochs = setting.size(4, 2)
    yield works.perceptron(setting, epochs=epochs), many, {}
    yield works.convolution(setting, epochs=epochs), many, {}
    layout = {"channels_last": True}
    ways = {"channels last": layout, "bf16": {"precision": "bf16"}}
    if setting.on_gpu:
        fast = {"precision": "bf16", **layout}
        ways["tf32"] = {"precision": "tf32"}
        ways["bf16, channels last"] = fast
    yield works.images(setting, epochs=epochs), 1, ways


def rows(setting: Setting) -> Iterator[Cost]:
    """Rows of each network: settings against none, and against a plain loop."""
    for work, replicas, named in cases(setting):
        ways = {USUAL: dict[str, Any](), **named}
        yield from compare(work, replicas, ways, setting)


def compare(
    work: works.Work, replicas: int, ways: dict[str, dict[str, Any]], setting: Setting
) -> Iterator[Cost]:
    """The rows of one network."""
    stacked = replicas > 1

    def plain() -> tuple[float, Tensor]:
        took, loss = timed(
            lambda: works.plain(work, range(1, replicas + 1), setting), setting
        )
        return took / work.steps, loss

    calls: dict[str, Way] = {PLAIN: plain}
    for name, how in ways.items():
        calls[name] = lambda how=how: steady(
            work, replicas, setting, stacked=stacked, **how
        )
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    losses: dict[str, Tensor] = {}
    for turn in range(setting.rounds + 1):
        for name, call in list(calls.items()):
            try:
                took, losses[name] = call()
            except (ValueError, RuntimeError) as error:
                print(f"{work.name}, {name}: left out: {str(error).splitlines()[0]}")
                del calls[name]
                continue
            if turn:
                seconds[name].append(took)
    done = Timed({name: seconds[name] for name in calls}, {}, losses)
    for name in list(calls)[1:]:
        for against in (PLAIN, USUAL) if name != USUAL else (PLAIN,):
            yield done.row(
                f"{replicas} x {work.name}, {name}",
                against,
                ours=name,
                per=1e-3 * replicas,
                unit="ms",
                gap=largest_gap(losses[name], losses[against]),
            )


GROUP = Group(
    "settings",
    "Precision and layout",
    "A step after the first epoch, in milliseconds for each replica, with settings of "
    "the training loop: against none of them and against a plain loop over a "
    "DataLoader. The same result: relative difference of the losses of the last epoch; "
    "larger with bf16, which has fewer digits.",
    rows,
)

if __name__ == "__main__":
    GROUP.alone(__doc__)
