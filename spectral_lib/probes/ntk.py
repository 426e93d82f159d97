"""Neural tangent kernels of an ensemble, by whichever exact way is fastest.

K(x, y) = sum over parameters of df(x)/dtheta df(y)/dtheta, for networks with one
output; buffers (frozen frequencies) do not count.
"""

import torch
from torch import Tensor
from torch.func import functional_call, grad, vmap

from spectral_lib.models.mlp import MLP
from spectral_lib.training.ensemble import Ensemble, State, evaluating

MEMORY = 2**26
"""Bytes that gradients may take at a time, unless said otherwise."""


def empirical_ntk(ensemble: Ensemble, x: Tensor, y: Tensor | None = None) -> Tensor:
    """Tangent kernel of every replica: `mlp_ntk` for an MLP, else `jacobian_ntk`.

    Shapes and errors of all three are those of `jacobian_ntk`.
    """
    way = mlp_ntk if _is_learned_mlp(ensemble) else jacobian_ntk
    return way(ensemble, x, y)


@torch.no_grad()
def jacobian_ntk(
    ensemble: Ensemble, x: Tensor, y: Tensor | None = None, memory: int = MEMORY
) -> Tensor:
    """Tangent kernel of every replica from its Jacobian, [R, points of x, of y].

    Parameters
    ----------
    ensemble
        Networks with one output, as they are now.
    x, y
        Inputs [points, ...] shared by the replicas; y = x if not given.
    memory
        Bytes for the gradients of two blocks of points. Fewer bytes take more time,
        and at least one point is taken at a time.

    Raises
    ------
    ValueError
        If the network has more than one output, or no parameter that is learned.
    """
    _check_single_output(ensemble, x)
    bytes_a_point = sum(
        v[0].numel() * v.element_size() for v in ensemble.parameters.values()
    )
    rows = max(1, memory // (2 * bytes_a_point))
    with evaluating(ensemble.module):
        found = [_ntk(ensemble, r, x, y, rows) for r in range(len(ensemble))]
    return torch.stack(found)


def _ntk(
    ensemble: Ensemble, replica: int, x: Tensor, y: Tensor | None, rows: int
) -> Tensor:
    """Kernel of one replica in blocks of rows."""
    parameters = {k: v[replica].detach() for k, v in ensemble.parameters.items()}
    buffers = {k: v[replica] for k, v in ensemble.buffers.items()}

    def value(parameters: State, point: Tensor) -> Tensor:
        state = {**parameters, **buffers}
        return functional_call(ensemble.module, state, (point[None],)).squeeze()

    def gradients(points: Tensor) -> Tensor:
        found = vmap(grad(value), in_dims=(None, 0))(parameters, points)
        return torch.cat([g.flatten(1) for g in found.values()], dim=1)

    other = x if y is None else y
    kernel = x.new_empty(len(x), len(other))
    for i in range(0, len(x), rows):
        left = gradients(x[i : i + rows])
        # One set of points: the blocks above the diagonal are mirrored.
        for j in range(0 if y is not None else i, len(other), rows):
            diagonal = y is None and i == j
            right = left if diagonal else gradients(other[j : j + rows])
            block = left @ right.T
            kernel[i : i + rows, j : j + rows] = block
            if y is None and not diagonal:
                kernel[j : j + rows, i : i + rows] = block.T
    return kernel


@torch.no_grad()
def mlp_ntk(ensemble: Ensemble, x: Tensor, y: Tensor | None = None) -> Tensor:
    """Tangent kernel of multilayer perceptrons, layer by layer without a Jacobian.

    The gradient of a weight matrix is delta h^T, with the layer's input h and the
    output's derivative delta by its result; so a layer adds
    (delta delta^T) * (h h^T + 1), elementwise. Shapes and errors as in `jacobian_ntk`.
    """
    module = ensemble.module
    if not isinstance(module, MLP) or not _is_learned_mlp(ensemble):
        raise ValueError(
            "mlp_ntk is for an MLP without frozen parameters; use empirical_ntk."
        )
    _check_single_output(ensemble, x)
    left = _layers(ensemble, module, x)
    right = left if y is None else _layers(ensemble, module, y)
    total = x.new_zeros(())
    for (h, delta), (other, turn) in zip(left, right, strict=True):
        total = total + (delta @ turn.mT) * (h @ other.mT + 1.0)
    return total


def _layers(ensemble: Ensemble, module: MLP, x: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Input [R, points, a] and output derivative [R, points, b] of every layer."""
    h = x.expand(len(ensemble), *x.shape)
    inputs, results = [], []
    with torch.enable_grad():
        for i in range(len(module.layers)):
            h = module.activation(h) if i else h
            inputs.append(h.detach())
            weight = ensemble.parameters[f"layers.{i}.weight"].detach()
            bias = ensemble.parameters[f"layers.{i}.bias"].detach()
            h = torch.baddbmm(bias[:, None], h, weight.mT)
            results.append(h if h.requires_grad else h.requires_grad_())
        # Points and replicas do not mix: the gradient of the sum is each one's own.
        deltas = torch.autograd.grad(h.sum(), results)
    return list(zip(inputs, deltas, strict=True))


def relative_change(kernel: Tensor, reference: Tensor) -> Tensor:
    """Frobenius norm of kernel - reference over that of the reference, [R]."""
    gap = (kernel - reference).double().flatten(-2).norm(dim=-1)
    return gap / reference.double().flatten(-2).norm(dim=-1)


def _is_learned_mlp(ensemble: Ensemble) -> bool:
    """Whether the network is a perceptron all of whose parameters are learned."""
    module = ensemble.module
    names = {name for name, _ in module.named_parameters()}
    return isinstance(module, MLP) and names == set(ensemble.parameters)


def _check_single_output(ensemble: Ensemble, x: Tensor) -> None:
    if not ensemble.parameters:
        raise ValueError("all parameters are frozen; set requires_grad of some.")
    outputs = ensemble.replica(0).predict(x[:1]).numel()
    if outputs != 1:
        raise ValueError(
            f"the network has {outputs} outputs a point; give one with a single output."
        )
