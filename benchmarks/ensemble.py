"""Replicas stacked against the same replicas one after another.

The loop is the library's own, with the same networks, data and batches; losses of the
last epoch are compared.
"""

from collections.abc import Iterator

from benchmarks.measure import Group, Setting, by_turns, largest_gap
from benchmarks.works import convolution, ours, perceptron
from spectral_book.pages.costs import Cost


def rows(setting: Setting) -> Iterator[Cost]:
    """A row for each network and number of replicas."""
    many = (setting.size(16, 2), setting.size(64, 3))
    wide = convolution(setting, 35)
    works = [
        (perceptron(setting), many),
        (convolution(setting, 3), many),
        (wide, many if setting.on_gpu else (setting.size(4, 2),)),  # slow on a CPU
    ]
    for work, counts in works:
        for replicas in counts:
            seeds = range(1, replicas + 1)

            def way(stacked, work=work, seeds=seeds):
                return ours(work, seeds, setting, stacked=stacked)

            done = by_turns(
                {
                    "ours": lambda way=way: way(True),
                    "one after another": lambda way=way: way(False),
                },
                setting,
            )
            gap = largest_gap(done.results["ours"], done.results["one after another"])
            yield done.row(
                f"{replicas} x {work.name}, stacked",
                "one after another",
                per=1e-3 * work.steps * replicas,
                unit="ms",
                gap=gap,
            )


GROUP = Group(
    "stacking",
    "Replicas stacked, and one after another",
    "The same training through the library's loop: all replicas step by step, or one "
    "training after another; milliseconds for each step and replica. On a CPU, stacked "
    "replicas of a network that convolves images pass through it in turn; those of one "
    "that convolves lines padded with zeros pass at once, each with its own products. "
    "Both give the numbers of the other way to the last bit. All others pass at once. "
    "The same result: largest relative difference of the losses of the last epoch.",
    rows,
)
