import math

import pytest
import torch
from torch import nn

from spectral_lib.probes.noise_fitting import (
    clean_and_noisy_loss,
    correlation_with_noise,
    correlation_within_classes,
    effective_noise_fitting,
    first_above,
    noise_fitting,
)
from spectral_lib.training.ensemble import Ensemble, initialise

CLASSES = 4
NAN = math.nan


def smooth(labels, noise, classes=CLASSES):
    """Labels with weight 1 - S on the class and S spread over all of them."""
    rows = [
        [(1 - s) * (k == y) + s / classes for k in range(classes)]
        for y, s in zip(labels.tolist(), noise.tolist(), strict=True)
    ]
    return torch.tensor(rows, dtype=torch.float64)


def example(images=9, replicas=3):
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(CLASSES, (images,), generator=generator)
    noise = torch.rand(images, generator=generator, dtype=torch.float64)
    logits = 3 * torch.randn(replicas, images, CLASSES, generator=generator)
    return logits, labels, noise


def test_losses_and_correlation_equal_a_loop_over_images():
    logits, labels, noise = example()
    noise = 1.3 * noise  # the public rule lets some exceed 1
    smoothed = smooth(labels, noise)
    clean, noisy = clean_and_noisy_loss(logits, labels, smoothed)
    found = correlation_with_noise(logits, labels, smoothed)
    for r, net in enumerate(logits.tolist()):
        losses, others, own = [], [], []
        for z, y, target in zip(net, labels.tolist(), smoothed.tolist(), strict=True):
            p = [math.exp(v) / sum(math.exp(w) for w in z) for v in z]
            losses.append(-math.log(p[y]))
            others.append(-sum(t * math.log(q) for t, q in zip(target, p, strict=True)))
            own.append(p[y])
        ideal = [1 - (1 - 1 / CLASSES) * s for s in noise.tolist()]
        pearson = torch.corrcoef(torch.tensor([own, ideal], dtype=torch.float64))[0, 1]
        assert clean[r].item() == pytest.approx(sum(losses) / len(losses), rel=1e-6)
        assert noisy[r].item() == pytest.approx(sum(others) / len(others), rel=1e-6)
        assert found[r].item() == pytest.approx(pearson.item(), rel=1e-6)
    torch.testing.assert_close(
        effective_noise_fitting(logits, labels, smoothed), clean - noisy
    )


@pytest.mark.parametrize("value", [0.1, 0.2, 0.7])
def test_correlation_is_nan_without_spread(value):
    """Also where the mean of equal numbers is not exact."""
    logits, labels, noise = example()
    smoothed = smooth(labels, noise)
    logits[0] = value * nn.functional.one_hot(labels, CLASSES)
    found = correlation_with_noise(logits, labels, smoothed)
    assert found.isnan().tolist() == [True, False, False]
    same = smooth(labels, torch.full_like(noise, value))
    assert correlation_with_noise(logits, labels, same).isnan().all()


def test_within_classes_equals_pearson_of_what_a_loop_leaves():
    logits, labels, noise = example(images=40)
    smoothed = smooth(labels, noise)
    found = correlation_within_classes(logits, labels, smoothed)
    for r, net in enumerate(logits.double().softmax(-1).tolist()):
        own = [p[y] for p, y in zip(net, labels.tolist(), strict=True)]
        ideal = [t[y] for t, y in zip(smoothed.tolist(), labels.tolist(), strict=True)]
        pairs = []
        for y in range(CLASSES):
            rows = [i for i, label in enumerate(labels.tolist()) if label == y]
            a = [own[i] - sum(own[j] for j in rows) / len(rows) for i in rows]
            b = [ideal[i] - sum(ideal[j] for j in rows) / len(rows) for i in rows]
            pairs += list(zip(a, b, strict=True))
        pearson = torch.corrcoef(torch.tensor(pairs, dtype=torch.float64).T)[0, 1]
        assert found[r].item() == pytest.approx(pearson.item(), rel=1e-6)


