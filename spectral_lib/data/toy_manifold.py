"""Two perpendicular lines in space, one label wrong, and lines beside them.

Source: Zhang, Xiong & Wu 2021, Section 2.3, equation (4) and Figure 3.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from spectral_lib.data.dataset import Dataset

CENTRE = torch.tensor([0.1, 0.1, 0.1])
"""r_0, the middle of the line of class 0; r_1 = -r_0 is that of class 1."""
ALONG = (
    torch.tensor([[1.0, -1.0, 0.0], [1.0, 1.0, -2.0]])
    / torch.tensor([[2.0], [6.0]]).sqrt()
)
"""v_0 and v_1: directions of the two lines, of length 1, rows of [2, 3]."""


def line(centre: Tensor, direction: Tensor, points: int) -> Tensor:
    """Points centre + k direction, k evenly from -1 to 1 with both ends: [points, 3].

    Source: Zhang, Xiong & Wu 2021, equation (4).
    """
    k = torch.linspace(-1, 1, points, dtype=torch.float64).to(centre.dtype)
    return centre + k[:, None] * direction


def two_lines(points: int) -> Dataset:
    """Points of l_0 and then of l_1, as many each, with their classes [2 points].

    51 are trained on and 201 tested in the paper.
    """
    inputs = [line(CENTRE, ALONG[0], points), line(-CENTRE, ALONG[1], points)]
    return Dataset(torch.cat(inputs), torch.arange(2).repeat_interleave(points))


def perturbed_row(seed: int, points: int = 51) -> int:
    """Row of l_0, 0 to points - 1, whose label a replica of this seed has wrong."""
    generator = torch.Generator().manual_seed(seed)
    return int(torch.randint(points, (1,), generator=generator))


class PerturbOne:
    """Gives each replica its own wrong label: the point of `perturbed_row` is class 1.

    It serves as an ``augment`` of training and finds the point by its coordinates, so
    that replicas with different wrong labels can share a data set. The seed is read
    from the replica's generator, whose state it leaves alone.
    """

    def __init__(self, points: int = 51) -> None:
        self.points = points
        self.along_0 = two_lines(points).inputs[:points]

    def __call__(
        self, inputs: Tensor, targets: Tensor, generators: Sequence[torch.Generator]
    ) -> tuple[Tensor, Tensor]:
        """Change targets [R, batch] of inputs [R, batch, 3]."""
        rows = [perturbed_row(g.initial_seed(), self.points) for g in generators]
        wrong = self.along_0[rows].to(inputs)
        found = (inputs == wrong[:, None]).all(-1)
        return inputs, targets.masked_fill(found, 1)


def lines_of(seed: int, samples: int = 128, points: int = 51) -> dict[str, Tensor]:
    """Lines on which a replica of this seed is looked at, each [samples, 3].

    ``on`` is l_0, ``off`` is l_perp through its middle along v_1, and ``through`` is
    parallel to l_perp through the point with the wrong label (ours). The plane of all
    three has the same distance from the boundary, so that all belong to class 0.
    """
    point = line(CENTRE, ALONG[0], points)[perturbed_row(seed, points)]
    return {
        "on": line(CENTRE, ALONG[0], samples),
        "off": line(CENTRE, ALONG[1], samples),
        "through": line(point, ALONG[1], samples),
    }
