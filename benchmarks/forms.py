"""The forms in which convolutions can pass, each against the one that is taken.

One-dimensional ones go by rows where `fastest` says so, or by torch's conv1d; images
lie with channels last in memory, where a chapter is ``fast``, or first.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from benchmarks import works
from benchmarks.measure import Group, Setting, by_turns, largest_gap
from spectral_book.pages.costs import Cost


def rows(setting: Setting) -> Iterator[Cost]:
    """A row for each network: as it is taken, and the other way."""
    few = setting.size(5, 2)
    many, wide = setting.size(1000, 40), setting.size(250, 40)
    sizes = [(kernel, 16, few, wide) for kernel in (3, 7, 15, 35)]
    sizes += [(kernel, 64, 1, many) for kernel in (3, 11)]
    cases = []
    for kernel, channels, replicas, points in sizes:
        ours, other = (
            works.convolution(setting, kernel, channels, points=points, form=form)
            for form in ("rows", "direct")
        )
        cases.append((f"{ours.name}, by rows", replicas, ours, other, "conv1d"))
    for work in (works.images(setting), *works.larger_images(setting)):
        other = replace(work, channels_last=False)
        cases.append((work.name, 1, work, other, "channels first"))
    for name, replicas, ours, other, against in cases:
        seeds = range(1, replicas + 1)
        ways = {"ours": ours, against: other}
        done = by_turns(
            {
                way: partial(works.ours, work, seeds, setting, stacked=work.stacked)
                for way, work in ways.items()
            },
            setting,
        )
        yield done.row(
            f"{replicas} x {name}",
            against,
            per=1e-3 * ours.steps * replicas,
            unit="ms",
            gap=largest_gap(done.results["ours"], done.results[against]),
        )


GROUP = Group(
    "forms",
    "Forms of a convolution",
    "The same training through the library's loop, in the form that is taken and in "
    "the other one; milliseconds for each step and replica. Chapters whose claims rest "
    "on rounding keep channels first, as do all in their quick runs. The same result: "
    "largest relative difference of the losses of the last epoch.",
    rows,
    cpu_only=True,
)
