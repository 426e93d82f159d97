"""The library's loop against plain PyTorch with a DataLoader, and against Lightning.

All start from the same weights and see the same batches; that they end at the same
loss is checked. The library trains as is fastest for the network: stacked or not,
one-dimensional ones by rows, images with channels last. All ways share a process in
which `prepare` keeps freed memory, which helps the peers as well.

    pip install -e '.[benchmarks]'  # brings Lightning
"""

import importlib.util
from collections.abc import Iterator

from benchmarks import works
from benchmarks.measure import Group, Setting, by_turns, largest_gap
from spectral_book.pages.costs import Cost

SAME = 1e-3
"""Largest relative difference of losses that rounding may make in a few epochs."""


def rows(setting: Setting) -> Iterator[Cost]:
    """A row for each network, number of replicas and peer.

    Raises
    ------
    SystemExit
        If a peer ended at another loss: then it did other work.
    """
    peers = {"plain loop, DataLoader": works.plain}
    if importlib.util.find_spec("lightning"):
        peers["Lightning"] = works.lightning
    else:
        print("Lightning is left out; pip install -e '.[benchmarks]' brings it.")
    small, wide = works.convolution(setting, 3), works.convolution(setting, 35)
    many = setting.size(16, 2)
    cases = [(works.perceptron(setting), many), (small, many)]
    cases.append((wide, many if setting.on_gpu else setting.size(4, 2)))
    cases += [(works.perceptron(setting), 1), (works.images(setting), 1)]
    if setting.on_gpu:
        cases += [(small, 64), (works.perceptron(setting), 64)]
    else:
        few = setting.size(5, 2)
        cases += [(works.convolution(setting, kernel), few) for kernel in (3, 7, 15)]
        wide = works.convolution(setting, 3, 64, points=setting.size(1000, 40))
        cases += [(wide, 1), (works.images(setting), setting.size(4, 2))]
        cases += [(work, 1) for work in works.larger_images(setting)]
    for work, replicas in cases:
        seeds = range(1, replicas + 1)
        stacked = work.stacked or setting.on_gpu
        ways = {
            "ours": lambda w=work, s=seeds, k=stacked: works.ours(
                w, s, setting, stacked=k
            )
        }
        for name, peer in peers.items():
            ways[name] = lambda w=work, s=seeds, p=peer: p(w, s, setting)
        done = by_turns(ways, setting)
        for name in peers:
            gap = largest_gap(done.results["ours"], done.results[name])
            if not gap < SAME:
                raise SystemExit(
                    f"{name} ended {gap:.1e} away from our loss on {work.name}: the "
                    "ways did not do the same work."
                )
            yield done.row(
                f"{replicas} x {work.name}",
                name,
                per=1e-3 * work.steps * replicas,
                unit="ms",
                gap=gap,
            )


GROUP = Group(
    "peers",
    "The same work with plain PyTorch and with Lightning",
    "The same networks from the same weights, on the same batches in the same order, "
    "with Adam: by the library in its fastest form, by a plain loop over a "
    "DataLoader, and by a Lightning trainer without logging, one model after another; "
    "milliseconds for each step and replica. "
    "The losses of the last epoch agree, or the measurement stops.",
    rows,
)
