"""Errors of an ensemble on fixed sets of functions."""

from collections.abc import Mapping

from torch import Tensor

from spectral_lib.data.dataset import Dataset
from spectral_lib.training.ensemble import ROWS_IN_PASS, Ensemble
from spectral_lib.training.losses import Loss, nmse
from spectral_lib.training.settings import Measure


def error_of_sets(
    sets: Mapping[str, Dataset], margin: int = 0, metric: Loss = nmse
) -> Measure:
    """Measure the error [R] of each named set, the NMSE unless said otherwise.

    With a ``margin``, the error on interior points alone is measured too, as
    ``<name> interior``: the first and last ``margin`` points, which see the padding,
    are left out.

    Source: Wang, Wang & Lai 2024, Section 3.2; the interior is the book's.

    Raises
    ------
    ValueError
        If the margin leaves no interior points.
    """
    for name, data in sets.items():
        points = data.targets.shape[-1]
        if not 0 <= 2 * margin < points:
            raise ValueError(
                f"margin {margin} leaves no interior of the {points} points of "
                f"{name!r}; use less than {(points + 1) // 2}."
            )

    def measure(ensemble: Ensemble) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for name, data in sets.items():
            prediction = ensemble.predict(data.inputs, ROWS_IN_PASS)
            target = data.targets.expand_as(prediction)
            found[name] = metric(prediction, target)
            if margin:
                inside = slice(margin, -margin)
                found[f"{name} interior"] = metric(
                    prediction[..., inside], target[..., inside]
                )
        return found

    return measure


def alignment_with(data: Dataset) -> Measure:
    """Measure whether outputs have the shape of the targets, and how large they are.

    Readings over all points of all functions: ``cosine`` [R] between output and target,
    ``size`` [R], the norm of the output over that of the target.
    """

    def measure(ensemble: Ensemble) -> dict[str, Tensor]:
        output = ensemble.predict(data.inputs, ROWS_IN_PASS).flatten(1)
        target = data.targets.flatten()
        size = output.norm(dim=1) / target.norm()
        cosine = output @ target / (output.norm(dim=1) * target.norm())
        return {"cosine": cosine, "size": size}

    return measure
