"""Images with labels, as tensors: digits that ship with scikit-learn, or parquet files.

A whole set is one tensor, four bytes a value: CIFAR-10 takes 0.74 GB, SVHN 1.2 GB, a
part or smaller sides less. Batches are rows of it, on its device; there are no worker
processes.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from spectral_lib.data.dataset import Dataset
from spectral_lib.data.decoding import Scaling, decode, resize
from spectral_lib.data.sources import SOURCES, Source, find_files, read_file
from spectral_lib.data.subsets import balanced_rows, take

Name = Literal["digits", "fashion_mnist", "cifar10", "cifar100", "svhn"]

CIFAR10_SCALING = Scaling((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
"""Mean and deviation of CIFAR-10's training images, as Fridovich-Keil et al. 2021 use.

The default for "cifar10" is that of Sun et al. 2022, which is CIFAR-100's.
"""

_SCALINGS = {
    "fashion_mnist": Scaling((0.286,), (0.353,)),
    "cifar10": Scaling((0.507, 0.487, 0.441), (0.267, 0.256, 0.276)),
    "cifar100": Scaling((0.507, 0.487, 0.441), (0.267, 0.256, 0.276)),
    "svhn": Scaling((0.438, 0.444, 0.473), (0.198, 0.201, 0.197)),
}


@dataclass(frozen=True)
class Images:
    """Training and test set: inputs [examples, channels, side, side], labels.

    ``scaling`` says how inputs were made from pixels in [0, 1]; ``classes`` counts the
    classes of the whole set, of which a part need not hold all.
    """

    train: Dataset
    test: Dataset
    scaling: Scaling = field(default_factory=Scaling)
    classes: int = 10

    @property
    def channels(self) -> int:
        """Colour channels of an image."""
        return self.train.inputs.shape[1]

    @property
    def side(self) -> int:
        """Pixels along a side."""
        return self.train.inputs.shape[-1]

    @property
    def mean_norm(self) -> float:
        """Mean over the training images of the L2 norm of a whole image."""
        return float(self.train.inputs.flatten(1).norm(dim=1).mean())

    def flat(self) -> "Images":
        """The same images as rows [examples, pixels]."""
        return self._each(lambda s: Dataset(s.inputs.flatten(1), s.targets))

    def to(
        self, device: torch.device | str, dtype: torch.dtype = torch.float32
    ) -> "Images":
        """The same images on a device, their pixels in another precision."""
        return self._each(
            lambda s: Dataset(s.inputs.to(device, dtype), s.targets.to(device))
        )

    def _each(self, change: Callable[[Dataset], Dataset]) -> "Images":
        return replace(self, train=change(self.train), test=change(self.test))


def load_digits(test: int = 500, seed: int = 0) -> Images:
    """Load the 1797 digits of scikit-learn, 8 x 8 pixels, split at random.

    Parameters
    ----------
    test
        Images kept for testing.
    seed
        Of the split.

    Raises
    ------
    ValueError
        If ``test`` leaves nothing to train or test on.
    """
    from sklearn.datasets import load_digits as load

    raw = load()
    if not 1 <= test < len(raw.target):
        raise ValueError(f"test is {test}; give 1 to {len(raw.target) - 1} images.")
    pixels = torch.from_numpy(raw.images).float()[:, None] / 16
    scaling = Scaling((float(pixels.mean()),), (float(pixels.std()),))
    images = scaling.apply(pixels)
    labels = torch.from_numpy(raw.target).long()
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    images, labels = images[order], labels[order]
    return Images(
        Dataset(images[test:], labels[test:]),
        Dataset(images[:test], labels[:test]),
        scaling,
    )


def load_images(
    name: Name = "digits",
    root: str = "",
    seed: int = 0,
    *,
    size: int | None = None,
    test_size: int | None = None,
    side: int | None = None,
    scaling: Scaling | None = None,
    device: torch.device | str = "cpu",
) -> Images:
    """Load a data set by name.

    Parameters
    ----------
    name
        "digits" needs nothing else; the others are read from parquet files and padded
        to 32 pixels with the value 0: the mean colour if they are scaled by it, black
        with ``Scaling()``.
    root
        Folder that holds ``name/train-*.parquet`` and ``name/test-*.parquet``, or "hub"
        for the Hugging Face hub; if empty, what the environment variable SPECTRAL_DATA
        says. Nothing is downloaded without the word "hub".
    seed
        Of the split of the digits, and of the choice of a part.
    size, test_size
        Take only so many training or test images, with classes as equal as can be, in
        the order of the files; only these are decoded.
    side
        Resize to so many pixels, antialiased, instead of padding.
    scaling
        In place of the usual mean and deviation a channel; ``Scaling()`` for [0, 1].
        The usual ones are those of all pixels of the digits, and rounded numbers of
        public code for the others (see `CIFAR10_SCALING`).
    device
        Where the tensors are made; bytes go there before they become float32.

    Raises
    ------
    ValueError
        If the name is unknown, a number is impossible, files or the package to read
        them are missing, or a file is cut off, altered or in another schema.
    """
    if name not in get_args(Name):
        raise ValueError(f"data is {name!r}; known are {', '.join(get_args(Name))}.")
    if side is not None and side < 1:
        raise ValueError(f"side is {side}; give at least 1 pixel.")
    if name == "digits":
        images = _changed(load_digits(seed=seed), side, scaling)
        return replace(
            images,
            train=_part(images.train, size, seed),
            test=_part(images.test, test_size, seed),
        ).to(device)
    how = scaling or _SCALINGS[name]

    def load(split: str, wanted: int | None) -> Dataset:
        pixels, labels = _read(name, split, root, wanted, seed)
        return Dataset(decode(pixels.to(device), how, side), labels.to(device))

    classes = SOURCES[name].classes
    return Images(load("train", size), load("test", test_size), how, classes)


def _read(
    name: str, split: str, root: str, size: int | None, seed: int
) -> tuple[Tensor, Tensor]:
    """Pixels [examples, channels, side, side] as bytes, and labels."""
    source = SOURCES[name]
    paths = find_files(name, split, root)
    files = [read_file(path, source) for path in paths]
    encoded = [
        (path, row, cell)
        for path, (cells, _) in zip(paths, files, strict=True)
        for row, cell in enumerate(cells)
    ]
    labels = torch.cat([part for _, part in files])
    if not encoded:
        raise ValueError(f"{paths[0]} holds no images; give at least one.")
    if size is not None:
        rows = balanced_rows(labels, size, seed)
        encoded, labels = [encoded[row] for row in rows.tolist()], labels[rows]
    return _decode(encoded, source), labels


def _decode(encoded: Sequence[tuple[Path, int, bytes]], source: Source) -> Tensor:
    from PIL import Image

    mode = {1: "L", 3: "RGB"}[source.channels]
    shape = (len(encoded), source.side, source.side, source.channels)
    pixels = np.empty(shape, np.uint8)
    for n, (path, row, cell) in enumerate(encoded):
        where = f"{path}, column {source.image!r}, row {row}"
        try:
            with Image.open(io.BytesIO(cell)) as picture:
                picture.load()
        except (OSError, SyntaxError, ValueError) as error:
            raise ValueError(
                f"{where}: is not a whole image ({error}); replace the file."
            ) from error
        if picture.mode != mode or picture.size != (source.side, source.side):
            raise ValueError(
                f"{where}: is {picture.mode} of {picture.size} pixels; give {mode} of "
                f"{(source.side, source.side)}."
            )
        pixels[n] = np.asarray(picture).reshape(shape[1:])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()


def _part(data: Dataset, size: int | None, seed: int) -> Dataset:
    return data if size is None else take(data, balanced_rows(data.targets, size, seed))


def _changed(digits: Images, side: int | None, scaling: Scaling | None) -> Images:
    """Digits in another scaling and at another side, resized before scaling."""
    if side is None and scaling is None:
        return digits
    how = scaling or digits.scaling

    def change(data: Dataset) -> Dataset:
        pixels = digits.scaling.undo(data.inputs)
        if side is not None:
            pixels = resize((16 * pixels).round() / 16, side)  # as in the file
        return Dataset(how.apply(pixels), data.targets)

    return replace(digits._each(change), scaling=how)
