"""Measure what the book claims about speed, and print one table.

    python -m benchmarks                                    # all of it, about an hour
    python -m benchmarks --only stacking --only peers
    python -m benchmarks --device cuda --json results/costs/cuda.json

The classifier's images are CIFAR-10's if SPECTRAL_DATA names the folder that holds
them. With --json the rows go into a file as they are there, in place of earlier ones;
the book's page "What it costs" is made from results/costs/cpu.json and cuda.json.
"""

from benchmarks import (
    accuracy,
    batch,
    book,
    checkpoints,
    choices,
    ensemble,
    interpolation,
    kernel_pde,
    local_spectrum,
    ntk,
    peers,
    perturbation_grid,
    rate,
    scale,
    settings,
)
from benchmarks.measure import parser, run

GROUPS = (
    ensemble.GROUP,
    peers.GROUP,
    accuracy.GROUP,
    settings.GROUP,
    scale.REPLICAS,
    rate.GROUP,
    local_spectrum.GROUP,
    interpolation.GROUP,
    ntk.GROUP,
    kernel_pde.GROUP,
    perturbation_grid.GROUP,
    checkpoints.GROUP,
    batch.GROUP,
    choices.GROUP,
    book.GROUP,
)


def main() -> None:
    """Parse arguments, measure, print."""
    options = parser(__doc__)
    names = [group.name for group in GROUPS]
    options.add_argument(
        "--only",
        action="append",
        choices=names,
        metavar="NAME",
        help=f"one of {', '.join(names)}; may be given several times",
    )
    given = options.parse_args()
    wanted = given.only or names
    run([group for group in GROUPS if group.name in wanted], given)


if __name__ == "__main__":
    main()
