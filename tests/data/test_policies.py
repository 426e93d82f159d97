"""RandAugment and AutoAugment, against Pillow and against their laws."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from spectral_lib.data import policies
from spectral_lib.data.decoding import Scaling
from spectral_lib.data.images import load_images
from spectral_lib.data.policies import (
    OPERATIONS,
    apply_operation,
    auto_augment,
    rand_augment,
)

COLOUR = Scaling((0.49, 0.48, 0.45), (0.25, 0.24, 0.26))
POLICIES = {
    "rand": rand_augment,
    "auto": auto_augment,
}


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def pictures(count=30, channels=3, side=16):
    """Smooth images of whole bytes in [0, 1]; the first has one value."""
    coarse = torch.rand(count, channels, 4, 4, generator=generators(0)[0])
    fine = torch.nn.functional.interpolate(coarse, (side, side), mode="bilinear")
    fine[0] = 0.3
    return (fine * 255).round() / 255


def by_pillow(name, picture, m, sign):
    w = picture.size[0]
    level, amount = 0.1 + 0.18 * m, sign * m

    def move(*matrix):
        return picture.transform((w, w), Image.AFFINE, matrix, Image.BILINEAR)

    return {
        "identity": lambda: picture,
        "auto_contrast": lambda: ImageOps.autocontrast(picture),
        "equalize": lambda: ImageOps.equalize(picture),
        "invert": lambda: ImageOps.invert(picture),
        "solarize": lambda: ImageOps.solarize(picture, 256 - 25.6 * m),
        "posterize": lambda: ImageOps.posterize(picture, 8 - round(0.4 * m)),
        "color": lambda: ImageEnhance.Color(picture).enhance(level),
        "contrast": lambda: ImageEnhance.Contrast(picture).enhance(level),
        "brightness": lambda: ImageEnhance.Brightness(picture).enhance(level),
        "sharpness": lambda: ImageEnhance.Sharpness(picture).enhance(level),
        "translate_x": lambda: move(1, 0, -round(w * amount / 32), 0, 1, 0),
        "translate_y": lambda: move(1, 0, 0, 0, 1, -round(w * amount / 32)),
        "rotate": lambda: picture.rotate(3 * amount, Image.BILINEAR),
        "shear_x": lambda: move(1, -0.03 * amount, 0, 0, 1, 0),
        "shear_y": lambda: move(1, 0, 0, -0.03 * amount, 1, 0),
    }[name]()


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation_against_pillow(name):
    x = pictures()
    magnitude, sign = torch.tensor([3.0, 8.0] * 15), torch.tensor([1.0, 1.0, -1.0] * 10)
    found = apply_operation(name, x, magnitude, sign).clamp(0, 1)
    off = []
    for n, picture in enumerate(x):
        pixels = (picture.permute(1, 2, 0) * 255).round().byte().numpy()
        given = Image.fromarray(pixels), magnitude[n].item(), sign[n].item()
        wanted = np.asarray(by_pillow(name, *given), float)
        off.append(abs(wanted - (found[n].permute(1, 2, 0) * 255).numpy()))
    off = np.stack(off)
    if name in ("rotate", "shear_x", "shear_y"):
        # Pillow rounds coordinates and treats the border in its own way.
        assert np.quantile(off, 0.7, axis=(1, 2, 3)).max() < 6
    else:
        assert off.max() < 2.5


def test_share_of_images_that_autoaugment_leaves_alone(monkeypatch):
    """Against the table: the mean over pairs of (1 - p1)(1 - p2)."""
    from kornia.augmentation.auto.autoaugment.autoaugment import cifar10_policy

    wanted = np.mean([(1 - a[1]) * (1 - b[1]) for a, b in cifar10_policy])
    monkeypatch.setattr(policies, "apply_operation", lambda name, x, *_: 0 * x)
    x = torch.ones(1, 4000, 3, 4, 4)
    found, _ = auto_augment(Scaling())(x, torch.zeros(1, 4000), generators(1))
    alone = (found == x).flatten(2).all(2).double().mean()
    assert alone.item() == pytest.approx(wanted, abs=0.03)


@pytest.mark.parametrize("name", POLICIES)
def test_both_signs_are_as_likely(name, monkeypatch):
    seen = []

    def record(operation, x, magnitude, sign):
        seen.extend(sign.tolist())
        return x

    monkeypatch.setattr(policies, "apply_operation", record)
    x, means = torch.zeros(1, 2000, 1, 2, 2), set()
    for seed in (0, 1):
        seen.clear()
        POLICIES[name](Scaling())(x, torch.zeros(1, 2000), generators(seed))
        assert set(seen) == {-1.0, 1.0}
        means.add(np.mean(seen))
    assert max(means) == pytest.approx(0, abs=0.1)
    assert len(means) == 2  # drawn from the generator that is given


def test_no_operations_and_one():
    digits = load_images()
    x, y = digits.train.inputs[None, :1000], digits.train.targets[None, :1000]
    same, _ = rand_augment(digits.scaling, 0)(x, y, generators(0))
    assert torch.equal(same, x)
    one, _ = rand_augment(digits.scaling, 1, 9.0)(x, y, generators(0))
    share = ((one - x).abs() < 0.01).flatten(2).all(2).double().mean()
    # Identity and, on grey, colour always; some others on some images.
    assert 2 / 14 - 0.03 < share.item() < 5 / 14
    pixels = digits.scaling.undo(one)
    assert -1e-4 < pixels.min() < pixels.max() < 1 + 1e-4


def test_bad_input():
    m, s = torch.zeros(2), torch.ones(2)
    for wrong, message in (
        (lambda: rand_augment(COLOUR, -1), "operations is -1"),
        (lambda: rand_augment(COLOUR, 2, 11.0), "magnitude is 11.0; give 0 to 10"),
        (lambda: apply_operation("blur", pictures(2), m, s), "operation is 'blur'"),
        (lambda: apply_operation("invert", pictures(2, 2), m, s), "give 1 or 3"),
    ):
        with pytest.raises(ValueError, match=message):
            wrong()
