"""Compare one step of the linear kernel equation: fast forms against convolution.

The direct form is two torch convolutions, as the equation is written. The others give
the same Gram term (its largest difference is shown, relative to its maximum): FFTs, a
stored Gram matrix and, on the checkerboard, its distinct patches. All ways take turns
within each round on one thread; times are medians over rounds, ratios those of the
medians, with the range of single rounds. Building an operator is timed apart.

    python benchmarks/kernel_pde.py --kernels 4 8 16 32 --rounds 5 --json out.json
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from spectral_lib.theory.kernel_gradient import LinearEquation
from spectral_lib.theory.kernel_pde import initial_kernel
from spectral_lib.theory.patch_operator import (
    DirectOperator,
    FoldedOperator,
    FourierOperator,
    GramOperator,
    PatchOperator,
)
from spectral_lib.theory.patches import checkerboard

RATE, DECAY = 1e-8, 5e7


def seconds(call: Callable[[], object]) -> float:
    """Time one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def step(kernel: Tensor, operator: PatchOperator) -> Tensor:
    """Take one Euler step."""
    equation = LinearEquation()
    decay = kernel.new_full((1, 1, 1), DECAY)
    return kernel - RATE * equation.gradient(kernel, operator, decay)


def compare(name: str, image: Tensor, size: int, rounds: int) -> list[dict]:
    """Time all forms that suit an image; one row for each."""
    kinds = {"direct": DirectOperator, "fft": FourierOperator, "gram": GramOperator}
    if name == "checkerboard":
        kinds["folded"] = FoldedOperator
    operators, built = {}, {}
    for way, kind in kinds.items():
        start = time.perf_counter()
        operators[way] = kind(image, size)
        built[way] = time.perf_counter() - start
    kernel = initial_kernel(size)[None]
    reference = operators["direct"].gram(kernel)
    gaps = {
        way: ((op.gram(kernel) - reference).abs().max() / reference.abs().max()).item()
        for way, op in operators.items()
    }
    # Enough repeats that a fast form fills about 20 ms.
    repeats = {
        way: max(1, int(0.02 / max(seconds(lambda o=op: step(kernel, o)), 1e-7)))
        for way, op in operators.items()
    }
    times: dict[str, list[float]] = {way: [] for way in operators}
    for _ in range(rounds):
        for way, op in operators.items():
            count = repeats[way]
            total = seconds(lambda o=op, n=count: [step(kernel, o) for _ in range(n)])
            times[way].append(total / count)
    rows = []
    for way, taken in times.items():
        ratios = [d / t for d, t in zip(times["direct"], taken, strict=True)]
        median = statistics.median(taken)
        rows.append(
            {
                "image": name,
                "kernel": size,
                "form": way,
                "build_ms": 1e3 * built[way],
                "step_ms": 1e3 * median,
                "ratio": statistics.median(times["direct"]) / median,
                "ratio_min": min(ratios),
                "ratio_max": max(ratios),
                "difference": gaps[way],
            }
        )
    return rows


def main() -> None:
    """Parse arguments, run, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--image-size", type=int, default=256)
    parser.add_argument("--kernels", type=int, nargs="+", default=[4, 8, 16, 32])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds is {options.rounds}; give at least 1.")
    if not all(1 <= size <= options.image_size for size in options.kernels):
        parser.error(
            f"--kernels is {options.kernels}; give sizes of 1 to {options.image_size}."
        )
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    side = options.image_size
    images = {
        "checkerboard": checkerboard(side),
        "random": torch.randn(side, side, dtype=torch.float64, generator=generator),
    }
    print(f"torch {torch.__version__}, float64, one thread, {side} x {side} pixels")
    print(
        f"{'image':<13}{'kernel':>7}{'form':>8}{'build ms':>10}{'step ms':>10}"
        f"{'ratio':>8}  {'(range)':<16}{'difference':>11}"
    )
    rows = []
    for name, image in images.items():
        for size in options.kernels:
            for row in compare(name, image, size, options.rounds):
                rows.append(row)
                spread = f"({row['ratio_min']:.0f}-{row['ratio_max']:.0f})"
                print(
                    f"{name:<13}{size:>7}{row['form']:>8}{row['build_ms']:>10.1f}"
                    f"{row['step_ms']:>10.3f}{row['ratio']:>8.1f}  {spread:<16}"
                    f"{row['difference']:>11.1e}",
                    flush=True,
                )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
