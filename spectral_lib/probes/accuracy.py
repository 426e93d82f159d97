"""What classifiers get right."""

from torch import Tensor

from spectral_lib.data.dataset import Dataset
from spectral_lib.training.ensemble import ROWS_IN_PASS, Ensemble
from spectral_lib.training.settings import Measure


def accuracy_on(data: Dataset) -> Measure:
    """Measure ``accuracy`` [R], in percent, and the predicted ``class`` [R, examples].

    The targets of the data are labels [examples].
    """

    def measure(ensemble: Ensemble) -> dict[str, Tensor]:
        found = ensemble.predict(data.inputs, ROWS_IN_PASS).argmax(-1)
        right = (found == data.targets).double().mean(1)
        return {"accuracy": 100 * right, "class": found}

    return measure
