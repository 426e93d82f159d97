"""Small image sets in the hub's schema."""

import io

import numpy as np
import pyarrow as pa
from PIL import Image
from pyarrow import parquet

from spectral_lib.data.sources import SOURCES


def encode(pixels, kind="png"):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def pictures(name, count, seed=0):
    source = SOURCES[name]
    shape = (count, source.side, source.side, source.channels)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    return pixels if source.channels == 3 else pixels[..., 0]


def table(name, count=None, labels=None, cells=None):
    """By default one image of each class."""
    source = SOURCES[name]
    if cells is None:
        count = source.classes if count is None else count
        cells = [{"bytes": encode(p), "path": None} for p in pictures(name, count)]
    labels = list(range(len(cells))) if labels is None else labels
    columns = {source.image: cells, source.label: labels}
    if name == "cifar100":
        columns["coarse_label"] = [0] * len(cells)
    return pa.table(columns)


def write(root, name, split="train", what=None, part="00000-of-00001"):
    path = root / name / f"{split}-{part}.parquet"
    path.parent.mkdir(exist_ok=True)
    parquet.write_table(table(name) if what is None else what, path)
    return path
