"""Compare one step of the linear kernel equation: fast forms against convolution.

The direct form is two torch convolutions, as the equation is written. The others give
the same Gram term (its largest difference is shown, relative to its maximum): FFTs, a
stored Gram matrix and, on the checkerboard, its distinct patches. Building an operator
is the column "once". float64, on the CPU.

    python -m benchmarks.kernel_pde --rounds 5
"""

import time
from collections.abc import Iterator

import torch
from torch import Tensor

from benchmarks.measure import Group, Setting, by_turns, timed
from spectral_book.pages.costs import Cost
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


def step(kernel: Tensor, operator: PatchOperator) -> Tensor:
    """Take one Euler step."""
    equation = LinearEquation()
    decay = kernel.new_full((1, 1, 1), DECAY)
    return kernel - RATE * equation.gradient(kernel, operator, decay)


def compare(name: str, image: Tensor, size: int, setting: Setting) -> Iterator[Cost]:
    """A row for each form that suits an image."""
    kinds = {
        "convolutions": DirectOperator,
        "FFT": FourierOperator,
        "Gram matrix": GramOperator,
    }
    if name == "checkerboard":
        kinds["folded patches"] = FoldedOperator
    operators, built = {}, {}
    for way, kind in kinds.items():
        start = time.perf_counter()
        operators[way] = kind(image, size)
        built[way] = time.perf_counter() - start
    kernel = initial_kernel(size)[None]
    reference = operators["convolutions"].gram(kernel)
    side = len(image)
    for way in list(kinds)[1:]:
        pair = {w: operators[w] for w in ("convolutions", way)}
        # Enough repeats that the fast form fills about 20 ms.
        once, _ = timed(lambda op=pair[way]: step(kernel, op), setting)
        count = max(1, min(500, int(0.02 / max(once, 1e-7))))
        done = by_turns(
            {
                "ours": lambda op=pair[way], n=count: [
                    step(kernel, op) for _ in range(n)
                ],
                "convolutions": lambda op=pair["convolutions"]: step(kernel, op),
            },
            setting,
        )
        gap = (operators[way].gram(kernel) - reference).abs().max()
        yield done.divided({"ours": count}).row(
            f"Step by {way}, {name} {side} x {side}, kernel of {size}",
            "convolutions",
            per=1e-3,
            unit="ms",
            gap=float(gap / reference.abs().max()),
            once=built[way],
        )


def rows(setting: Setting) -> Iterator[Cost]:
    """The rows of all images and sizes of kernel."""
    generator = torch.Generator().manual_seed(0)
    side = setting.size(256, 16)
    images = {
        "checkerboard": checkerboard(side),
        "random": torch.randn(side, side, dtype=torch.float64, generator=generator),
    }
    for name, image in images.items():
        for size in (4, 8) if setting.tiny else (4, 8, 16, 32):
            yield from compare(name, image, size, setting)


GROUP = Group(
    "kernel_pde",
    "Steps of the kernel equation",
    "One Euler step of the linear kernel equation in float64 on the processor. The "
    "same operator by FFTs, by a stored Gram matrix of the image's patches, or by its "
    "distinct patches alone (folded, for a periodic image), against two convolutions. "
    "Building the operator is done once a run.",
    rows,
    cpu_only=True,
)

if __name__ == "__main__":
    GROUP.alone(__doc__)
