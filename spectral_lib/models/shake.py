"""Random factors that are not the same in the forward and in the backward pass."""

import torch
from torch import Tensor


class Shake(torch.autograd.Function):
    """Multiplies x by one factor going forward and its gradient by another going back.

    ``Shake.apply(x, forward, backward)``; the factors are broadcast over x and get no
    gradient. Works under ``torch.func.vmap``. Source: Gastaldi 2017 (arXiv 1705.07485).
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, forward: Tensor, backward: Tensor) -> Tensor:
        """Scale x."""
        return (x * forward).to(x.dtype)

    @staticmethod
    def setup_context(
        ctx: torch.autograd.function.FunctionCtx,
        inputs: tuple[Tensor, Tensor, Tensor],
        output: Tensor,
    ) -> None:
        """Keep the backward factor."""
        ctx.save_for_backward(inputs[2])

    @staticmethod
    def backward(  # type: ignore[override]
        ctx: torch.autograd.function.FunctionCtx, gradient: Tensor
    ) -> tuple[Tensor, None, None]:
        """Scale the gradient of the output."""
        (factor,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return (gradient * factor).to(gradient.dtype), None, None


def uniform(x: Tensor) -> Tensor:
    """One number on [0, 1) for each image of x [batch, ...], as [batch, 1, 1, 1]."""
    # Half precision has too few numbers on [0, 1) for a probability near 1.
    dtype = torch.promote_types(x.dtype, torch.float32)
    return torch.rand((len(x), 1, 1, 1), dtype=dtype, device=x.device)


def share(x: Tensor) -> Tensor:
    """The share of the first of two branches for each image, [batch, 1, 1, 1].

    u / (u + v) for uniform u and v, of mean 1/2 and variance 3/4 - log 2 = 0.057, as in
    the public code of Fridovich-Keil et al. 2021. In Gastaldi 2017 it is uniform.
    """
    u = uniform(x)
    return u / (u + uniform(x))


def mix(first: Tensor, second: Tensor, training: bool) -> Tensor:
    """Add two branches [batch, ...] with random shares, or their mean in evaluation.

    The share that an image's gradient takes into the first branch is drawn anew,
    independently of the share of its output.
    """
    if not training:
        return (first + second) / 2
    ahead, back = share(first), share(first)
    return Shake.apply(first, ahead, back) + Shake.apply(second, 1 - ahead, 1 - back)


def drop(x: Tensor, undisturbed: float, training: bool) -> Tensor:
    """ShakeDrop: leave an image's branch as it is, or disturb it.

    With probability ``undisturbed`` the branch [batch, ...] passes as it is. Otherwise
    its output is multiplied by a number uniform on [-1, 1) and its gradient by another
    on [0, 1), drawn for each image. In evaluation it is multiplied by the expectation
    of the forward factor, ``undisturbed``. Source: Yamada et al. 2019 (arXiv
    1802.02375).
    """
    if not training:
        return undisturbed * x
    calm = uniform(x) < undisturbed
    ahead = torch.where(calm, 1.0, 2 * uniform(x) - 1)
    back = torch.where(calm, 1.0, uniform(x))
    return Shake.apply(x, ahead, back)
