"""How far a classifier has learned the noise that smoothed its training labels.

Labels y of K classes are smoothed to y (1 - S) + S / K with a function S of the image.
Everything here compares predictions on test images with their clean and their smoothed
labels. Source: Fridovich-Keil et al. 2021, Section 3.1 and equation (1).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from spectral_lib.training.ensemble import Ensemble
from spectral_lib.training.settings import Measure


def clean_and_noisy_loss(
    logits: Tensor, labels: Tensor, smoothed: Tensor
) -> tuple[Tensor, Tensor]:
    """Cross-entropy on clean and on smoothed labels of the same images, [R] each.

    Shapes: logits [R, images, classes], labels [images], smoothed [images, classes].
    Nats, in float64; no weight-decay term.
    """
    logs = logits.double().log_softmax(-1)
    own = labels.expand(logs.shape[:-1])[..., None]
    clean = -logs.gather(-1, own).mean((-1, -2))
    noisy = -(smoothed.to(logs) * logs).sum(-1).mean(-1)
    return clean, noisy


def effective_noise_fitting(logits: Tensor, labels: Tensor, smoothed: Tensor) -> Tensor:
    """Clean minus noisy cross-entropy [R], shapes as in `clean_and_noisy_loss`.

    0 where all classes are equally likely; it falls while the classes are learned and
    rises again if the noise is. Source: Fridovich-Keil et al. 2021, equation (1).
    """
    clean, noisy = clean_and_noisy_loss(logits, labels, smoothed)
    return clean - noisy


def correlation_with_noise(logits: Tensor, labels: Tensor, smoothed: Tensor) -> Tensor:
    """Correlation [R] of predicted and ideal probability of the true class.

    Over images; the ideal is the smoothed label's, 1 - (1 - 1/K) S. NaN where either
    does not vary. Shapes as in `clean_and_noisy_loss`; the statistic is the book's.
    """
    predicted, ideal = _own_probabilities(logits, labels, smoothed)
    return (_standardised(predicted) * _standardised(ideal)).sum(-1)


def correlation_within_classes(
    logits: Tensor, labels: Tensor, smoothed: Tensor
) -> Tensor:
    """The same correlation [R] after the mean over each class is taken out of both.

    What knowing the class alone gives is gone: for such a guess, as wherever nothing is
    left to vary, it is NaN. Shapes as in `correlation_with_noise`; the statistic is the
    book's.
    """
    a, b = (
        _standardised(_without_class_means(p, labels))
        for p in _own_probabilities(logits, labels, smoothed)
    )
    return (a * b).sum(-1)


def _own_probabilities(
    logits: Tensor, labels: Tensor, smoothed: Tensor
) -> tuple[Tensor, Tensor]:
    """Probability of the true class, predicted [R, images] and ideal [images]."""
    own = labels.expand(logits.shape[:-1])[..., None]
    predicted = logits.double().softmax(-1).gather(-1, own).squeeze(-1)
    return predicted, smoothed.to(predicted).gather(-1, labels[:, None]).squeeze(-1)


def _without_class_means(x: Tensor, labels: Tensor) -> Tensor:
    """Subtract from x [..., images] its mean over the images of the same class."""
    member = F.one_hot(labels).to(x)
    means = x @ member / member.sum(0).clamp(min=1)
    left = x - means[..., labels]
    # Equal numbers less their mean differ from 0 by rounding.
    return left.where(left.abs() > 1e-12 * x.abs().amax(-1, keepdim=True), 0.0)


def _standardised(x: Tensor) -> Tensor:
    """Shift and scale x [..., images] to mean 0 and norm 1; NaN if it is constant."""
    centred = x - x.mean(-1, keepdim=True)
    spread = x.amax(-1, keepdim=True) - x.amin(-1, keepdim=True)
    # Equal probabilities differ by rounding, and so does their mean.
    varies = spread > 1e-12 * x.abs().amax(-1, keepdim=True)
    return torch.where(varies, centred / centred.norm(dim=-1, keepdim=True), torch.nan)


def noise_fitting(
    inputs: Tensor, labels: Tensor, smoothed: Tensor, chunk: int = 1000
) -> Measure:
    """Measure effective noise fitting, what it is made of, and the correlation.

    Readings [R]: ``clean`` and ``noisy`` cross-entropy, ``noise fitting``, their
    difference, ``correlation`` of `correlation_with_noise` and ``within classes`` of
    `correlation_within_classes`. Use test images, and the rule that smoothed the
    training labels.

    Parameters
    ----------
    inputs
        Images as the network takes them, [images, ...].
    labels
        True classes, [images], on the same device.
    smoothed
        Smoothed labels, [images, classes].
    chunk
        Images in a forward pass; it bounds the memory.

    Raises
    ------
    ValueError
        If the shapes do not fit, or a smoothed label does not sum to 1.
    """
    check_labels(inputs, labels)
    if smoothed.ndim != 2 or len(smoothed) != len(labels):
        raise ValueError(
            f"smoothed has shape {tuple(smoothed.shape)} for {len(labels)} images; "
            "give [images, classes]."
        )
    if not 0 <= int(labels.min()) <= int(labels.max()) < smoothed.shape[1]:
        raise ValueError(
            f"labels are {int(labels.min())} to {int(labels.max())} and smoothed has "
            f"{smoothed.shape[1]} classes; give labels from 0 on."
        )
    gap = float((smoothed.double().sum(1) - 1).abs().max())
    if not gap < 1e-4:
        raise ValueError(
            f"a smoothed label misses the sum 1 by {gap:.3g}; "
            "give y (1 - S) + S / classes."
        )

    def measure(ensemble: Ensemble) -> dict[str, Tensor]:
        logits = ensemble.predict(inputs, chunk)
        check_logits(logits)
        clean, noisy = clean_and_noisy_loss(logits, labels, smoothed)
        return {
            "clean": clean,
            "noisy": noisy,
            "noise fitting": clean - noisy,
            "correlation": correlation_with_noise(logits, labels, smoothed),
            "within classes": correlation_within_classes(logits, labels, smoothed),
        }

    return measure


def check_labels(inputs: Tensor, labels: Tensor) -> None:
    """Raise a ValueError unless there is one class number for each input."""
    for given in (inputs, labels):
        if not isinstance(given, Tensor):
            raise ValueError(f"{type(given).__name__} given; use torch.from_numpy.")
    if (
        labels.shape != inputs.shape[:1]
        or labels.is_floating_point()
        or not len(labels)
    ):
        raise ValueError(
            f"labels are {labels.dtype} of shape {tuple(labels.shape)} for "
            f"{len(inputs)} images; give one class number an image."
        )


def check_logits(logits: Tensor) -> None:
    """Raise a ValueError unless outputs are [R, images, classes]."""
    if logits.ndim != 3:
        raise ValueError(
            f"the network gives outputs of shape {tuple(logits.shape[1:])}; give one "
            "with outputs [images, classes]."
        )


def first_above(readings: Tensor, times: Tensor, level: float) -> Tensor:
    """Time [R] at which readings [T, R] first exceed a level, NaN if they never do.

    Linear between a reading and the one before it, so that it is finer than the
    readings are; the reading's own time if the one before is missing or NaN.
    ``times`` [T] are epochs or steps, as recorded.
    """
    above = readings > level
    replicas = torch.arange(readings.shape[1], device=readings.device)
    after = above.int().argmax(0)
    before = (after - 1).clamp(min=0)
    low, high = readings[before, replicas], readings[after, replicas]
    # Above from the start: before and after are the same, and any number will do.
    share = ((level - low) / (high - low)).nan_to_num(nan=1.0)
    clock = times.to(readings)
    found = clock[before] + share * (clock[after] - clock[before])
    return torch.where(above.any(0), found, torch.nan)
