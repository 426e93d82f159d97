"""R replicas of one architecture as tensors with a leading replica axis."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.parallel import DataParallel, DistributedDataParallel

from spectral_lib.training.devices import Precision

State = dict[str, Tensor]
Forward = Callable[[Tensor], Tensor]


ROWS_IN_PASS = 1 << 14
"""Rows that a pass of a probe over a whole data set takes by default."""

LARGE = 1 << 16
"""Weights of a replica above which a CPU's caches hold one at a time, and not many."""


def inner(module: nn.Module) -> nn.Module:
    """Module inside those of ``torch.compile`` and of data-parallel training."""
    if not isinstance(module, nn.Module):
        raise ValueError(f"the model is {type(module).__name__}; give a torch module.")
    while True:
        if isinstance(module, DistributedDataParallel | DataParallel):
            module = module.module
        elif isinstance(within := getattr(module, "_orig_mod", None), nn.Module):
            module = within
        else:
            return module


class Replicas(Protocol):
    """A network that passes R replicas of itself at once, faster than ``vmap`` does."""

    takes_replicas: bool

    def replicas(self, state: State, x: Tensor) -> Tensor:
        """Outputs [R, batch, ...] with parameters and buffers [R, ...], by name."""


@dataclass(frozen=True)
class Ensemble:
    """R replicas of one architecture.

    Attributes
    ----------
    module
        The architecture; its own weights are not used.
    parameters, buffers
        Tensors [R, ...] by the module's names.
    seeds
        One seed a replica: of its initialization and of its data order.
    stacked
        Train all replicas at once, step by step, or one training after another.
    """

    module: nn.Module
    parameters: State
    buffers: State
    seeds: tuple[int, ...]
    stacked: bool = True

    @classmethod
    def of(cls, module: nn.Module) -> "Ensemble":
        """A trained network as an ensemble of one, in evaluation mode, to be measured.

        The ensemble holds copies; the network stays as it is. Of a module made by
        ``torch.compile`` or wrapped for data-parallel training it holds the one within.
        Frozen parameters count as buffers: no tangent kernel has them.

        >>> ensemble = Ensemble.of(nn.Linear(3, 2))
        >>> len(ensemble), tuple(ensemble.predict(torch.zeros(5, 3)).shape)
        (1, (1, 5, 2))
        """
        network = inner(module)
        parameters, buffers = stack_module_state([network])
        learned = {name for name, p in network.named_parameters() if p.requires_grad}
        buffers |= {k: v for k, v in parameters.items() if k not in learned}
        parameters = {k: v for k, v in parameters.items() if k in learned}
        return cls(copy.deepcopy(network).eval(), parameters, buffers, seeds=(0,))

    def __len__(self) -> int:
        return len(self.seeds)

    @property
    def device(self) -> torch.device:
        """Device of the parameters."""
        return next(iter(self.parameters.values())).device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the parameters."""
        return next(iter(self.parameters.values())).dtype

    @property
    def in_turn(self) -> bool:
        """Whether each replica passes through the network by itself.

        Others do so in one pass: as the module does it if it is `Replicas`, else by
        ``torch.func.vmap``. Other convolutions on a CPU run faster in turn, and round
        as in a training of one replica; stacked, they still share what is left of a
        step (``benchmarks/ensemble.py``).
        """
        if len(self) == 1 or not self.stacked:
            return True
        if self._takes_replicas:
            return False
        convolutions = nn.Conv1d, nn.Conv2d
        return self.device.type == "cpu" and any(
            isinstance(part, convolutions) for part in self.module.modules()
        )

    @property
    def passes(self) -> list[slice]:
        """Replicas that pass through the network together, as slices of all."""
        if not self.in_turn:
            return [slice(0, len(self))]
        return [slice(r, r + 1) for r in range(len(self))]

    def __call__(self, x: Tensor) -> Tensor:
        """Apply replica r to x[r]; x is [R, batch, ...] and so is the result."""
        if len(self) == 1:
            state = {k: v.squeeze(0) for k, v in self._state().items()}
            return self._apply(state, x.squeeze(0)).unsqueeze(0)
        if self.in_turn:
            return torch.cat([self.replica(r)(x[r : r + 1]) for r in range(len(self))])
        if self._takes_replicas:
            return cast(Replicas, self.module).replicas(self._state(), x)
        return vmap(self._apply, randomness="different")(self._state(), x)

    def outputs_at(
        self, weights: Tensor, x: Tensor, precision: Precision = "float32"
    ) -> Tensor:
        """Outputs at weights [R, P] in a precision, in float32 in the end for bf16."""
        return outputs(self.unflatten(weights), x, precision)

    def passing(self, leaf: Tensor, channels_last: bool) -> list[tuple[slice, Forward]]:
        """Replicas that pass together in training, and how they do.

        They pass at the weights that ``leaf`` [R, P] holds, and a backward pass adds
        to ``leaf.grad``. A replica that passes alone is a plain module, whose weights
        are views of the leaf: no call has to put them in place.
        """
        if not self.in_turn:
            return [(slice(None), lambda x: self.unflatten(leaf)(x))]
        leaf.grad = torch.zeros_like(leaf)
        own, into = (
            self.unflatten(rows, channels_last) for rows in (leaf.detach(), leaf.grad)
        )
        return [(which, _module(own, into, which.start)) for which in self.passes]

    @torch.no_grad()
    def predict(self, x: Tensor, chunk: int | None = None) -> Tensor:
        """Apply every replica to the same x [batch, ...] in evaluation mode.

        Returns [R, batch, ...]. With ``chunk`` no forward pass sees more than so many
        rows, of all replicas together unless they pass in turn, or one row a replica.

        Raises
        ------
        ValueError
            If ``chunk`` is not positive, or inputs or outputs are not tensors.
        """
        if not isinstance(x, Tensor):
            raise ValueError(f"inputs are {type(x).__name__}; give a tensor.")
        parts = x.split(self.rows_in_pass(chunk)) if chunk is not None else (x,)
        with evaluating(self.module):
            outputs = [self(part.expand(len(self), *part.shape)) for part in parts]
        return torch.cat(outputs, dim=1) if len(outputs) > 1 else outputs[0]

    def rows_in_pass(self, chunk: int) -> int:
        """Rows for each replica so that a pass sees at most ``chunk``, or one.

        Raises
        ------
        ValueError
            If ``chunk`` is not positive.
        """
        if chunk < 1:
            raise ValueError(f"chunk is {chunk}; it must be at least 1 row.")
        return chunk if self.in_turn else max(1, chunk // len(self))

    def replica(self, r: int) -> "Ensemble":
        """Replica r as an ensemble of one that shares its memory."""
        return self.portion(slice(r, r + 1))

    def portion(self, which: slice) -> "Ensemble":
        """Some replicas as an ensemble that shares their memory."""
        return replace(
            self,
            parameters={k: v[which] for k, v in self.parameters.items()},
            buffers={k: v[which] for k, v in self.buffers.items()},
            seeds=self.seeds[which],
        )

    def flatten(self, channels_last: bool = False) -> Tensor:
        """All parameters as a new tensor [R, P], one replica a row.

        With ``channels_last`` the weights of two-dimensional convolutions are in the
        order in which those with channels last read them.
        """
        parts = [_ordered(p, channels_last) for p in self.parameters.values()]
        return torch.cat([part.flatten(1) for part in parts], dim=1)

    def unflatten(self, weights: Tensor, channels_last: bool = False) -> "Ensemble":
        """The ensemble whose parameters are views of weights [R, P] of `flatten`."""
        shapes = [
            _ordered(p, channels_last).shape[1:] for p in self.parameters.values()
        ]
        pieces = weights.split([shape.numel() for shape in shapes], dim=1)
        views = {
            name: _ordered(piece.view(-1, *shape), channels_last, back=True)
            for name, piece, shape in zip(self.parameters, pieces, shapes, strict=True)
        }
        return replace(self, parameters=views)

    @property
    def _takes_replicas(self) -> bool:
        if not getattr(self.module, "takes_replicas", False):
            return False
        # A subclass that passes otherwise must not pass as its parent does.
        owners = type(self.module).__mro__
        owner = next(kind for kind in owners if "forward" in vars(kind))
        return "replicas" in vars(owner)

    def _state(self) -> State:
        return {**self.parameters, **self.buffers}

    def _apply(self, state: State, x: Tensor) -> Tensor:
        outputs = functional_call(self.module, state, (x,))
        if not isinstance(outputs, Tensor):
            what = type(outputs).__name__
            raise ValueError(f"outputs are {what}; probes need a tensor.")
        return outputs


def _ordered(p: Tensor, channels_last: bool, back: bool = False) -> Tensor:
    """Weights [R, out, in, side, side] as [R, out, side, side, in], or back; others."""
    if not channels_last or p.ndim != 5:
        return p
    return p.movedim(-1, 2) if back else p.movedim(2, -1)


def _module(own: Ensemble, into: Ensemble, r: int) -> Forward:
    """Replica r as a module over its weights, whose gradients are those of another."""
    state: State = {name: buffer[r] for name, buffer in own.buffers.items()}
    for name, p in own.parameters.items():
        state[name] = nn.Parameter(p[r])
        state[name].grad = into.parameters[name][r]
    named = [*own.module.named_parameters(), *own.module.named_buffers()]
    # The copy takes what stands in the memo as the copies of its weights.
    module = copy.deepcopy(own.module, {id(t): state[name] for name, t in named})
    return lambda x: module(x[0])[None]


def outputs(forward: Forward, x: Tensor, precision: Precision) -> Tensor:
    """Outputs of a network in a precision, in float32 in the end for bf16."""
    if precision != "bf16":
        return forward(x)
    with torch.autocast(x.device.type, torch.bfloat16, cache_enabled=False):
        return forward(x).float()


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put a module in evaluation mode, and every part of it back as it was after."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode


def initialise(
    build: Callable[[], nn.Module],
    seeds: Sequence[int],
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    stacked: bool | None = None,
) -> Ensemble:
    """Build one replica per seed, each initialized as if it were built alone.

    They are ``stacked`` where that trains faster, unless it is said: always but for
    networks of more than `LARGE` weights on a CPU. The global random state is left as
    it was.

    Raises
    ------
    ValueError
        If there are no seeds.
    """
    if not seeds:
        raise ValueError("seeds is empty; give at least one seed.")
    modules = []
    # manual_seed reseeds the current GPU too, so its state has to be put back as well.
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    for seed in seeds:
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            modules.append(build().to(device=device, dtype=dtype))
    parameters, buffers = stack_module_state(modules)
    if stacked is None:
        weights = sum(p[0].numel() for p in parameters.values())
        stacked = weights <= LARGE or torch.device(device).type != "cpu"
    return Ensemble(modules[0], parameters, buffers, tuple(seeds), stacked)


def concatenate(parts: Sequence[Ensemble]) -> Ensemble:
    """Join ensembles of the same architecture along the replica axis."""

    def join(states: Sequence[State]) -> State:
        return {k: torch.cat([s[k] for s in states]) for k in states[0]}

    return replace(
        parts[0],
        parameters=join([p.parameters for p in parts]),
        buffers=join([p.buffers for p in parts]),
        seeds=tuple(seed for p in parts for seed in p.seeds),
    )
