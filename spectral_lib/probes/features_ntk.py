"""Tangent kernels of Fourier-features networks of finite width, without a Jacobian.

Derived here; the limit of infinite width is `spectral_lib.theory.infinite_width`.
"""

import torch
from torch import Tensor

from spectral_lib.models.fourier_features import (
    ACTIVATIONS,
    FourierFeatures,
    FourierSettings,
)
from spectral_lib.training.ensemble import Ensemble, State

MEMORY = 2**26
"""Bytes that gradients may take at a time, unless said otherwise."""


@torch.no_grad()
def fourier_features_ntk(
    ensemble: Ensemble, x: Tensor, y: Tensor | None = None, memory: int = MEMORY
) -> Tensor:
    """Tangent kernel of two-layer Fourier-features networks in closed form.

    (1/m) sum_j [cos w_j (x - y) + x y q_j(x) q_j(y)] with
    q = -a sin(w x) + b cos(w x), and the same with sqrt(2) cos(w x + phi) for the
    phase variant; frozen frequencies or phases leave their part out. Shapes: x
    [points, 1] to [R, points of x, points of y]; ``memory`` as in `jacobian_ntk`.
    Derived here.

    Raises
    ------
    ValueError
        If the network is no Fourier-features network, or has a dense layer.
    """
    module = ensemble.module
    if not isinstance(module, FourierFeatures) or module.settings.hidden:
        raise ValueError(
            "the closed form is for FourierFeatures without a dense layer; use "
            "jacobian_ntk."
        )
    points = len(x) + (0 if y is None else len(y))
    units = max(1, memory // (4 * points * x.element_size()))
    return torch.stack(
        [_closed_form(ensemble, module, r, x, y, units) for r in range(len(ensemble))]
    )


def _closed_form(
    ensemble: Ensemble,
    module: FourierFeatures,
    replica: int,
    x: Tensor,
    y: Tensor | None,
    units: int,
) -> Tensor:
    """Kernel of one replica, a portion of its units at a time."""
    state = {**ensemble.parameters, **ensemble.buffers}
    state = {k: v[replica].detach() for k, v in state.items()}
    # Rows of weights that belong to the units: w, then phi and a, or a and b.
    rows = [state["frequency"].flatten()]
    if module.settings.features == "phase":
        rows += [state["phase"].flatten(), state["amplitude"].flatten()]
    else:
        rows += [part.flatten() for part in state["amplitude"].chunk(2, dim=-1)]
    kernel = x.new_zeros(len(x), len(x if y is None else y))
    for weights in torch.stack(rows).split(units, dim=1):
        left = _tangents(module.settings, weights, x)
        right = left if y is None else _tangents(module.settings, weights, y)
        kernel += left @ right.T
    return kernel / module.settings.width


def _tangents(settings: FourierSettings, weights: Tensor, x: Tensor) -> Tensor:
    """Derivatives of sqrt(m) f by all trained weights, [points, parameters]."""
    w, second, third = weights
    if settings.features == "phase":
        angle = w * x + second
        turn = -(2**0.5) * torch.sin(angle) * third
        parts = [2**0.5 * torch.cos(angle)]
        if settings.train_phases:
            parts.append(turn)
    else:
        cosine, sine = torch.cos(w * x), torch.sin(w * x)
        turn = third * cosine - second * sine
        parts = [cosine, sine]
    if settings.train_frequencies:
        parts.append(x * turn)
    return torch.cat(parts, dim=-1)


@torch.no_grad()
def dense_features_ntk(
    ensemble: Ensemble, x: Tensor, y: Tensor | None = None
) -> Tensor:
    """Tangent kernel of Fourier features with a dense layer, layer by layer.

    The last layer adds s s^T, the dense one (delta delta^T) * (phi phi^T) as in
    `mlp_ntk`, and frequencies (and phases) the products of their own derivatives.
    Shapes: x [points, 1] to [R, points of x, points of y].

    Raises
    ------
    ValueError
        If the network is no Fourier-features network with a dense layer.
    """
    module = ensemble.module
    if not isinstance(module, FourierFeatures) or not module.settings.hidden:
        raise ValueError(
            "dense_features_ntk is for FourierFeatures with a dense layer; use "
            "empirical_ntk."
        )
    state = {**ensemble.parameters, **ensemble.buffers}
    kernels = []
    for r in range(len(ensemble)):
        kernel = x.new_zeros(())
        for half in range(module.halves):
            weights = {k: v[r, half].detach() for k, v in state.items()}
            left = _dense_tangents(module, weights, x)
            right = left if y is None else _dense_tangents(module, weights, y)
            grams = [a @ b.T for a, b in zip(left, right, strict=True)]
            kernel = kernel + grams[0] + grams[1] * grams[2] + sum(grams[3:])
        kernels.append(kernel)
    return torch.stack(kernels)


def _dense_tangents(module: FourierFeatures, weights: State, x: Tensor) -> list[Tensor]:
    """Units s, features phi, delta, then derivatives by angle: x turn, turn."""
    settings = module.settings
    angle = x * weights["frequency"]
    if settings.features == "phase":
        angle = angle + weights["phase"]
        features = 2**0.5 * torch.cos(angle)
        slopes = -(2**0.5) * torch.sin(angle)
    else:
        features = torch.cat([torch.cos(angle), torch.sin(angle)], -1)
        slopes = torch.cat([-torch.sin(angle), torch.cos(angle)], -1)
    features = module.scale * features
    with torch.enable_grad():
        before = (features @ weights["hidden"].T).requires_grad_()
        units = module.output_scale * ACTIVATIONS[settings.activation](before)
        (delta,) = torch.autograd.grad((units @ weights["amplitude"]).sum(), before)
    turn = module.scale * slopes * (delta @ weights["hidden"])
    if settings.features == "cos_sin":
        turn = sum(turn.chunk(2, dim=-1))
    parts = [units.detach(), features, delta]
    if settings.train_frequencies:
        parts.append(x * turn)
    if settings.features == "phase" and settings.train_phases:
        parts.append(turn)
    return parts
