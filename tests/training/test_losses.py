"""Losses against sums written out."""

import pytest
import torch

from spectral_lib.training.losses import cross_entropy, mse, nmse, nmse_by_output


def test_squared_errors_against_sums_written_out():
    prediction = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    target = torch.tensor([[[1.0, 0.0], [0.0, 2.0]]])
    assert mse(prediction, target).item() == pytest.approx((4 + 9 + 4) / 4)
    assert nmse(prediction, target).item() == pytest.approx(17 / 5)
    assert nmse_by_output(prediction, target).item() == pytest.approx(17 / 30)


def test_cross_entropy_takes_labels_or_probabilities():
    logits = torch.randn(3, 7, 4, dtype=torch.float64)
    labels = torch.randint(4, (3, 7))
    hard = torch.nn.functional.one_hot(labels, 4).double()
    soft = 0.6 * hard + 0.1
    by_hand = -(soft * logits.log_softmax(-1)).sum(-1).mean(1)
    assert torch.allclose(cross_entropy(logits, soft), by_hand)
    same = cross_entropy(logits, labels), cross_entropy(logits, hard)
    assert torch.allclose(*same)


def test_an_axis_that_is_not_there_is_refused():
    """Broadcasting would compare each example with each, or each function alone."""
    lone = torch.randn(1, 4, 1)
    with pytest.raises(ValueError, match=r"\[1, 4, 1\] and targets \[1, 4\]"):
        mse(lone, lone[..., 0])
    for loss in (nmse, nmse_by_output):
        with pytest.raises(ValueError, match=r"2 axes; give \[R, functions, poi"):
            loss(lone[0], lone[0])
