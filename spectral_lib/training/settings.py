"""How an ensemble is trained: what the loop is told besides network and data."""

from dataclasses import dataclass, field

from spectral_lib.data.dataset import Augment
from spectral_lib.training.losses import Loss, mse
from spectral_lib.training.optimizers import OptimizerSettings
from spectral_lib.training.precision import Precision


@dataclass(frozen=True)
class TrainSettings:
    """How long, in which portions and with which optimizer an ensemble is trained.

    The last five say how a device computes it; left alone, training is what it always
    was.

    Attributes
    ----------
    epochs, batch_size
        Passes over the data, and examples of each step.
    optimizer, loss
        What is minimised, and how.
    augment
        Changes inputs and targets [R, batch, ...] at random, drawing for each replica
        from its own generator, the one that also orders its data.
    precision
        Of the network's arithmetic (`precision.Precision`); probes always measure in
        float32.
    compile
        Compile forward pass, loss and gradient with `torch.compile`, on CUDA with
        its graphs. It takes seconds for each new architecture, and sums are rounded
        in another order; networks that draw (dropout) draw other numbers. A process
        compiles 256 architectures and refuses more; compiled code and, on CUDA, the
        recordings of each run stay until it ends or calls ``torch.compiler.reset()``,
        after which all is compiled anew.
    graph
        On CUDA, capture forward pass, loss and gradient once and replay them: no
        compiler, the same kernels, no time spent on launching them one by one. A
        graph for each shape of batch keeps its memory until the run ends.
    channels_last
        Lay out batches of images [batch, channels, side, side] with channels last,
        which convolutions on CUDA are made for. Not for stacked replicas.
    memory
        Bytes that training may take; None for the environment variable
        SPECTRAL_MEMORY, or what is free. A stacked ensemble whose steps need more is
        trained in portions (`memory.portions`); what probes take is not counted.

    Raises
    ------
    ValueError
        If a number is out of range or two settings exclude each other.
    """

    epochs: int
    batch_size: int
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    loss: Loss = mse
    augment: Augment | None = None
    precision: Precision = "float32"
    compile: bool = False
    graph: bool = False
    channels_last: bool = False
    memory: int | None = None

    def __post_init__(self) -> None:
        if self.epochs < 0:
            raise ValueError(f"epochs is {self.epochs}; it must be >= 0.")
        if self.batch_size < 1:
            raise ValueError(f"batch_size is {self.batch_size}; it must be >= 1.")
        if self.compile and self.graph:
            raise ValueError(
                "compile and graph are both set; on CUDA compile makes graphs of its "
                "own, so choose one."
            )
        if self.memory is not None and self.memory < 1:
            raise ValueError(f"memory is {self.memory}; give bytes, 1 or more.")
