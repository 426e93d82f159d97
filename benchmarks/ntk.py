"""Time empirical tangent kernels against a plain loop over points.

The plain way is what one writes first: a backward pass for every point, the gradients
as rows of a Jacobian, and its product with itself. The library takes a sum over layers
for a perceptron.

If the package ``neural-tangents`` is there, it computes the same kernels of the same
weights, compiled, by the way that it chooses itself; compiling is not timed. It is no
dependency of this project and wants an environment of its own: its release 0.6.5 ran
with jax and jaxlib 0.4.25, tf2jax 0.3.6 and numpy 1.26, and failed with newer ones.

    python -m benchmarks.ntk --rounds 5
"""

import contextlib
import functools
import importlib
import io
import os
import warnings
from collections.abc import Callable, Iterator
from typing import Any

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")

import numpy as np
import torch
from torch import Tensor

from benchmarks.measure import Group, Setting, by_turns
from spectral_book.pages.costs import Cost
from spectral_lib.data.packets import midpoints
from spectral_lib.models.mlp import MLP
from spectral_lib.probes.ntk import empirical_ntk, jacobian_ntk, relative_change
from spectral_lib.training.ensemble import Ensemble, initialise

Kernel = Callable[[Ensemble, Tensor], Tensor]

NETWORKS: dict[str, Callable[[], MLP]] = {
    "MLP 1-100-100-1": lambda: MLP([1, 100, 100, 1]),
    "MLP 1-256-256-256-1": lambda: MLP([1, 256, 256, 256, 1]),
}


def plain_loop(ensemble: Ensemble, x: Tensor) -> Tensor:
    """Tangent kernels by one backward pass a point and replica."""
    kernels = []
    for r in range(len(ensemble)):
        net = ensemble.replica(r)
        parameters = list(net.parameters.values())
        rows = []
        for point in x:
            value = net(point[None, None]).squeeze()
            gradient = torch.autograd.grad(value, parameters)
            rows.append(torch.cat([g.flatten() for g in gradient]))
        jacobian = torch.stack(rows)
        kernels.append(jacobian @ jacobian.T)
    return torch.stack(kernels)


@functools.cache
def peer_is_there() -> bool:
    """Whether neural-tangents imports; says in one line why not."""
    try:
        importlib.import_module("neural_tangents")
    except Exception as error:  # beside a newer jax it fails in many ways
        print(f"neural-tangents is left out: {error}")
        return False
    return True


def peer_way(ensemble: Ensemble) -> Kernel | None:
    """The kernel by neural-tangents from the same weights; None where it is missing."""
    if not peer_is_there():
        return None
    import jax
    import jax.numpy as jnp
    import neural_tangents

    def perceptron(w: dict[str, Any], x: Any) -> Any:
        for i in range(len(ensemble.module.layers)):
            x = jax.nn.relu(x) if i else x
            x = x @ w[f"layers.{i}.weight"].T + w[f"layers.{i}.bias"]
        return x

    ntk = neural_tangents.empirical_ntk_fn(
        perceptron,
        vmap_axes=0,
        implementation=neural_tangents.NtkImplementation.AUTO,
    )
    compiled = jax.jit(lambda x, w: ntk(x, None, w))
    weights = [
        {k: jnp.asarray(v[r].detach().numpy()) for k, v in ensemble.parameters.items()}
        for r in range(len(ensemble))
    ]

    def way(_: Ensemble, x: Tensor) -> Tensor:
        points = jnp.asarray(x.numpy())
        kernels = [np.array(compiled(points, w)) for w in weights]
        return torch.from_numpy(np.stack(kernels))

    return way


def rows(setting: Setting) -> Iterator[Cost]:
    """A row for each number of replicas, network and other way."""
    points = setting.size(120, 8)
    for replicas in (1, setting.size(5, 2)):
        for name, build in NETWORKS.items():
            ensemble = initialise(build, range(1, replicas + 1), device=setting.device)
            x = midpoints(points).float()[:, None].to(setting.device)
            kernels: dict[str, Kernel] = {
                "ours": empirical_ntk,
                "a backward pass a point": plain_loop,
                "batched Jacobian": jacobian_ntk,
            }
            if not setting.on_gpu and (peer := peer_way(ensemble)) is not None:
                kernels["neural-tangents"] = peer
            ways = {
                way: functools.partial(kernel, ensemble, x)
                for way, kernel in kernels.items()
            }
            # The peer prints what it considers.
            with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                done = by_turns(ways, setting)
            for way in list(kernels)[1:]:
                mine, other = done.results["ours"], done.results[way]
                gap = float(relative_change(mine, other).max())
                what = f"Tangent kernel at {points} points, {replicas} x {name}"
                yield done.row(what, way, per=1e-3, unit="ms", gap=gap)


GROUP = Group(
    "ntk",
    "Tangent kernels",
    "The empirical tangent kernel of a perceptron as the library computes it (a sum "
    "over layers), against a backward pass for each point, the batched Jacobian of "
    "torch.func, and neural-tangents where it is installed.",
    rows,
)

if __name__ == "__main__":
    GROUP.alone(__doc__)
