"""Geometry of the two lines, and a wrong label for each replica."""

from fractions import Fraction

import pytest
import torch

from spectral_lib.data.toy_manifold import (
    ALONG,
    CENTRE,
    PerturbOne,
    lines_of,
    perturbed_row,
    two_lines,
)


def test_lines_are_perpendicular_to_each_other_and_to_their_gap():
    vectors = torch.stack([*ALONG, CENTRE / CENTRE.norm()])
    assert torch.allclose(vectors @ vectors.T, torch.eye(3), atol=1e-6)
    assert ALONG[1].tolist() == pytest.approx([6**-0.5, 6**-0.5, -2 * 6**-0.5])


def test_points_are_even_and_ordered():
    data = two_lines(51)
    assert data.inputs.shape == (102, 3)
    assert data.targets.tolist() == [0] * 51 + [1] * 51
    for i, sign in enumerate((1, -1)):
        own = data.inputs[51 * i : 51 * (i + 1)]
        k = (own - sign * CENTRE) @ ALONG[i]
        expected = [float(Fraction(n - 25, 25)) for n in range(51)]
        assert k.tolist() == pytest.approx(expected, abs=1e-6)
        # each class lies on its side of the boundary <x, r_0> = 0
        assert own @ CENTRE == pytest.approx(torch.full((51,), sign * 0.03), abs=1e-6)


def test_lines_of_a_seed_are_all_on_the_side_of_class_0():
    for seed in range(5):
        named = lines_of(seed)
        for points in named.values():
            assert points.shape == (128, 3)
            assert points @ CENTRE == pytest.approx(torch.full((128,), 0.03), abs=1e-6)
        middles = {name: points.mean(0) for name, points in named.items()}
        assert torch.allclose(middles["on"], CENTRE, atol=1e-6)
        assert torch.allclose(middles["off"], CENTRE, atol=1e-6)
        wrong = two_lines(51).inputs[perturbed_row(seed)]
        assert torch.allclose(middles["through"], wrong, atol=1e-6)
        parallel = named["through"] - named["off"]
        assert torch.allclose(parallel, parallel[:1].expand(128, 3), atol=1e-6)


def test_perturbed_rows_cover_the_line():
    rows = [perturbed_row(seed) for seed in range(400)]
    assert rows == [perturbed_row(seed) for seed in range(400)]
    assert set(rows) == set(range(51))


@pytest.mark.parametrize("points", [5, 51])
def test_each_replica_gets_its_own_wrong_label(points):
    data, seeds = two_lines(points), (3, 4, 9)
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    rows = torch.stack([torch.randperm(2 * points, generator=g) for g in generators])
    states = [g.get_state() for g in generators]
    perturb = PerturbOne(points)
    inputs, targets = perturb(data.inputs[rows], data.targets[rows], generators)
    assert torch.equal(inputs, data.inputs[rows])
    for r, seed in enumerate(seeds):
        changed = (targets[r] != data.targets[rows[r]]).nonzero().flatten()
        assert rows[r][changed].tolist() == [perturbed_row(seed, points)]
        assert targets[r][changed].tolist() == [1]
        assert torch.equal(generators[r].get_state(), states[r])
