"""Images with labels, as tensors: digits that ship with scikit-learn, or parquet files.

Parquet files follow the Hugging Face hub's schema: one column of encoded images, one of
labels.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from spectral_lib.data.dataset import Augment, Dataset

Source = Literal["digits", "fashion_mnist", "cifar10"]

_COLUMNS = {"fashion_mnist": "image", "cifar10": "img"}
_STATISTICS = {
    "fashion_mnist": ((0.286,), (0.353,)),
    "cifar10": ((0.507, 0.487, 0.441), (0.267, 0.256, 0.276)),
}


@dataclass(frozen=True)
class Images:
    """Training and test set: inputs [examples, channels, side, side], labels."""

    train: Dataset
    test: Dataset

    @property
    def channels(self) -> int:
        """Colour channels of an image."""
        return self.train.inputs.shape[1]

    def flat(self) -> "Images":
        """The same images as rows [examples, pixels]."""
        return Images(*(Dataset(s.inputs.flatten(1), s.targets) for s in self._both()))

    def to(self, device: torch.device, dtype: torch.dtype = torch.float32) -> "Images":
        """The same images on a device, in a precision."""
        return Images(
            *(
                Dataset(s.inputs.to(device, dtype), s.targets.to(device))
                for s in self._both()
            )
        )

    def _both(self) -> tuple[Dataset, Dataset]:
        return self.train, self.test


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
    images = torch.from_numpy(raw.images).float()[:, None] / 16
    images = (images - images.mean()) / images.std()
    labels = torch.from_numpy(raw.target).long()
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    images, labels = images[order], labels[order]
    return Images(
        Dataset(images[test:], labels[test:]), Dataset(images[:test], labels[:test])
    )


def load_images(name: Source, root: str = "", seed: int = 0) -> Images:
    """Load a data set by name.

    Parameters
    ----------
    name
        "digits" needs nothing else; the others are read from ``root/name/*.parquet``,
        scaled to mean 0 and standard deviation 1 a channel, and padded to 32 pixels.
    root
        Folder of the parquet files.
    seed
        Of the split of the digits.

    Raises
    ------
    ValueError
        If the name is unknown, or the files or the package to read them are not there.
    """
    if name == "digits":
        return load_digits(seed=seed)
    if name not in _COLUMNS:
        known = ", ".join(["digits", *_COLUMNS])
        raise ValueError(f"data is {name!r}; known are {known}.")
    return Images(_read(name, root, "train"), _read(name, root, "test"))


def _read(name: str, root: str, split: str) -> Dataset:
    paths = sorted(Path(root, name).glob(f"{split}-*.parquet"))
    if not root or not paths:
        raise ValueError(
            f"there is no {Path(root or '<data_root>', name)}/{split}-*.parquet; set "
            "data_root to the folder that holds it, or use the data 'digits'."
        )
    try:
        import pyarrow.parquet as parquet
    except ImportError:
        raise ValueError(
            f"the data {name!r} need the package pyarrow; install it, or use 'digits'."
        ) from None
    tables = [parquet.read_table(path) for path in paths]
    encoded = [cell["bytes"] for t in tables for cell in t[_COLUMNS[name]].to_pylist()]
    labels = [label for t in tables for label in t["label"].to_pylist()]
    mean, deviation = (torch.tensor(x)[:, None, None] for x in _STATISTICS[name])
    images = (_decode(encoded).float() / 255 - mean) / deviation
    margin = (32 - images.shape[-1]) // 2
    return Dataset(F.pad(images, [margin] * 4), torch.tensor(labels))


def _decode(encoded: Sequence[bytes]) -> Tensor:
    from PIL import Image

    pixels = np.stack([np.asarray(Image.open(io.BytesIO(png))) for png in encoded])
    images = torch.from_numpy(pixels)
    return images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)


def crop_and_flip(padding: int = 4) -> Augment:
    """Shift images by up to ``padding`` pixels at random, and mirror every second one.

    Inputs [R, batch, channels, side, side]; replica r draws from generator r, so
    replicas of equal seed see the same images. Source: the public code of Sun et al.
    2022.
    """

    def augment(x: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        return torch.stack(
            [
                _shift_and_flip(*pair, padding)
                for pair in zip(x, generators, strict=True)
            ]
        )

    return augment


def _shift_and_flip(x: Tensor, generator: torch.Generator, padding: int) -> Tensor:
    batch, side = len(x), x.shape[-1]
    shifts = torch.randint(2 * padding + 1, (2, batch), generator=generator)
    mirrored = torch.rand(batch, generator=generator) < 0.5
    rows, columns = shifts[:, :, None] + torch.arange(side)
    columns = torch.where(mirrored[:, None], columns.flip(1), columns)
    padded = F.pad(x, [padding] * 4)
    which = torch.arange(batch)[:, None, None]
    rows, columns = rows[:, :, None].to(x.device), columns[:, None, :].to(x.device)
    return padded[which.to(x.device), :, rows, columns].permute(0, 3, 1, 2)
