"""An image seen through a sliding kernel: responses, their adjoint, Gram operator.

A kernel K of k x k weights answers ``z(x) = sum_y K(y) I(x + y)`` at every position
x at which it fits in the image I. Stacking the patches of the image as rows of a
matrix P, this is ``z = P K``; gradients need the adjoint, and the linear equation of
Sun et al. 2022 (9) needs only the Gram operator ``P^T P``, the paper's
``(K * I) * I`` inside the window.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

from spectral_lib.theory.patches import check_image, distinct_positions


@dataclass(frozen=True)
class PatchOperator(ABC):
    """What both implementations offer; kernels carry a leading batch axis.

    Attributes
    ----------
    image
        Shape (height, width), float32 or float64; see `extend_image` for boundaries
        other than "valid".
    kernel_size
        Side k of the kernel in pixels.
    counts
        How many positions each entry of a response stands for [responses]; ones unless
        patches were folded together.
    """

    image: Tensor
    kernel_size: int
    counts: Tensor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_image(self.image, self.kernel_size)
        rows, columns = self._fits
        self._set("counts", self.image.new_ones(rows * columns))

    def _set(self, name: str, value: Tensor) -> None:
        # A frozen dataclass fills its derived fields once, here.
        object.__setattr__(self, name, value)

    @property
    def _fits(self) -> tuple[int, int]:
        """Row and column positions at which the kernel fits."""
        height, width = self.image.shape
        return height - self.kernel_size + 1, width - self.kernel_size + 1

    @property
    def positions(self) -> int:
        """Number of positions at which the kernel is applied."""
        return int(self.counts.sum().item())

    @abstractmethod
    def respond(self, kernels: Tensor) -> Tensor:
        """Map kernels [batch, k, k] to responses [batch, responses]."""

    @abstractmethod
    def adjoint(self, weights: Tensor) -> Tensor:
        """Map weights [batch, responses] to ``sum_x w(x) I(x + .)``, [batch, k, k].

        The sum runs over all positions: `counts` is applied here.
        """

    def gram(self, kernels: Tensor) -> Tensor:
        """Apply P^T P, the windowed ``(K * I) * I``, to [batch, k, k]."""
        return self.adjoint(self.respond(kernels))


@dataclass(frozen=True)
class DirectOperator(PatchOperator):
    """The definition itself by torch convolutions: any image, slow."""

    def respond(self, kernels: Tensor) -> Tensor:
        """Correlate the image with each kernel."""
        return functional.conv2d(self.image[None, None], kernels[:, None])[0].flatten(1)

    def adjoint(self, weights: Tensor) -> Tensor:
        """Correlate the image with each map of weights, as large as the response."""
        maps = weights.reshape(-1, 1, *self._fits)
        return functional.conv2d(self.image[None, None], maps)[0]


@dataclass(frozen=True)
class FoldedOperator(PatchOperator):
    """Distinct patches of a periodic image, each with its multiplicity.

    An image with periods (p, q) has at most p q distinct patches, whatever its size:
    4 for the checkerboard of Sun et al. 2022, where 50625 responses of a 32 x 32
    kernel take the values s and -s only. All k x k weights remain.
    """

    patches: Tensor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        rows, columns = distinct_positions(self.image, self.kernel_size)
        k = self.kernel_size
        windows = self.image.unfold(0, k, 1).unfold(1, k, 1)[:rows, :columns]
        self._set("patches", windows.reshape(rows * columns, k * k))
        per_row = _multiplicity(self._fits[0], rows, self.image)
        per_column = _multiplicity(self._fits[1], columns, self.image)
        self._set("counts", torch.outer(per_row, per_column).flatten())

    def respond(self, kernels: Tensor) -> Tensor:
        """Multiply each kernel with every distinct patch."""
        return kernels.flatten(1) @ self.patches.T

    def adjoint(self, weights: Tensor) -> Tensor:
        """Add up distinct patches, weighted and counted."""
        k = self.kernel_size
        return ((weights * self.counts) @ self.patches).reshape(-1, k, k)


def fast_operator(image: Tensor, kernel_size: int) -> PatchOperator:
    """Fold the patches of a periodic image; convolve any other.

    Errors are those of `check_image`.
    """
    rows, columns = distinct_positions(image, kernel_size)
    # Folding pays as long as the distinct patches hold few images' pixels.
    if rows * columns * kernel_size**2 <= 10 * image.numel():
        return FoldedOperator(image, kernel_size)
    return DirectOperator(image, kernel_size)


def _multiplicity(positions: int, distinct: int, like: Tensor) -> Tensor:
    first = torch.arange(distinct, device=like.device)
    return ((positions - 1 - first) // distinct + 1).to(like)
