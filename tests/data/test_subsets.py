"""Class-balanced parts."""

import pytest
import torch

from spectral_lib.data.dataset import Dataset
from spectral_lib.data.subsets import balanced_rows, take


def test_classes_differ_by_at_most_one():
    labels = torch.randint(7, (500,), generator=torch.Generator().manual_seed(0))
    for size in (1, 6, 7, 100, 300):
        rows = balanced_rows(labels, size)
        assert len(rows) == len(rows.unique()) == size
        counts = labels[rows].bincount(minlength=7)
        assert counts.max() - counts.min() <= 1
        assert torch.equal(rows, rows.sort().values)
    assert balanced_rows(labels, 500).tolist() == list(range(500))


def test_rare_class_is_taken_whole():
    labels = torch.tensor([0] * 50 + [1] * 3 + [2] * 50)
    assert labels[balanced_rows(labels, 43)].bincount().tolist() == [20, 3, 20]


def test_part_depends_on_its_seed_and_grows():
    labels = torch.arange(300) % 10
    part = balanced_rows(labels, 50, seed=3)
    assert torch.equal(part, balanced_rows(labels, 50, seed=3))
    assert not torch.equal(part, balanced_rows(labels, 50, seed=4))
    assert set(part.tolist()) < set(balanced_rows(labels, 80, seed=3).tolist())


def test_every_example_is_as_likely():
    labels = torch.tensor([0] * 5 + [1] * 5)
    hits = torch.zeros(10)
    for seed in range(2000):
        hits[balanced_rows(labels, 3, seed)] += 1
    assert (hits / 2000).tolist() == pytest.approx([0.3] * 10, abs=0.05)


def test_impossible_size():
    for size in (0, 11):
        with pytest.raises(ValueError, match=f"size is {size}; give 1 to 10"):
            balanced_rows(torch.arange(10), size)


def test_take():
    data = Dataset(torch.arange(8.0).view(4, 2), torch.arange(4))
    part = take(data, torch.tensor([3, 1]))
    assert part.inputs.tolist() == [[6, 7], [2, 3]]
    assert part.targets.tolist() == [3, 1]
