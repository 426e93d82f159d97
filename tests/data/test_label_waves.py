"""Labels smoothed by waves over images."""

import math

import numpy as np
import pytest
import torch

from spectral_lib.data.dataset import compose
from spectral_lib.data.label_waves import (
    DirectionalWave,
    RadialWave,
    as_probabilities,
    expected_norm,
    fourier_image,
    frequency_for,
    share_outside,
    shuffle_strength,
    smooth_labels,
    smoothed,
)


def images(batch=40, channels=3, side=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, channels, side, side, generator=generator)


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def test_expected_norm():
    assert expected_norm(3072) == pytest.approx(55.4211, abs=5e-5)
    assert expected_norm(1) == pytest.approx(math.sqrt(2 / math.pi))
    norms = images(4000).flatten(1).norm(dim=1)
    assert norms.mean().item() == pytest.approx(expected_norm(192), abs=0.05)


def test_radial_wave_in_plain_numbers():
    x = images()
    wave = RadialWave(0.3, amplitude=0.4, phase=13.5)
    rises = []
    for picture in x.double().numpy():
        norm = math.sqrt(sum(float(v) ** 2 for v in picture.ravel()))
        rises.append(1 + math.sin(2 * math.pi * 0.3 * (norm - 13.5)))
    wanted = 0.4 * np.array(rises) / np.mean(rises)
    assert wave.unclipped(x).numpy() == pytest.approx(wanted, abs=1e-4)
    assert wave(x).numpy() == pytest.approx(wanted.clip(0, 1), abs=1e-4)
    plain = RadialWave(0.3, amplitude=0.4, relative=False, phase=13.5)
    assert plain(x).numpy() == pytest.approx(0.4 * np.array(rises), abs=1e-4)


def test_strength_stays_within_0_and_1_and_says_how_often_it_would_not():
    x = images(200)
    wave = RadialWave(0.2, amplitude=0.9)
    free = wave.unclipped(x)
    assert free.mean().item() == pytest.approx(0.9, abs=1e-5)
    assert free.max() > 1
    kept = wave(x)
    assert kept.min() >= 0
    assert kept.max() == 1
    assert share_outside(free) == pytest.approx((free > 1).sum().item() / 200)
    assert 0 < share_outside(free) < 1
    assert share_outside(kept) == 0
    assert share_outside(torch.tensor([[-0.1, 0.5], [1.0, 1.1]])) == 0.5


def test_directional_wave_in_plain_numbers():
    x = images()
    direction = fourier_image(2.0, 3, 8)
    wave = DirectionalWave(0.7, direction=direction)
    along = np.array([(p * direction).sum().item() for p in x])
    rises = 1 + np.sin(2 * np.pi * 0.7 * along)
    assert wave.coordinate(x).numpy() == pytest.approx(along, abs=1e-5)
    assert wave.unclipped(x).numpy() == pytest.approx(
        0.5 * rises / rises.mean(), abs=1e-4
    )
    other = x - wave.coordinate(x)[:, None, None, None] * direction
    assert (wave.coordinate(other).abs() < 1e-5).all()


@pytest.mark.parametrize("side", [8, 32])
def test_fourier_image_is_one_pair(side):
    for offset in range(side // 2 + 1):
        image = fourier_image(offset * math.sqrt(2), 3, side).double()
        assert image.norm().item() == pytest.approx(1, abs=1e-6)
        assert torch.equal(image[0], image[2])
        size = torch.fft.fft2(image[0]).abs()
        found = {tuple(at) for at in (size > 1e-5).nonzero().tolist()}
        assert found == {(offset, offset), ((-offset) % side, (-offset) % side)}


def test_fourier_image_follows_the_coefficients():
    coefficients = torch.zeros(16, 16, dtype=torch.complex128)
    coefficients[3, 3], coefficients[-3, -3] = 0.5 + 0.5j, 0.5 - 0.5j
    wanted = torch.fft.ifft2(coefficients)
    assert wanted.imag.abs().max() < 1e-12
    wanted = wanted.real / wanted.real.norm()
    assert torch.allclose(fourier_image(4.9, 1, 16)[0].double(), wanted, atol=1e-6)


def test_small_k_is_the_constant_image():
    for k in (0, 1, 1.41):
        assert fourier_image(k, 2, 8).numpy() == pytest.approx(1 / math.sqrt(128))
    assert fourier_image(1.4143, 2, 8).std() > 0
    assert torch.equal(fourier_image(2.0, 1, 8), fourier_image(1.5, 1, 8))


def test_frequency_for():
    along = 3.0 * torch.randn(2000, generator=torch.Generator().manual_seed(0))
    f = frequency_for(0.3, along)
    assert f * np.std(along.double().numpy(), ddof=1) == pytest.approx(0.3)
    with pytest.raises(ValueError, match="same for all images"):
        frequency_for(0.3, torch.ones(5))


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
    wave = RadialWave(0.2, amplitude=0.6)
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
    wave = RadialWave(0.2)
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
    fixed = shuffle_strength(true, 5)
    assert torch.equal(fixed.sort().values, true.sort().values)
    assert torch.equal(fixed, shuffle_strength(true, 5))
    assert abs(torch.corrcoef(torch.stack([fixed, true]))[0, 1]) < 0.2


def test_bad_input():
    cases = [
        (lambda: RadialWave(-1.0), "frequency is -1.0"),
        (lambda: RadialWave(1.0, 1.5), "amplitude is 1.5; give 0 to 1"),
        (lambda: DirectionalWave(1.0, direction=torch.ones(4)), "has the norm 2"),
        (lambda: fourier_image(-1.0, 1, 8), "give 0 to 5.657"),
        (lambda: fourier_image(7.1, 1, 8), "give 0 to 5.657"),
        (lambda: smoothed(torch.zeros(3).long(), torch.zeros(2), 4), "one S an image"),
        (lambda: as_probabilities(torch.zeros(3, 5), 4), "of 5 classes; classes is 4"),
    ]
    for wrong, message in cases:
        with pytest.raises(ValueError, match=message):
            wrong()