def test_a_guess_that_knows_the_class_alone_has_nothing_left_within_classes():
    """It may correlate with the wave as strongly as classes do; within them, never."""
    _, labels, noise = example(images=60)
    noise = 0.5 * noise + 0.1 * labels  # a wave that classes give away
    smoothed = smooth(labels, noise)
    ideal = smoothed.gather(1, labels[:, None])[:, 0]
    guess = torch.stack([ideal[labels == y].mean() for y in range(CLASSES)])[labels]
    knows = smooth(labels, (1 - guess) / (1 - 1 / CLASSES)).log()
    knows_more = smooth(labels, (1 - ideal) / (1 - 1 / CLASSES)).log()
    logits = torch.stack([knows, knows_more])
    assert correlation_with_noise(logits, labels, smoothed)[0] > 0.5
    found = correlation_within_classes(logits, labels, smoothed)
    assert found[0].isnan()
    assert found[1].item() == pytest.approx(1)


class Spy(nn.Module):
    """A classifier with batch norm that keeps the sizes of the batches it sees."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.Linear(6, 4))
        self.seen = []

    def forward(self, x):
        self.seen.append(len(x))
        return self.net(x)


@pytest.mark.parametrize("stacked", [True, False])
def test_chunks_bound_a_pass_and_change_nothing(stacked):
    _, labels, noise = example(images=23)
    inputs = torch.randn(23, 5, generator=torch.Generator().manual_seed(1))
    smoothed = smooth(labels, noise)
    ensemble = initialise(Spy, [1, 2, 3], stacked=stacked)
    whole = noise_fitting(inputs, labels, smoothed, chunk=1000)(ensemble)
    given = ensemble.predict(inputs), labels, smoothed
    clean, noisy = clean_and_noisy_loss(*given)
    wanted = {"clean": clean, "noisy": noisy, "noise fitting": clean - noisy}
    wanted["correlation"] = correlation_with_noise(*given)
    wanted["within classes"] = correlation_within_classes(*given)
    torch.testing.assert_close(whole, wanted)
    for chunk in (1, 7, 23):
        ensemble.module.seen.clear()
        parts = noise_fitting(inputs, labels, smoothed, chunk)(ensemble)
        together = 3 if stacked else 1
        assert max(ensemble.module.seen) * together <= max(chunk, together)
        for name, value in whole.items():
            torch.testing.assert_close(parts[name], value, msg=name)


def test_first_above_is_linear_between_readings():
    readings = torch.tensor(
        [
            [NAN, 0.9, NAN, 0.1, 0.5, NAN],
            [0.1, 0.9, 0.8, 0.2, 0.5, NAN],
            [0.7, 0.1, 0.1, 0.3, 0.4, NAN],
            [0.2, 0.9, 0.9, 0.4, 0.6, NAN],
        ]
    )
    epochs = torch.tensor([0, 10, 20, 40])
    found = first_above(readings, epochs, 0.5)
    wanted = torch.tensor([10 + 10 * 2 / 3, 0, 10, NAN, 30, NAN])
    torch.testing.assert_close(found, wanted, equal_nan=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": torch.zeros(3, 5).numpy()}, "ndarray given; use torch.from_numpy"),
        ({"labels": torch.tensor([0, 1])}, r"shape \(2,\) for 3 images"),
        ({"labels": torch.tensor([0.0, 1.0, 2.0])}, "torch.float32"),
        ({"labels": torch.tensor([0, 1, 4])}, "smoothed has 4 classes"),
        ({"labels": torch.tensor([0, -1, 2])}, "-1 to 2"),
        ({"smoothed": torch.ones(3)}, r"smoothed has shape \(3,\)"),
        ({"smoothed": torch.ones(3, 4)}, "misses the sum 1 by 3"),
        ({"smoothed": torch.full((3, 4), NAN)}, "misses the sum 1 by nan"),
    ],
)
def test_bad_inputs(change, message):
    labels = torch.tensor([0, 1, 2])
    given = {
        "inputs": torch.zeros(3, 5),
        "labels": labels,
        "smoothed": smooth(labels, torch.zeros(3)),
    }
    with pytest.raises(ValueError, match=message):
        noise_fitting(**given | change)


def test_bad_outputs():
    labels = torch.tensor([0, 1, 2])
    measure = noise_fitting(torch.zeros(3, 5), labels, smooth(labels, torch.zeros(3)))
    flat = nn.Sequential(nn.Linear(5, 1), nn.Flatten(0))
    with pytest.raises(ValueError, match=r"outputs of shape \(3,\)"):
        measure(Ensemble.of(flat))
