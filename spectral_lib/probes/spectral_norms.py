"""Spectral norms of a network's weight matrices."""

import torch
from torch import Tensor

from spectral_lib.training.ensemble import Ensemble


def matrices(ensemble: Ensemble) -> dict[str, Tensor]:
    """Weights of the fully connected layers, [R, rows, columns] by parameter name.

    Raises
    ------
    ValueError
        If no parameter of a replica is a matrix.
    """
    found = {name: w for name, w in ensemble.parameters.items() if w.ndim == 3}
    if not found:
        raise ValueError(
            f"none of {', '.join(ensemble.parameters)} is a matrix; spectral norms "
            "need a network with fully connected layers."
        )
    return found


def spectral_norms(ensemble: Ensemble) -> dict[str, Tensor]:
    """Measure the largest singular value of each weight matrix, by decomposition.

    Reading: ``norm`` [R, layers], in the order of the layers; NaN for a matrix with an
    entry that is not finite, as in a replica that diverged.

    Source: Rahaman et al. 2019, spectral norms during training; theirs are estimates.
    Errors are those of `matrices`.
    """
    norms = [_largest_singular_value(w) for w in matrices(ensemble).values()]
    return {"norm": torch.stack(norms, 1)}


def _largest_singular_value(w: Tensor) -> Tensor:
    """Of matrices [R, rows, columns], [R]; the decomposition would raise for NaN."""
    finite = w.isfinite().all((1, 2))
    norms = torch.linalg.matrix_norm(w.where(finite[:, None, None], 0.0), ord=2)
    return norms.where(finite, torch.nan)
