"""Follow R_k during any PyTorch training, without labels and without a test set."""

import time
from dataclasses import asdict

import torch
from torch import Tensor, nn

from spectral_lib.probes.local_spectrum import LineSettings, directions, spectrum
from spectral_lib.probes.spectrum_peaks import Search, Turns, find_turns
from spectral_lib.training.ensemble import evaluating, inner


class SpectrumMonitor:
    """Call it once an epoch in your own loop; it leaves training as it would have been.

    ::

        monitor = SpectrumMonitor(model, train_inputs)
        for epoch in range(epochs):
            ...  # train
            print(monitor())

    >>> monitor = SpectrumMonitor(nn.Linear(6, 3), torch.zeros(20, 6), points=5)
    >>> monitor().split(" (")[0]
    '1 readings: no minimum yet, no peak yet'

    Mode, gradients, batch-norm statistics and the random state stay untouched. Of a
    module made by ``torch.compile`` or wrapped for data-parallel training, the module
    within is read: its weights are the same, nothing is compiled for the readings, and
    no other process is waited for.

    Parameters
    ----------
    model
        Maps inputs [batch, ...] to logits [batch, classes].
    inputs
        Examples [examples, ...] on the model's device; a part of the training set.
    settings, search
        Of the lines and of the search for the peak of R_t = sum_k R_kt. Where outputs
        hardly bend along a line, ``LineSettings(samples=2, inclusive=True)`` gives the
        same curve, but for scale and a constant, at 1/64 of the cost a point.
    points
        Examples drawn for each reading; fewer cost less and give more noise.
    seed
        Of points and directions, new at each reading.

    Raises
    ------
    ValueError
        If the inputs are not a tensor of real numbers with at least one example, or
        there are no points; at a reading, if the outputs are not [batch, classes].
    """

    def __init__(
        self,
        model: nn.Module,
        inputs: Tensor,
        settings: LineSettings | None = None,
        search: Search | None = None,
        points: int = 500,
        seed: int = 0,
    ) -> None:
        if not isinstance(inputs, Tensor) or not inputs.is_floating_point():
            what = inputs.dtype if isinstance(inputs, Tensor) else type(inputs).__name__
            raise ValueError(
                f"inputs are {what}; give a tensor of real numbers [examples, ...] as "
                "the model takes them (torch.from_numpy, or the inputs of a Dataset)."
            )
        if not len(inputs) or points < 1:
            raise ValueError(
                f"there are {len(inputs)} inputs and points is {points}; give at least "
                "1 of both."
            )
        self.model, self.inputs, self.points = inner(model), inputs, points
        self.settings, self.search = settings or LineSettings(), search or Search()
        self.generator = torch.Generator().manual_seed(seed)
        self.readings: list[Tensor] = []
        self.seconds = 0.0
        self.started = time.perf_counter()

    def __call__(self) -> str:
        """Take one reading and say what is known so far."""
        if self.inputs.is_cuda:  # or training still under way would count
            torch.cuda.synchronize(self.inputs.device)
        start = time.perf_counter()
        rows = torch.randperm(len(self.inputs), generator=self.generator)
        x = self.inputs[rows[: self.points].to(self.inputs.device)]
        devices = [x.device] if x.device.type == "cuda" else []
        with torch.random.fork_rng(devices), evaluating(self.model):
            found = spectrum(
                self._logits,
                x,
                directions(x, self.generator),
                self.settings,
            )
        self.readings.append(found[0].cpu())  # waits for the device
        self.seconds += time.perf_counter() - start
        return str(self)

    def _logits(self, part: Tensor) -> Tensor:
        outputs = self.model(part)
        if not isinstance(outputs, Tensor) or outputs.ndim != 2:
            what = type(outputs).__name__
            if isinstance(outputs, Tensor):
                what = f"shape {list(outputs.shape)}"
            raise ValueError(
                f"the model's outputs are {what}; give one that returns a tensor of "
                "logits [batch, classes], if need be a module around it."
            )
        return outputs[None]

    @property
    def curve(self) -> Tensor:
        """R_t of the readings so far, [T]."""
        return torch.stack(self.readings).sum(-1) if self.readings else torch.zeros(0)

    @property
    def turns(self) -> Turns:
        """First minimum and peak of the curve: places in it, counted from 0.

        As text the monitor counts readings from 1, so that in a loop which calls it
        after each epoch a reading's number is that of the epoch.
        """
        return find_turns(self.curve, self.search)

    @property
    def share(self) -> float:
        """Share of the time since the monitor was made that readings took."""
        return self.seconds / (time.perf_counter() - self.started)

    def __str__(self) -> str:
        found = ", ".join(
            f"no {name} yet" if place is None else f"{name} at reading {place + 1}"
            for name, place in asdict(self.turns).items()
        )
        return (
            f"{len(self.readings)} readings: {found} "
            f"({self.seconds:.2g} s, {self.share:.1%} of the time)"
        )
