"""Time of an empirical tangent kernel against a plain loop over samples.

The plain way is what one writes first: a backward pass for every point, the gradients
as rows of a Jacobian, and its product with itself. "jacobian" is the batched Jacobian
of ``torch.func``, "chosen" what the library takes: a sum over layers for a perceptron,
the closed form for two-layer Fourier features. All run on one thread and take turns
within each round; the table shows medians over rounds, and how far the kernels are
apart.

If the package ``neural-tangents`` is there, it computes the same kernels of the same
weights, compiled, by the way that it chooses itself; compiling is not timed. It is no
dependency of this project and wants an environment of its own: its release 0.6.5 ran
with jax and jaxlib 0.4.25, tf2jax 0.3.6 and numpy 1.26, and failed with newer ones.
"""

import argparse
import contextlib
import functools
import importlib
import io
import json
import math
import os
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")

import numpy as np
import torch
from torch import Tensor, nn

from spectral_lib.data.frequencies import Normal
from spectral_lib.data.packets import midpoints
from spectral_lib.models.fourier_features import FourierFeatures, FourierSettings
from spectral_lib.models.mlp import MLP
from spectral_lib.probes.ntk import empirical_ntk, jacobian_ntk, relative_change
from spectral_lib.training.ensemble import Ensemble, initialise

Kernel = Callable[[Ensemble, Tensor], Tensor]

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "mlp 1-100-100-1": lambda: MLP([1, 100, 100, 1]),
    "mlp 1-256-256-256-1": lambda: MLP([1, 256, 256, 256, 1]),
    "fourier m=500": lambda: FourierFeatures(FourierSettings(500, Normal(20.0))),
    "fourier m=8000": lambda: FourierFeatures(FourierSettings(8000, Normal(20.0))),
    "fourier 200, sin 200": lambda: FourierFeatures(
        FourierSettings(200, Normal(20.0), hidden=200)
    ),
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

    module = ensemble.module

    def perceptron(w: dict[str, Any], x: Any) -> Any:
        for i in range(len(module.layers)):
            x = jax.nn.relu(x) if i else x
            x = x @ w[f"layers.{i}.weight"].T + w[f"layers.{i}.bias"]
        return x

    def fourier(w: dict[str, Any], x: Any) -> Any:
        halves = []
        for half in range(module.halves):
            angle = x * w["frequency"][half]
            units = module.scale * jnp.concatenate([jnp.cos(angle), jnp.sin(angle)], -1)
            if module.settings.hidden:
                units = jnp.sin(units @ w["hidden"][half].T) * module.output_scale
            halves.append(units @ w["amplitude"][half][:, None])
        return halves[0] - halves[1]

    ntk = neural_tangents.empirical_ntk_fn(
        perceptron if isinstance(module, MLP) else fourier,
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


def seconds(way: Kernel, ensemble: Ensemble, x: Tensor) -> float:
    """Seconds of one evaluation."""
    started = time.perf_counter()
    way(ensemble, x)
    return time.perf_counter() - started


def compare(name: str, points: int, replicas: int, rounds: int) -> dict[str, object]:
    """One line of the table."""
    ensemble = initialise(NETWORKS[name], range(1, replicas + 1))
    x = midpoints(points).float()[:, None]
    ways: dict[str, Kernel] = {
        "plain loop": plain_loop,
        "jacobian": jacobian_ntk,
        "chosen": empirical_ntk,
    }
    if (peer := peer_way(ensemble)) is not None:
        ways["neural-tangents"] = peer
    # Also warms up, and lets the peer print what it considers.
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kernels = {way: f(ensemble, x) for way, f in ways.items()}
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, f in ways.items():
            taken[way].append(seconds(f, ensemble, x))
    medians = {way: statistics.median(t) for way, t in taken.items()}
    gap = max(
        float(relative_change(k, kernels["plain loop"]).max()) for k in kernels.values()
    )
    return {
        "network": name,
        "points": points,
        "R": replicas,
        "ms": {way: 1e3 * s for way, s in medians.items()},
        "plain / chosen": medians["plain loop"] / medians["chosen"],
        "peer / chosen": medians.get("neural-tangents", math.nan) / medians["chosen"],
        "largest relative gap": gap,
    }


def main() -> None:
    """Print the table, and write it as JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--points", type=int, default=120)
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    options = parser.parse_args()
    torch.set_num_threads(1)

    lines = []
    for replicas in (1, 5):
        for name in NETWORKS:
            line = compare(name, options.points, replicas, options.rounds)
            lines.append(line)
            ratio = line["peer / chosen"]
            peer = "" if math.isnan(ratio) else f"peer / chosen {ratio:.1f}  "
            times = "  ".join(f"{way} {ms:.1f}" for way, ms in line["ms"].items())
            print(
                f"{name:22s} R={replicas}  ms: {times}  "
                f"plain / chosen {line['plain / chosen']:.1f}  {peer}"
                f"gap {line['largest relative gap']:.0e}",
                flush=True,
            )
    if options.json:
        options.json.write_text(json.dumps(lines, indent=1))


if __name__ == "__main__":
    main()
