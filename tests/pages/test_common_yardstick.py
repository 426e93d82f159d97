"""The chapter's own functions: both tasks, the definitions, and the rule for pairs."""

import ast

import numpy as np
import pytest
import scipy.stats
import torch
from chapter_code import functions_of

from spectral_lib.probes.ntk import jacobian_ntk
from spectral_lib.training.ensemble import initialise


@pytest.fixture(scope="module")
def chapter():
    """What the notebook has run before it trains, and its functions after that."""
    return functions_of(
        "common_yardstick", "runs = {", ast.ImportFrom, train_images=200
    )


def test_train_images_bounds_all_data(chapter):
    for inputs in chapter["TASKS"].values():
        assert len(inputs) == 200
    assert len(chapter["labels"]) + len(chapter["held"]) == 200


def test_images_on_the_line_vary_along_it_alone_and_keep_their_order(chapter):
    images, line = (x.flatten(1).double() for x in chapter["TASKS"].values())
    d = chapter["d"]
    size = torch.linalg.svdvals(line - line.mean(0))
    assert size[1] < 1e-5 * size[0]
    torch.testing.assert_close(line @ d, images @ d, atol=1e-5, rtol=0)
    assert ((line @ d).diff() > -1e-5).all()


def test_noise_is_a_correlation_and_does_not_change_with_the_size_of_logits(chapter):
    high = chapter["high"]
    m = torch.randn(3, len(high), generator=torch.Generator().manual_seed(0)).double()
    expected = [np.corrcoef(row, high)[0, 1] for row in m]
    own = m.std(-1, correction=0) * high.std(correction=0)
    np.testing.assert_allclose(chapter["high_waves"](m) / own, expected)
    torch.testing.assert_close(
        chapter["high_waves"](5 * m + 3), 5 * chapter["high_waves"](m)
    )


@pytest.mark.parametrize("architecture", ["perceptron", "CNN", "ResNet"])
def test_rates_are_those_of_the_whole_tangent_kernel(
    chapter, architecture, monkeypatch
):
    x = chapter["TASKS"]["images"][chapter["some"]][:20]
    w = torch.randn(4, 20, generator=torch.Generator().manual_seed(1)).double()
    monkeypatch.setitem(chapter, "w", w)
    monkeypatch.setitem(chapter, "some", chapter["some"][:20])
    ensemble = initialise(lambda: chapter["started"](architecture), [1, 2])
    found = chapter["kernel_rates"](ensemble, x)

    def margin():
        return torch.nn.Sequential(chapter["started"](architecture), Difference())

    kernel = jacobian_ntk(initialise(margin, [1, 2]), x).double()
    expected = torch.einsum("kn,rnm,km->rk", w, kernel, w) / w.square().sum(1) / 20
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=0)


class Difference(torch.nn.Module):
    """Of the two columns."""

    def forward(self, x):
        return x[:, 1:] - x[:, :1]


def test_equal_misfit_is_the_partial_correlation_of_ranks_within_architectures(chapter):
    draw = np.random.default_rng(0)
    of = {name: draw.normal(size=(3, 4, 6)) for name in ("noise", "paths", "misfit")}
    of["paths"] += of["noise"] + of["misfit"]
    expected = []
    for r in range(3):
        a, b, z = (scipy.stats.rankdata(x[r], axis=-1).ravel() for x in of.values())
        given = np.stack([z, np.ones_like(z)], 1)
        rest = [v - given @ np.linalg.lstsq(given, v)[0] for v in (a, b)]
        expected.append(np.corrcoef(*rest)[0, 1])
    np.testing.assert_allclose(chapter["at_equal_misfit"](of), expected)


def test_smoother_counts_ties_as_half_and_nothing_as_nothing(chapter):
    x = np.array([1.0, 2.0, 3.0, np.inf, np.nan, np.inf])
    y = np.array([2.0, 2.0, 1.0, 5.0, 1.0, np.inf])
    np.testing.assert_array_equal(
        chapter["smoother"](x, y), [0, 0.5, 1, 1, np.nan, 0.5]
    )


@pytest.mark.parametrize(
    ("images", "line", "said"),
    [
        ("agree", "disagree", "agree"),
        ("opposite", "opposite", "opposite"),
        ("disagree", "disagree", "disagree"),
        ("opposite", "disagree", "cannot tell"),
        ("disagree", "agree", "cannot tell"),
        ("opposite", "cannot tell", "cannot tell"),
    ],
)
def test_a_difference_counts_only_if_the_line_shows_it(
    chapter, images, line, said, monkeypatch
):
    kinds = {"images": images, "line": line}
    monkeypatch.setitem(chapter, "found", lambda task, *_: (kinds[task], ""))
    kind, why = chapter["conclude"]("noise", "scalar")
    assert kind == said
    assert bool(why) == (kind == "cannot tell")
