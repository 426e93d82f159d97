"""Measure what the book claims about speed, and print one table.

    python -m benchmarks                                    # all of it
    python -m benchmarks --only stacking --only peers
    python -m benchmarks --device cuda --json results/costs/cuda.json

With --json the rows go into a file as they are there, in place of earlier ones; the
book's page "What it costs" is made from results/costs/cpu.json and cuda.json.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks import (
    batch,
    book,
    choices,
    ensemble,
    forms,
    local_spectrum,
    peers,
    rate,
)
from benchmarks.measure import run

GROUPS = (
    ensemble.GROUP,
    peers.GROUP,
    forms.GROUP,
    rate.GROUP,
    local_spectrum.GROUP,
    batch.GROUP,
    choices.GROUP,
    book.GROUP,
)


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the options."""
    names = [group.name for group in GROUPS]
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options.add_argument("--rounds", type=int, default=7, help="7 if not given")
    options.add_argument("--json", type=Path, metavar="FILE", help="add the rows to it")
    options.add_argument("--tiny", action="store_true", help="numbers mean nothing")
    options.add_argument(
        "--only",
        action="append",
        choices=names,
        metavar="NAME",
        help=f"one of {', '.join(names)}; may be given several times",
    )
    return options.parse_args(words)


if __name__ == "__main__":
    given = parse()
    run([g for g in GROUPS if not given.only or g.name in given.only], given)
