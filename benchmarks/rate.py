"""Share of the device's matrix-product rate that a training step reaches.

The rate is measured in the same rounds: a product of two square float32 matrices, of
512 rows on a CPU and of 8192 on a GPU. The operations of a step are counted by torch
on the plain network: products and convolutions, forward and backward.
"""

import statistics
from collections.abc import Iterator

import torch

from benchmarks.measure import Group, Setting, by_turns
from benchmarks.works import Work, convolution, images, ours, perceptron
from spectral_book.pages.costs import Cost


def rows(setting: Setting) -> Iterator[Cost]:
    """A row for each network."""
    many = setting.size(64 if setting.on_gpu else 16, 2)
    wide = convolution(setting, 35, 64)
    cases = [
        (perceptron(setting), many),
        (convolution(setting, 3), many),
        (wide, 1),
        (images(setting), 1),
    ]
    side = setting.size(8192 if setting.on_gpu else 512, 64)
    matrix = torch.randn(side, side, device=setting.device) / side**0.5
    for work, replicas in cases:
        yield compare(work, replicas, matrix, setting)


def compare(work: Work, replicas: int, matrix: torch.Tensor, setting: Setting) -> Cost:
    """Operations a second of training over those of a matrix product."""
    stacked = work.stacked or setting.on_gpu
    seeds, products = range(1, replicas + 1), 8

    def multiply() -> None:
        product = matrix
        for _ in range(products):
            product = matrix @ product

    done = by_turns(
        {"ours": lambda: ours(work, seeds, setting, stacked=stacked), "mm": multiply},
        setting,
    )
    ours_flops = work.flops() * work.steps * replicas
    flops = {"ours": ours_flops, "mm": products * 2 * len(matrix) ** 3}
    rates = {way: [flops[way] / s / 1e9 for s in done.seconds[way]] for way in flops}
    shares = [a / b for a, b in zip(rates["ours"], rates["mm"], strict=True)]
    return Cost(
        quantity=f"{replicas} x {work.name}",
        unit="GFLOP/s",
        ours=statistics.median(rates["ours"]),
        against=f"product of {len(matrix)} x {len(matrix)} matrices",
        other=statistics.median(rates["mm"]),
        ratio=(min(shares), statistics.median(shares), max(shares)),
        share=True,
    )


GROUP = Group(
    "rate",
    "Share of the rate of matrix products",
    "Floating-point operations a second of whole training runs (data, forward, "
    "backward, Adam) in float32, over the rate of a matrix product measured in the "
    "same rounds. A convolution is counted as a direct one; by FFT it takes fewer "
    "operations, and its share may pass 100 %.",
    rows,
)
