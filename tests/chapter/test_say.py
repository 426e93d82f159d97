"""Sentences with a run's numbers: every field as the book writes it, none by chance."""

import numpy as np
import pytest
import torch

from spectral_book.chapter.say import fill_sentence

ROWS = {
    "low-first": {
        "estimate": -0.314159,
        "ci_low": -0.5,
        "ci_high": -0.1,
        "verdict": "replicated",
        "control": {"estimate": 0.02},
    },
    "not-run": {
        "estimate": None,
        "ci_low": None,
        "ci_high": None,
        "verdict": "not comparable",
        "control": {"estimate": None},
    },
}


@pytest.mark.parametrize(
    ("text", "numbers", "said"),
    [
        ("{low-first}", {}, "−0.314 (replicated)"),
        ("{low-first:verdict}", {}, "replicated"),
        ("{low-first:interval}", {}, "−0.314 [−0.5, −0.1]"),
        ("{low-first:control}", {}, "0.02"),
        ("{low-first:%}", {}, "−31.4 %"),
        ("{low-first:.2f}", {}, "−0.31"),
        ("{not-run}", {}, "– (not comparable)"),
        ("{not-run:.2f}", {}, "–"),
        ("{a}", {"a": 0.00001}, "1.0·10⁻⁵"),
        ("{a}", {"a": 12}, "12"),
        ("{a}", {"a": "words"}, "words"),
        ("{a:.1f}", {"a": -2.0}, "−2.0"),
        ("{a:.0%}", {"a": 0.414}, "41 %"),
        ("{a:,}", {"a": 8000}, "8,000"),
        ("{a}", {"a": float("nan")}, "–"),
        ("{a}", {"a": torch.tensor(0.5)}, "0.5"),
        ("{a}", {"a": np.float32(0.5)}, "0.5"),
        ("{a:.1f}", {"a": torch.tensor([1.0, 2.0, 3.0])}, "1.0, 2.0 and 3.0"),
        ("{a}", {"a": ["one", "two"]}, "one and two"),
        ("{a}", {"a": [7]}, "7"),
        ("{{kept}}", {}, "{kept}"),
    ],
)
def test_field(text, numbers, said):
    assert fill_sentence(text, ROWS, numbers) == said


@pytest.mark.parametrize(
    ("text", "numbers", "why"),
    [
        ("{low}", {}, "names {low}, which is no claim judged so far"),
        ("none", {"a": 1}, "never uses the number 'a'"),
        ("{not-run}", {"not-run": 1}, "'not-run' is a claim"),
    ],
)
def test_a_slip_is_told(text, numbers, why):
    with pytest.raises(ValueError, match=why):
        fill_sentence(text, ROWS, numbers)
