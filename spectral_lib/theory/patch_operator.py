"""An image seen through a sliding kernel: responses, their adjoint, Gram operator.

A kernel K of k x k weights answers ``z(x) = sum_y K(y) I(x + y)`` at every position
x at which it fits in the image I. Stacking the patches of the image as rows of a
matrix P, this is ``z = P K``; gradients need the adjoint, and the linear equation of
Sun et al. 2022 (9) needs only the Gram operator ``P^T P``, the paper's
``(K * I) * I`` inside the window.

Four implementations of the same operator:

================== ==================================== ==========================
`DirectOperator`   torch convolutions                   reference, small images
`FourierOperator`  zero-padded FFTs                     any image
`GramOperator`     stored matrix P^T P                  many steps, kernels to 32
`FoldedOperator`   distinct patches with multiplicities periodic images
================== ==================================== ==========================

and `CircularOperator` for a kernel as large as the image on a torus.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import torch
from scipy.fft import next_fast_len
from torch import Tensor
from torch.nn import functional

from spectral_lib.theory.patches import check_image, distinct_positions, gram_matrix


@dataclass(frozen=True)
class PatchOperator(ABC):
    """What every implementation offers; kernels carry a leading batch axis.

    Attributes
    ----------
    image : Tensor
        Shape ``(height, width)``, float32 or float64; see `extend_image` for
        boundaries other than "valid".
    kernel_size : int
        Side k of the kernel in pixels.
    counts : Tensor
        How many positions each entry of a response stands for, shape
        ``(responses,)``; ones unless patches were folded together.
    """

    image: Tensor
    kernel_size: int
    counts: Tensor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_image(self.image, self.kernel_size)
        self._set("counts", self.image.new_ones(self._rows() * self._columns()))

    def _set(self, name: str, value: Tensor) -> None:
        # A frozen dataclass fills its derived fields once, here.
        object.__setattr__(self, name, value)

    def _rows(self) -> int:
        return self.image.shape[0] - self.kernel_size + 1

    def _columns(self) -> int:
        return self.image.shape[1] - self.kernel_size + 1

    @property
    def positions(self) -> int:
        """Number of positions at which the kernel is applied."""
        return int(self.counts.sum().item())

    @abstractmethod
    def respond(self, kernels: Tensor) -> Tensor:
        """Map kernels ``(batch, k, k)`` to responses ``(batch, responses)``."""

    @abstractmethod
    def adjoint(self, weights: Tensor) -> Tensor:
        """Map weights ``(batch, responses)`` to ``sum_x w(x) I(x + .)``.

        The sum runs over all positions (`counts` is applied here); the result has
        shape ``(batch, k, k)``.
        """

    def gram(self, kernels: Tensor) -> Tensor:
        """Apply P^T P, the windowed ``(K * I) * I``, to ``(batch, k, k)``."""
        return self.adjoint(self.respond(kernels))


@dataclass(frozen=True)
class DirectOperator(PatchOperator):
    """The definition itself by torch convolutions: slow, and the reference."""

    def respond(self, kernels: Tensor) -> Tensor:
        """Correlate the image with each kernel."""
        return functional.conv2d(self.image[None, None], kernels[:, None])[0].flatten(1)

    def adjoint(self, weights: Tensor) -> Tensor:
        """Correlate the image with each map of weights, as large as the response."""
        maps = weights.reshape(-1, 1, self._rows(), self._columns())
        return functional.conv2d(self.image[None, None], maps)[0]


@dataclass(frozen=True)
class FourierOperator(PatchOperator):
    """The same by FFTs: exact for every image, no matrix is stored."""

    spectrum: Tensor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("spectrum", torch.fft.rfft2(self.image, s=self._size()))

    def _size(self) -> tuple[int, int]:
        # x + y never leaves the image, so no wrap-around reaches what is kept and
        # the image's own size is enough; it is only rounded up to a fast length.
        height, width = self.image.shape
        return next_fast_len(height, real=True), next_fast_len(width, real=True)

    def _correlate(self, small: Tensor, rows: int, columns: int) -> Tensor:
        size = self._size()
        product = self.spectrum * torch.fft.rfft2(small, s=size).conj()
        return torch.fft.irfft2(product, s=size)[:, :rows, :columns]

    def respond(self, kernels: Tensor) -> Tensor:
        """Correlate the image with each kernel through the frequency domain."""
        return self._correlate(kernels, self._rows(), self._columns()).flatten(1)

    def adjoint(self, weights: Tensor) -> Tensor:
        """Correlate the image with each map of weights through frequencies."""
        maps = weights.reshape(-1, self._rows(), self._columns())
        return self._correlate(maps, self.kernel_size, self.kernel_size)


@dataclass(frozen=True)
class GramOperator(FourierOperator):
    """FFTs for responses, a stored k^2 x k^2 matrix for the Gram operator."""

    matrix: Tensor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("matrix", gram_matrix(self.image, self.kernel_size))

    def gram(self, kernels: Tensor) -> Tensor:
        """Multiply each kernel by the stored matrix."""
        return (kernels.flatten(1) @ self.matrix).reshape(kernels.shape)


@dataclass(frozen=True)
class FoldedOperator(PatchOperator):
    """Distinct patches of a periodic image, each with its multiplicity.

    An image with periods (p, q) has at most p q distinct patches, whatever its size:
    4 for the checkerboard of Sun et al. 2022, where 50625 responses of a 32 x 32
    kernel take the values s and -s only. All k x k weights are kept.
    """

    patches: Tensor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        rows, columns = distinct_positions(self.image, self.kernel_size)
        k = self.kernel_size
        windows = self.image.unfold(0, k, 1).unfold(1, k, 1)[:rows, :columns]
        self._set("patches", windows.reshape(rows * columns, k * k))
        per_row = _multiplicity(self._rows(), rows, self.image)
        per_column = _multiplicity(self._columns(), columns, self.image)
        self._set("counts", torch.outer(per_row, per_column).flatten())

    def respond(self, kernels: Tensor) -> Tensor:
        """Multiply each kernel with every distinct patch."""
        return kernels.flatten(1) @ self.patches.T

    def adjoint(self, weights: Tensor) -> Tensor:
        """Add up distinct patches, weighted and counted."""
        k = self.kernel_size
        return ((weights * self.counts) @ self.patches).reshape(-1, k, k)


@dataclass(frozen=True)
class CircularOperator(PatchOperator):
    """A kernel as large as its square image on a torus, the w -> infinity limit.

    The Gram operator is then diagonal in frequency with the entries ``|I^|^2`` of a
    plain (unnormalised) DFT: Sun et al. 2022, equation (12).
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.image.shape != (self.kernel_size, self.kernel_size):
            raise ValueError(
                f"kernel_size is {self.kernel_size} and the image "
                f"{tuple(self.image.shape)}; both must have the same side."
            )
        self._set("counts", self.image.new_ones(self.image.numel()))

    def _correlate(self, other: Tensor) -> Tensor:
        product = torch.fft.rfft2(self.image) * torch.fft.rfft2(other).conj()
        return torch.fft.irfft2(product, s=tuple(self.image.shape))

    def respond(self, kernels: Tensor) -> Tensor:
        """Correlate on the torus, one response per pixel."""
        return self._correlate(kernels).flatten(1)

    def adjoint(self, weights: Tensor) -> Tensor:
        """Correlate the image with the weights on the torus."""
        return self._correlate(weights.reshape(-1, *self.image.shape))


def fast_operator(image: Tensor, kernel_size: int) -> PatchOperator:
    """Choose the cheapest exact operator: folded patches, else FFTs.

    Parameters
    ----------
    image : Tensor
        Shape ``(height, width)``, float32 or float64.
    kernel_size : int
        Side of the kernel in pixels.

    Raises
    ------
    ValueError, TypeError
        As `check_image`.
    """
    rows, columns = distinct_positions(image, kernel_size)
    # Both cost about the same where the folded patches hold ten images' pixels.
    if rows * columns * kernel_size**2 <= 10 * image.numel():
        return FoldedOperator(image, kernel_size)
    return FourierOperator(image, kernel_size)


def _multiplicity(positions: int, distinct: int, like: Tensor) -> Tensor:
    first = torch.arange(distinct, device=like.device)
    return ((positions - 1 - first) // distinct + 1).to(like)
