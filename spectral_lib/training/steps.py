"""The costly part of a step: losses and gradients of all replicas for one batch."""

import gc
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import cast

import torch
from torch import Tensor

from spectral_lib.training.ensemble import Ensemble
from spectral_lib.training.precision import in_bfloat16
from spectral_lib.training.settings import TrainSettings

Losses = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Weights [R, P], inputs and targets [R, batch, ...] to losses [R]."""

Gradient = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Inputs and targets [R, batch, ...] to losses [R] and gradients [R, P]."""

ARCHITECTURES = 256
"""Networks of different shapes that one process may compile; one more is refused."""


def gradient_of(
    ensemble: Ensemble, weights: Tensor, settings: TrainSettings
) -> Gradient:
    """The function of a batch that gives losses and gradients at the weights.

    ``weights`` [R, P] is the leaf that the optimizer changes in place; the ensemble's
    buffers are updated in place too. Results hold until the next call. Where steps are
    compiled or captured the first call does it, and raises a ValueError if it fails.
    Replicas that pass in turn do so forward and backward, so that what one keeps for
    its gradient is given back before the next.
    """
    if ensemble.in_turn and len(ensemble) > 1:
        return _in_turn(ensemble, weights, settings)
    device = weights.device

    def forward(weights: Tensor, inputs: Tensor) -> Tensor:
        return ensemble.unflatten(weights)(inputs)

    predict = in_bfloat16(forward, device) if settings.precision == "bf16" else forward

    def losses(weights: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        return settings.loss(predict(weights, inputs), targets)

    computed: Losses = losses
    if settings.compile:
        computed = _compiled(losses, [weights, *ensemble.buffers.values()])

    graphs: dict[tuple[object, ...], Losses] = {}

    def gradient(inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        if settings.channels_last:
            inputs = _channels_last(inputs)
        batch = weights, inputs, targets
        if settings.graph:
            kind = inputs.shape, inputs.dtype, targets.shape, targets.dtype
            if kind not in graphs:  # each is made for one kind of batch
                graphs[kind] = _captured(losses, batch, ensemble.buffers)
            loss = graphs[kind](*batch)
        else:
            loss = computed(*batch)
        # Replicas share no weights: the gradient of the sum is each one's own.
        (found,) = torch.autograd.grad(loss.sum(), weights)
        return loss.detach(), found

    return _refused_in_words(gradient) if settings.compile else gradient


def _in_turn(ensemble: Ensemble, weights: Tensor, settings: TrainSettings) -> Gradient:
    """Losses and gradients of one replica after another."""
    rows = weights.detach().split(1)  # they share the weights' memory
    each = [
        gradient_of(ensemble.replica(r), row.requires_grad_(), settings)
        for r, row in enumerate(rows)
    ]

    def gradient(inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        batches = zip(each, inputs.split(1), targets.split(1), strict=True)
        found = [of_one(*batch) for of_one, *batch in batches]
        losses, gradients = zip(*found, strict=True)
        return torch.cat(losses), torch.cat(gradients)

    return gradient


@contextmanager
def freeing(settings: TrainSettings, device: torch.device) -> Iterator[None]:
    """Give back a device's memory that the graphs of a run took, when it is over.

    Those that `torch.compile` recorded stay: nothing public drops them without the
    compiled code (`torch.compiler.reset` drops both).
    """
    yield
    if settings.graph and device.type == "cuda":
        gc.collect()  # networks, graphs and their functions refer to one another
        torch.cuda.empty_cache()


def compiling(settings: TrainSettings) -> AbstractContextManager[object]:
    """Lets one process compile many architectures, as a sweep over widths does."""
    if not settings.compile:
        return nullcontext()
    from torch import _dynamo

    return _dynamo.config.patch(recompile_limit=ARCHITECTURES)


def check_step(settings: TrainSettings, ensemble: Ensemble, shape: torch.Size) -> None:
    """Raise ValueError unless inputs of a shape can be trained with such steps here."""
    device = ensemble.device
    if settings.compile and not any(map(shutil.which, _compilers())):
        raise ValueError(
            "compile needs a C++ compiler and none is installed: neither "
            f"{' nor '.join(_compilers())} was found; install one or train without "
            "compile."
        )
    if settings.graph and device.type != "cuda":
        raise ValueError(
            f"graph needs CUDA and the device is {device}; leave it out or use compile."
        )
    if settings.channels_last and (
        len(shape) != 3 or (ensemble.stacked and len(ensemble) > 1)
    ):
        raise ValueError(
            f"channels_last is for images and replicas that are not stacked; inputs "
            f"are {list(shape)} and {len(ensemble)} replicas "
            f"{'are' if ensemble.stacked else 'are not'} stacked; leave it out."
        )


def _compilers() -> tuple[str, ...]:
    """Programs that torch.compile can build its code with."""
    from torch._inductor import config as inductor

    listed = inductor.cpp.cxx
    listed = listed if isinstance(listed, (list, tuple)) else (listed,)
    return tuple(name for name in listed if name)


def _compiled(losses: Losses, state: Sequence[Tensor]) -> Losses:
    """Losses and their gradient, compiled; a graph for each on CUDA."""
    cuda = state[0].is_cuda
    mode = "reduce-overhead" if cuda else None
    compiled = torch.compile(losses, fullgraph=True, dynamic=False, mode=mode)
    if not cuda:
        return compiled
    from torch import _dynamo

    for part in state:
        # Weights need not be copied for each step, and running statistics may change
        # in place, where a graph knows that they stay where they are. With a guard each
        # new run would be compiled anew.
        _dynamo.mark_static_address(part, guard=False)

    def next_step(weights: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        # What the last step gave may be overwritten now.
        torch.compiler.cudagraph_mark_step_begin()
        return compiled(weights, inputs, targets)

    return next_step


def _refused_in_words(gradient: Gradient) -> Gradient:
    """The same function, where a compiler that gives up says what to do."""
    from torch._dynamo import exc

    def told(inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        try:
            return gradient(inputs, targets)
        except exc.FailOnRecompileLimitHit as problem:
            raise ValueError(
                f"this process has compiled {ARCHITECTURES} networks of different "
                "shapes, and no more may be; call torch.compiler.reset() to drop "
                "these, or train without compile."
            ) from problem
        except exc.TorchDynamoException as problem:
            raise ValueError(
                f"a step could not be compiled ({_first_line(problem)}); train without "
                "compile."
            ) from problem

    return told


def _captured(
    losses: Losses,
    example: tuple[Tensor, Tensor, Tensor],
    buffers: Mapping[str, Tensor],
) -> Losses:
    """Losses and their gradient as CUDA graphs; warming up leaves no traces."""
    weights, *batch = example
    before = {name: buffer.clone() for name, buffer in buffers.items()}
    random = torch.cuda.get_rng_state(weights.device)
    # The weights are captured where they are, so that no step copies them.
    static = (weights, *(part.clone() for part in batch))
    try:
        captured = cast(Losses, torch.cuda.make_graphed_callables(losses, static))
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as problem:
        raise ValueError(
            f"a step could not be captured ({_first_line(problem)}); train without "
            "graph."
        ) from problem
    for name, buffer in buffers.items():
        buffer.copy_(before[name])
    torch.cuda.set_rng_state(random, weights.device)
    return captured


def _first_line(problem: Exception) -> str:
    return str(problem).strip().partition("\n")[0]


def _channels_last(inputs: Tensor) -> Tensor:
    """Images [1, batch, channels, side, side] with the channels last in memory."""
    images = inputs.squeeze(0).contiguous(memory_format=torch.channels_last)
    return images.unsqueeze(0)
