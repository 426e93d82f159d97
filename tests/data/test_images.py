"""Images with labels."""

import numpy as np
import pytest
import torch

from spectral_lib.data.decoding import Scaling
from spectral_lib.data.images import CIFAR10_SCALING, load_digits, load_images


def test_digits():
    digits = load_digits()
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


def test_properties_of_a_set():
    digits = load_images()
    assert (digits.channels, digits.side, digits.classes) == (1, 8, 10)
    norms = [float((x.double() ** 2).sum() ** 0.5) for x in digits.train.inputs]
    assert digits.mean_norm == pytest.approx(np.mean(norms), rel=1e-6)
    flat = digits.flat()
    assert flat.train.inputs.shape == (1297, 64)
    assert flat.mean_norm == pytest.approx(digits.mean_norm, rel=1e-6)
    moved = digits.to("meta", torch.float64).test
    assert moved.inputs.device.type == moved.targets.device.type == "meta"
    assert (moved.inputs.dtype, moved.targets.dtype) == (torch.float64, torch.int64)


def test_scaling_is_undone():
    digits = load_images()
    pixels = digits.scaling.undo(digits.train.inputs) * 16
    assert (pixels - pixels.round()).abs().max() < 1e-4
    assert (pixels.min().round(), pixels.max().round()) == (0, 16)
    plain = load_images(scaling=Scaling())
    assert torch.allclose(plain.train.inputs * 16, pixels, atol=1e-4)
    assert plain.scaling == Scaling()
    x = torch.rand(2, 5, 3, 4, 4)
    scaled = CIFAR10_SCALING.apply(x)
    assert scaled[1, 2, 1, 0, 3].item() == pytest.approx(
        (x[1, 2, 1, 0, 3].item() - 0.4822) / 0.2435, abs=1e-5
    )
    assert torch.allclose(CIFAR10_SCALING.undo(scaled), x, atol=1e-6)


def test_resizing_averages():
    digits, small = load_images(), load_images(side=4)
    for part, resized in ((digits.train, small.train), (digits.test, small.test)):
        # Linear, so that it may be scaled before or after.
        wanted = torch.nn.functional.interpolate(
            part.inputs, (4, 4), mode="bilinear", antialias=True
        )
        torch.testing.assert_close(resized.inputs, wanted, rtol=0, atol=1e-5)
    plain = load_images(side=4, scaling=Scaling()).train.inputs
    torch.testing.assert_close(digits.scaling.undo(small.train.inputs), plain)


def test_part_of_the_digits_is_balanced():
    whole, part = load_images(), load_images(size=100, test_size=50)
    assert part.train.targets.bincount().tolist() == [10] * 10
    assert part.test.targets.bincount().tolist() == [5] * 10
    known = {tuple(x.flatten().tolist()) for x in whole.train.inputs}
    assert all(tuple(x.flatten().tolist()) in known for x in part.train.inputs)
    assert part.scaling == whole.scaling


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: load_images("mnist"), "known are digits, fashion_mnist, cifar10"),
        (lambda: load_images(side=-1), "give at least 1 pixel"),
        (
            lambda: load_images(size=0),
            r"size \(in chapters train_images\) is 0; give 1 to 1297",
        ),
        (
            lambda: load_images(test_size=501),
            r"test_size \(in chapters test_images\) is 501; .* 500",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
