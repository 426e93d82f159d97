"""Labels smoothed by waves over images."""

import math

import numpy as np
import pytest
import torch

from spectral_lib.data.dataset import compose
from spectral_lib.data.label_waves import (
    Wave,
    as_probabilities,
    fourier_image,
    smooth_labels,
    smoothed,
)


def images(batch=40, channels=3, side=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, channels, side, side, generator=generator)


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def test_radial_wave_in_plain_numbers():
    x = images()
    wave = Wave(0.3, amplitude=0.9, phase=13.5)
    rises = []
    for picture in x.double().numpy():
        norm = math.sqrt(sum(float(v) ** 2 for v in picture.ravel()))
        rises.append(1 + math.sin(2 * math.pi * 0.3 * (norm - 13.5)))
    wanted = 0.9 * np.array(rises) / np.mean(rises)
    assert wave(x).numpy() == pytest.approx(wanted.clip(0, 1), abs=1e-4)
    plain = Wave(0.3, amplitude=0.4, relative=False, phase=13.5)
    assert plain(x).numpy() == pytest.approx(0.4 * np.array(rises), abs=1e-4)
    assert wanted.max() > 1


def test_directional_wave_in_plain_numbers():
    x = images()
    direction = images(1)[0] / images(1)[0].norm()
    wave = Wave(0.7, amplitude=0.3, direction=direction)
    along = np.array([(p * direction).sum().item() for p in x])
    rises = 1 + np.sin(2 * np.pi * 0.7 * along)
    assert wave.coordinate(x).numpy() == pytest.approx(along, abs=1e-5)
    wanted = (0.3 * rises / rises.mean()).clip(0, 1)
    assert wave(x).numpy() == pytest.approx(wanted, abs=1e-4)
    other = x - wave.coordinate(x)[:, None, None, None] * direction
    assert (wave.coordinate(other).abs() < 1e-5).all()


@pytest.mark.parametrize(("offset", "side", "channels"), [(0, 8, 1), (3, 8, 3)])
def test_a_fourier_image_has_one_pair_of_coefficients(offset, side, channels):
    image = fourier_image(offset, side, channels)
    assert image.shape == (channels, side, side)
    assert float(image.norm()) == pytest.approx(1)
    size = np.abs(np.fft.fft2(image.numpy()))
    for one in size:  # the public code's coefficients, .5 +- .5i at (o, o), (-o, -o)
        where = {(i, j) for i, j in np.argwhere(one > 1e-5 * size.max()).tolist()}
        assert where == {(offset, offset), (-offset % side, -offset % side)}
    lone = np.zeros((side, side), complex)
    lone[offset, offset] += 0.5 + 0.5j
    lone[-offset % side, -offset % side] += 0.5 - 0.5j
    slow = np.fft.ifft2(lone).real
    np.testing.assert_allclose(
        image[0], slow / np.linalg.norm(slow) / math.sqrt(channels), atol=1e-6
    )


def test_smoothed_labels():
    labels = torch.tensor([[0, 2], [1, 1]])
    strength = torch.tensor([[0.0, 1.0], [0.5, 0.2]])
    found = smoothed(labels, strength, 4)
    assert found.shape == (2, 2, 4)
    assert found.sum(-1).numpy() == pytest.approx(1)
    assert found[0].tolist() == [[1, 0, 0, 0], [0.25] * 4]
    assert found[1, 0].tolist() == pytest.approx([0.125, 0.625, 0.125, 0.125])
    assert torch.allclose(smoothed(as_probabilities(labels, 4), strength, 4), found)


def test_augment_uses_the_batch_as_it_is():
    wave = Wave(0.2, amplitude=0.6)
    x = torch.stack([images(seed=0), 2 * images(seed=1)])
    y = torch.arange(80).view(2, 40) % 10

    def double(inputs, targets, _):
        return 2 * inputs, targets

    same, found = compose(double, smooth_labels(wave, 10))(x, y, generators(0, 1))
    assert torch.equal(same, 2 * x)
    for r in range(2):  # the mean is that of a replica's own batch
        assert torch.allclose(found[r], smoothed(y[r], wave(2 * x[r]), 10))
    assert not torch.allclose(found[0], smoothed(y[0], wave(x[0]), 10))


def strengths(probabilities, labels):
    """S from the probability 1 - S + S / 10 of the label itself."""
    own = probabilities.gather(-1, labels[..., None]).squeeze(-1)
    return (1 - own) / 0.9


def test_shuffled_control_has_the_same_strengths_elsewhere():
    wave = Wave(0.2)
    x = images(300).expand(2, -1, -1, -1, -1)
    y = torch.arange(600).view(2, 300) % 10
    control = smooth_labels(wave, 10, shuffled=True)
    true = wave(x[0])
    _, found = control(x, y, generators(3, 3))
    dealt = strengths(found, y)
    assert torch.allclose(dealt[0].sort().values, true.sort().values, atol=1e-6)
    assert torch.allclose(dealt[0], dealt[1], atol=1e-6)
    assert abs(torch.corrcoef(torch.stack([dealt[0], true]))[0, 1]) < 0.2
    _, other = control(x, y, generators(3, 4))
    assert not torch.allclose(strengths(other, y)[1], dealt[1])


def test_bad_input():
    cases = [
        (lambda: Wave(-1.0), "frequency is -1.0"),
        (lambda: Wave(1.0, 1.5), "amplitude is 1.5; give 0 to 1"),
        (lambda: Wave(math.inf), "frequency is inf"),
        (lambda: Wave(1.0, direction=torch.ones(4)), "has the norm 2"),
        (lambda: smoothed(torch.zeros(3).long(), torch.zeros(2), 4), "one S an image"),
        (lambda: as_probabilities(torch.zeros(3, 5), 4), "of 5 classes; classes is 4"),
    ]
    for wrong, message in cases:
        with pytest.raises(ValueError, match=message):
            wrong()
