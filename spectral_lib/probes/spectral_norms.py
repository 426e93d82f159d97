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

    Reading: ``norm`` [R, layers], in the order of the layers.

    Source: Rahaman et al. 2019, spectral norms during training; theirs are estimates.

    Raises
    ------
    ValueError
        If no parameter of a replica is a matrix.
    """
    norms = [torch.linalg.matrix_norm(w, ord=2) for w in matrices(ensemble).values()]
    return {"norm": torch.stack(norms, 1)}
