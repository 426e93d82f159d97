"""Time a grid of perturbed runs: as one ensemble, and as separate plain PyTorch runs.

The grid of Sun et al. 2022, table 1: six factors k times six seeds. *Ours* trains all
replicas as one stacked ensemble; *plain* trains one `nn.Module` after another with a
perturbed SGD written parameter by parameter. Same networks, data, batches and steps;
the final accuracies, averaged over runs, are compared.

    python -m benchmarks.perturbation_grid --rounds 5
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from benchmarks.measure import Group, Setting, by_turns, largest_gap
from spectral_book.pages.costs import Cost
from spectral_lib.data.images import Images, load_digits
from spectral_lib.models.mlp import MLP
from spectral_lib.models.resnet import ResNet, ResNetSettings
from spectral_lib.probes.accuracy import accuracy_on
from spectral_lib.probes.divergence import grid
from spectral_lib.training.ensemble import initialise
from spectral_lib.training.loop import Probe, TrainSettings, train
from spectral_lib.training.losses import cross_entropy
from spectral_lib.training.optimizers import OptimizerSettings

RATE, MOMENTUM, BATCH = 0.05, 0.9, 64


def ensemble(
    build: Callable[[], nn.Module],
    images: Images,
    runs: tuple[tuple[int, ...], tuple[int, ...]],
    epochs: int,
) -> Tensor:
    """Train the grid in the book's way; final accuracies."""
    seeds, factors = runs
    device = images.train.inputs.device
    start = initialise(build, seeds, device=device)
    how = OptimizerSettings("sgd", RATE, MOMENTUM, factor=factors)
    settings = TrainSettings(epochs, BATCH, how, cross_entropy)
    probe = Probe(accuracy_on(images.test), frozenset({epochs}))
    return train(start, images.train, settings, {"test": probe}).records["test"][
        "accuracy"
    ][-1]


def plain(
    build: Callable[[], nn.Module],
    images: Images,
    runs: tuple[tuple[int, ...], tuple[int, ...]],
    epochs: int,
) -> Tensor:
    """Train one module after another; final accuracies."""
    return torch.stack(
        [one_run(build, images, *each, epochs) for each in zip(*runs, strict=True)]
    )


def one_run(
    build: Callable[[], nn.Module], images: Images, seed: int, k: int, epochs: int
) -> Tensor:
    """Perturbed SGD with momentum, parameter by parameter."""
    torch.manual_seed(seed)
    device = images.train.inputs.device
    model = build().to(device)
    velocity = [torch.zeros_like(p) for p in model.parameters()]
    order = torch.Generator().manual_seed(seed)
    examples = len(images.train)
    for _ in range(epochs):
        shuffled = torch.randperm(examples, generator=order)
        for rows in shuffled[: examples // BATCH * BATCH].split(BATCH):
            output = model(images.train.inputs[rows])
            loss = nn.functional.cross_entropy(output, images.train.targets[rows])
            model.zero_grad()
            loss.backward()
            with torch.no_grad():
                for p, v in zip(model.parameters(), velocity, strict=True):
                    v.mul_(MOMENTUM).add_(p.grad)
                    p -= (RATE / k) * (k * v)
    model.eval()
    with torch.no_grad():
        found = model(images.test.inputs).argmax(-1)
    return 100 * (found == images.test.targets).double().mean()


def rows(setting: Setting) -> Iterator[Cost]:
    """A row for each network."""
    factors = [1, 3] if setting.tiny else [1, 3, 5, 7, 9, 11]
    runs = grid(range(1, setting.size(6, 2) + 1), factors)
    images = load_digits().to(setting.device)
    epochs, small = setting.size(3, 1), ResNetSettings(1, (8, 16, 32), 1)
    works = {
        "MLP 64-64-64-64-10": (lambda: MLP([64, 64, 64, 64, 10]), images.flat()),
        "ResNet8, 8 to 32 channels": (lambda: ResNet(small), images),
    }
    for name, (build, data) in works.items():
        ways = {
            "ours": lambda b=build, d=data: ensemble(b, d, runs, epochs),
            "plain runs": lambda b=build, d=data: plain(b, d, runs, epochs),
        }
        done = by_turns(ways, setting)
        means = [result.double().mean().cpu() for result in done.results.values()]
        gap = largest_gap(*means)
        yield done.row(f"Grid of {len(runs[0])} x {name}", "plain runs", gap=gap)


GROUP = Group(
    "perturbation_grid",
    "A grid of perturbed runs",
    "Seeds times factors of perturbed SGD on the digits, with the final accuracies: "
    "as one ensemble, and one plain module after another. Rounding is meant to differ "
    "between runs, so that mean accuracies are compared, not weights.",
    rows,
)

if __name__ == "__main__":
    GROUP.alone(__doc__)
