"""Images with labels."""

import io

import numpy as np
import pytest
import torch

from spectral_lib.data.images import (
    Images,
    crop_and_flip,
    load_digits,
    load_images,
)


def test_digits():
    digits = load_digits(test=500)
    assert digits.train.inputs.shape == (1297, 1, 8, 8)
    assert digits.test.inputs.shape == (500, 1, 8, 8)
    everything = torch.cat([digits.train.inputs, digits.test.inputs])
    assert everything.mean().item() == pytest.approx(0, abs=1e-5)
    assert everything.std().item() == pytest.approx(1, abs=1e-5)
    assert digits.test.targets.unique().tolist() == list(range(10))
    assert digits.channels == 1


def test_split_depends_on_its_seed_alone():
    first, again, other = load_digits(), load_digits(), load_digits(seed=1)
    assert torch.equal(first.test.inputs, again.test.inputs)
    assert not torch.equal(first.test.targets, other.test.targets)
    rows = {tuple(x.flatten().tolist()) for x in first.train.inputs}
    kept = sum(tuple(x.flatten().tolist()) in rows for x in first.test.inputs)
    assert kept == 0


def test_split_that_leaves_nothing():
    for test in (0, 1797):
        with pytest.raises(ValueError, match="give 1 to 1796"):
            load_digits(test=test)


def test_flat_and_precision():
    digits = load_digits()
    assert digits.flat().train.inputs.shape == (1297, 64)
    double = digits.to(torch.device("cpu"), torch.float64)
    assert double.test.inputs.dtype == torch.float64
    assert double.test.targets.dtype == torch.int64


def test_missing_data_is_named(tmp_path):
    with pytest.raises(ValueError, match="known are digits, fashion_mnist, cifar10"):
        load_images("mnist")
    for root in ("", str(tmp_path)):
        with pytest.raises(
            ValueError, match=r"cifar10/train-\*\.parquet; set data_root"
        ):
            load_images("cifar10", root)


def write(path, pixels, labels, column):
    pa = pytest.importorskip("pyarrow")
    from PIL import Image
    from pyarrow import parquet

    encoded = []
    for picture in pixels:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "png")
        encoded.append({"bytes": file.getvalue(), "path": None})
    path.parent.mkdir(exist_ok=True)
    parquet.write_table(pa.table({column: encoded, "label": labels}), path)


def test_parquet_in_colour(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    for split, part in (("train", slice(0, 4)), ("test", slice(4, 6))):
        path = tmp_path / "cifar10" / f"{split}-00000-of-00001.parquet"
        write(path, pixels[part], list(range(6))[part], "img")
    images = load_images("cifar10", str(tmp_path))
    assert isinstance(images, Images)
    assert images.train.inputs.shape == (4, 3, 32, 32)
    assert images.test.targets.tolist() == [4, 5]
    wanted = (pixels[4, 3, 7, 1] / 255 - 0.487) / 0.256
    assert images.test.inputs[0, 1, 3, 7].item() == pytest.approx(wanted, abs=1e-5)


def test_parquet_in_grey_is_padded(tmp_path):
    pixels = np.full((2, 28, 28), 255, np.uint8)
    for split in ("train", "test"):
        path = tmp_path / "fashion_mnist" / f"{split}-00000-of-00001.parquet"
        write(path, pixels, [1, 2], "image")
    found = load_images("fashion_mnist", str(tmp_path)).train.inputs
    assert found.shape == (2, 1, 32, 32)
    assert (found[0, 0] != 0).sum() == 28 * 28
    assert found[0, 0, 16, 16].item() == pytest.approx((1 - 0.286) / 0.353)


def test_augmentation_shifts_and_mirrors():
    x = torch.arange(1.0, 1 + 64).view(1, 1, 1, 8, 8).repeat(1, 400, 1, 1, 1)
    moved = crop_and_flip(2)(x, [torch.Generator().manual_seed(0)])
    assert moved.shape == x.shape
    picture = torch.nn.functional.pad(x[0, 0, 0], [2] * 4)
    windows = [picture[i : i + 8, j : j + 8] for i in range(5) for j in range(5)]
    windows += [w.flip(1) for w in windows]
    seen = set()
    for found in moved[0, :, 0]:
        hits = [n for n, w in enumerate(windows) if torch.equal(found, w)]
        assert len(hits) == 1
        seen.update(hits)
    assert len(seen) == 50


def test_augmentation_of_equal_generators_is_equal():
    x = torch.randn(2, 5, 3, 8, 8)
    x[1] = x[0]
    twins = crop_and_flip()(x, [torch.Generator().manual_seed(4) for _ in range(2)])
    assert torch.equal(twins[0], twins[1])
    others = crop_and_flip()(x, [torch.Generator().manual_seed(s) for s in (4, 5)])
    assert not torch.equal(others[0], others[1])
