"""Images with labels, as tensors: digits that ship with scikit-learn, or files.

A whole set is one tensor, four bytes a value: CIFAR-10 takes 0.74 GB, SVHN 1.2 GB, a
part or smaller sides less. Batches are rows of it, on its device; there are no worker
processes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import torch
from torch import Tensor

from spectral_lib.data.dataset import Dataset
from spectral_lib.data.decoding import Scaling, decode, resize
from spectral_lib.data.image_files import (
    Cell,
    decode_pictures,
    infer_source,
    read_file,
)
from spectral_lib.data.sources import FOLDER, SOURCES, DataError, Source, find_files
from spectral_lib.data.subsets import balanced_rows, take

Name = Literal["digits", "fashion_mnist", "cifar10", "cifar100", "svhn", "folder"]

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


def load_digits(seed: int = 0) -> Images:
    """Load the 1797 digits of scikit-learn, 8 x 8 pixels; 500 at random are the test.

    ``seed`` is that of the split.
    """
    from sklearn.datasets import load_digits as load

    raw, test = load(), 500
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
        with ``Scaling()``. "folder" is a set of your own (`infer_source` says how it is
        read), which is not padded.
    root
        Folder that holds ``name/train-*.parquet`` and ``name/test-*.parquet``, or "hub"
        for the Hugging Face hub; if empty, what the environment variable SPECTRAL_DATA
        says. Nothing is downloaded without the word "hub". For "folder", that folder
        itself; `find_files` says how files are named.
    seed
        Of the split of the digits, and of the choice of a part.
    size, test_size
        Take only so many training or test images, with classes as equal as can be, in
        the order of the files; only these are decoded.
    side
        Resize to so many pixels, antialiased, instead of padding. Images of a folder
        may have any sizes then: the largest square in the middle of each is resized.
    scaling
        In place of the usual mean and deviation a channel; ``Scaling()`` for [0, 1].
        The usual ones are those of all pixels of the digits, of each channel of the
        training images taken from a folder, and rounded numbers of public code for the
        others (see `CIFAR10_SCALING`).
    device
        Where the tensors are made; bytes go there before they become float32.

    Raises
    ------
    ValueError
        If the name is unknown, a number is impossible, files or the package to read
        them are missing, a file is cut off, altered or in another schema, or the
        training set does not hold every class.
    """
    if name not in get_args(Name):
        raise ValueError(f"data is {name!r}; known are {', '.join(get_args(Name))}.")
    if side is not None and side < 1:
        raise ValueError(f"side is {side}; give at least 1 pixel.")
    if name == "digits":
        images = _changed(load_digits(seed=seed), side, scaling)
        return replace(
            images,
            train=_part(images.train, "train", size, seed),
            test=_part(images.test, "test", test_size, seed),
        ).to(device)
    own = name == FOLDER
    source = (
        infer_source(find_files(name, "train", root), side) if own else SOURCES[name]
    )

    def load(split: str, wanted: int | None) -> tuple[Tensor, Tensor]:
        cells, labels = _read(name, source, split, root, wanted, seed)
        pixels = decode_pictures(cells, source, convert=own, fit=own and bool(side))
        return pixels.to(device), labels.to(device)

    train, test = load("train", size), load("test", test_size)
    how = scaling or _SCALINGS.get(name) or _scaling_of(train[0], source)
    # Images of a folder have their side by now: they are not resized again, nor padded.
    side = source.side if own else side
    train_set, test_set = (Dataset(decode(x, how, side), y) for x, y in (train, test))
    return Images(train_set, test_set, how, source.classes)


def _read(
    name: str, source: Source, split: str, root: str, size: int | None, seed: int
) -> tuple[list[Cell], Tensor]:
    """Encoded images of a split, or of a part of it, and their labels."""
    paths = find_files(name, split, root)
    files = [read_file(path, source) for path in paths]
    cells = [cell for part, _ in files for cell in part]
    labels = torch.cat([part for _, part in files])
    if not cells:
        raise DataError(f"{paths[0]} holds no images; give at least one.")
    held = labels.unique().tolist()
    if split == "train" and len(held) != source.classes:
        raise DataError(
            f"{paths[0]}: the training set holds {len(held)} classes, from {held[0]} "
            f"to {held[-1]}, and {name} has {source.classes}; give them all, or number "
            f"those of a set of your own from 0 on, without a gap ('{FOLDER}')."
        )
    if size is not None:
        rows = _rows(labels, split, size, seed)
        cells, labels = [cells[row] for row in rows.tolist()], labels[rows]
    return cells, labels


def _rows(labels: Tensor, split: str, size: int, seed: int) -> Tensor:
    if not 1 <= size <= len(labels):
        asked = "size" if split == "train" else "test_size"
        raise DataError(
            f"{asked} (in chapters {split}_images) is {size}; give 1 to {len(labels)} "
            f"images, as many as the {split} set holds."
        )
    return balanced_rows(labels, size, seed)


def _scaling_of(pixels: Tensor, source: Source) -> Scaling:
    """Mean and deviation of each channel of bytes [examples, channels, side, side]."""
    deviation, mean = torch.std_mean(pixels / 255, (0, 2, 3), correction=0)
    if not (deviation > 0).all():
        raise DataError(
            f"{source.repository}: a channel has one value in all images; give images "
            "that differ, or a scaling."
        )
    return Scaling(tuple(mean.tolist()), tuple(deviation.tolist()))


def _part(data: Dataset, split: str, size: int | None, seed: int) -> Dataset:
    return data if size is None else take(data, _rows(data.targets, split, size, seed))


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
