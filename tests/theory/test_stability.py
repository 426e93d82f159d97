from itertools import islice

import numpy as np
import pytest
import torch

from spectral_lib.theory.gram_spectrum import (
    checkerboard_eigenvalue,
    gram_extremes,
    lanczos_extremes,
    lanczos_largest,
    patch_extremes,
    power_extremes,
)
from spectral_lib.theory.instability_bounds import (
    lower_bound_curve,
    printed_bounds_by_convention,
    table_2,
    table_6,
)
from spectral_lib.theory.kernel_gradient import LinearEquation
from spectral_lib.theory.kernel_pde import Scheme, iterate
from spectral_lib.theory.patch_operator import (
    CircularOperator,
    FoldedOperator,
    FourierOperator,
    GramOperator,
)
from spectral_lib.theory.patches import checkerboard, extend_image, gram_matrix
from spectral_lib.theory.stability import (
    Interval,
    bisected_bounds,
    cfl_learning_rate,
    exact_bounds,
    growth_factor,
    largest_curvature,
    printed_bounds,
)

# The columns of Sun et al. 2022, tables 2 and 6. The lower bound 3.9e6 of table 6 for
# 16 x 16 is 4.9 % above the exact 3.717e6: it does not follow from the paper's scheme,
# whose lower bound has no part of the momentum, and table 2 prints 3.8e6 for it.
TABLE_2 = {16: 3.8e6, 32: 1.3e7, 64: 3.8e7}
TABLE_6 = {16: 3.9e6, 32: 1.3e7, 64: 3.9e7}


def test_table_2():
    for row in table_2():
        size = row.kernel_size
        closed = size**2 * (257 - size) ** 2 / 4
        for interval in (row.exact, row.bisected):
            assert interval.lower == pytest.approx(closed, rel=1e-9)
            assert interval.lower == pytest.approx(TABLE_2[size], rel=0.03)
            assert interval.upper == pytest.approx(2.0e8, rel=1e-9)
        assert f"{row.printed.lower:.4e}" == "1.0737e+09"
        assert f"{row.printed.upper:.4e}" == "2.0000e+08"
        assert row.printed.empty
        assert not row.exact.empty


def test_table_6():
    for row in table_6():
        size = row.kernel_size
        closed = size**2 * (257 - size) ** 2 / 4
        for interval in (row.exact, row.bisected):
            assert interval.lower == pytest.approx(closed, rel=1e-9)
            tolerance = 0.05 if size == 16 else 0.03
            assert interval.lower == pytest.approx(TABLE_6[size], rel=tolerance)
            assert interval.upper == pytest.approx(4e8 / 2.8, rel=1e-9)
            assert interval.upper == pytest.approx(1.42e8, rel=0.01)
        assert f"{row.printed.lower:.4e}" == "1.0737e+09"
        assert f"{row.printed.upper:.4e}" == "1.3333e+08"
        assert row.printed.empty


def test_only_one_convention_gives_the_printed_bounds():
    expected = {1: 1.0737e9, 2: 2.684e8, 4: 1.956e8, 8: 1.810e8, 16: 1.775e8}
    for square, lower in expected.items():
        bounds = printed_bounds_by_convention(square)
        assert bounds.lower == pytest.approx(lower, rel=5e-4)
        assert bounds.upper == pytest.approx(2e8, rel=1e-9)
    assert printed_bounds_by_convention(1, "ortho").lower == pytest.approx(16384)
    assert printed_bounds_by_convention(1, "forward").lower == pytest.approx(0.25)


def test_lower_bound_never_reaches_the_limit_with_valid_convolution():
    curve = lower_bound_curve(np.arange(1, 257))
    limit = printed_bounds(checkerboard(), 1e-8).lower
    assert curve.argmax() + 1 in (128, 129)
    assert curve.max() == 128**2 * 129**2 / 4 < 0.07 * limit
    circular = lower_bound_curve((16, 64, 256), "circular")
    np.testing.assert_allclose(circular, [4.194304e6, 6.7108864e7, limit], rtol=1e-12)
    zero = lower_bound_curve((16, 32), "zero")
    np.testing.assert_allclose(zero, [4.0222e6, 1.54125e7], rtol=1e-4)
    (beyond,) = lower_bound_curve((2048,), "zero")
    assert 0.97 * limit < beyond < limit


@pytest.mark.parametrize("size", [1, 3, 8])
def test_lower_bound_with_zeros_equals_that_of_the_padded_image(size):
    padded = extend_image(checkerboard(8), size, "zero")
    values = np.linalg.eigvalsh(gram_matrix(padded, size).numpy())
    (found,) = lower_bound_curve((size,), "zero", image_size=8)
    assert found == pytest.approx(values[-1] / 4, rel=1e-12)


@pytest.mark.parametrize("size", [1, 2, 5, 8, 20])
def test_rank_one_shortcut_equals_the_general_ways(size):
    board = checkerboard(20)
    shortcut = checkerboard_eigenvalue(size, 20)
    values = np.linalg.eigvalsh(gram_matrix(board, size).numpy())
    assert values[-1] == pytest.approx(shortcut, rel=1e-12)
    np.testing.assert_allclose(values[:-1], 0, atol=1e-9 * shortcut)
    assert gram_extremes(board, size)[1] == pytest.approx(shortcut, rel=1e-12)
    folded = FoldedOperator(board, size)
    assert patch_extremes(folded)[1] == pytest.approx(shortcut, rel=1e-12)
    if size > 1:
        largest = lanczos_largest(FourierOperator(board, size))
        assert largest == pytest.approx(shortcut, rel=1e-9)


@pytest.mark.parametrize("size", [1, 3, 6, 11])
def test_three_ways_to_the_extremes_of_any_image(size, random_image):
    values = np.linalg.eigvalsh(gram_matrix(random_image, size).numpy())
    expected = (max(values[0], 0.0), values[-1])
    tolerance = 1e-9 * values[-1]
    for extremes in (
        gram_extremes(random_image, size),
        patch_extremes(FoldedOperator(random_image, size)),
    ):
        np.testing.assert_allclose(extremes, expected, rtol=0, atol=tolerance)
    if size > 1:
        lanczos = lanczos_extremes(FourierOperator(random_image, size))
        np.testing.assert_allclose(lanczos, expected, rtol=0, atol=tolerance)


def test_lanczos_branch_for_large_kernels():
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(96, 96, dtype=torch.float64, generator=generator)
    smallest, largest = gram_extremes(image, 41)
    values = np.linalg.eigvalsh(gram_matrix(image, 41).numpy())
    assert smallest == pytest.approx(values[0], abs=1e-7 * values[-1])
    assert largest == pytest.approx(values[-1], rel=1e-9)
    # 31 x 31 positions cannot span 66 x 66 weights.
    assert gram_extremes(image, 66)[0] == 0.0


def test_kernel_without_limits_sees_the_power_spectrum():
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(8, 8, dtype=torch.float64, generator=generator)
    torus = gram_extremes(extend_image(image, 8, "circular"), 8)
    np.testing.assert_allclose(torus, power_extremes(image), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("residual", [-0.5, -1.0, 0.4])
@pytest.mark.parametrize(("rate", "momentum"), [(1e-3, None), (0.03, 0.0), (0.03, 0.9)])
def test_bisection_equals_the_closed_form(residual, rate, momentum, random_image):
    extremes = gram_extremes(random_image, 5)
    exact = exact_bounds(extremes, rate, residual, 1.5, momentum)
    bisected = bisected_bounds(extremes, rate, residual, 1.5, momentum)
    assert bisected.lower == pytest.approx(exact.lower, rel=1e-9)
    assert bisected.upper == pytest.approx(exact.upper, rel=1e-9)


def grows(operator, scheme, equation, steps=4000):
    """Run the equation itself and look whether the last half grew."""
    generator = torch.Generator().manual_seed(1)
    size = operator.kernel_size
    start = torch.randn(size, size, dtype=torch.float64, generator=generator)
    states = iterate(start, operator, equation, scheme)
    norms = torch.stack([each.norm(dim=(1, 2)) for each in islice(states, steps + 1)])
    return norms[-100:].max(0).values > norms[steps // 2 : steps // 2 + 100].max(0)[0]


@pytest.mark.parametrize("momentum", [None, 0.9])
@pytest.mark.parametrize("residual", [-0.5, 0.4])
def test_exact_bounds_on_a_random_image_by_running_it(momentum, residual, random_image):
    operator = GramOperator(random_image, 5)
    rate = 1e-3 if momentum is None else 0.03
    # Without a source the state is the error itself.
    equation = LinearEquation(residual, 1.0, source=0.0)
    extremes = gram_extremes(random_image, 5)
    bounds = exact_bounds(extremes, rate, residual, 1.0, momentum)
    width = bounds.upper - bounds.lower
    inside = (bounds.lower + 0.01 * width, bounds.upper - 0.01 * width)
    outside = (bounds.lower - 0.01 * width, bounds.upper + 0.01 * width)
    trials = inside + outside
    if outside[0] <= 0:
        # A positive residual is stable without any decay: no lower trial exists.
        trials = (bounds.upper - 0.01 * width, bounds.upper + 0.01 * width)
    with np.errstate(all="ignore"):
        grew = grows(operator, Scheme((rate,), trials, momentum), equation)
    expected = [trial not in bounds for trial in trials]
    assert grew.tolist() == expected


def test_printed_upper_bound_fails_for_a_positive_residual():
    """Equation (41) takes the minimum where a > 0 needs the maximum."""
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(8, 8, dtype=torch.float64, generator=generator)
    rate, residual = 1e-3, 0.5
    printed = printed_bounds(image, rate, residual)
    exact = exact_bounds(power_extremes(image), rate, residual)
    assert exact.upper < printed.upper
    between = (exact.upper + printed.upper) / 2
    equation = LinearEquation(residual, source=0.0)
    scheme = Scheme((rate,), (between, 0.99 * exact.upper))
    grew = grows(CircularOperator(image, 8), scheme, equation)
    assert grew.tolist() == [True, False]


def test_printed_and_exact_agree_for_a_negative_residual(random_image):
    printed = printed_bounds(random_image, 1e-3, -0.7, 1.2)
    exact = exact_bounds(power_extremes(random_image), 1e-3, -0.7, 1.2)
    assert printed == exact


def test_growth_factor_is_the_rate_of_the_scheme():
    rate, curvature = 0.1, np.array([-20.0, 3.0, 90.0, 150.0, 250.0])
    np.testing.assert_allclose(growth_factor(curvature, rate), abs(1 - 0.1 * curvature))
    for momentum in (0.0, 0.5, 0.9):
        keep = 1 - rate**2 * (1 + momentum) / 2 * curvature
        for q, factor in zip(
            keep, growth_factor(curvature, rate, momentum), strict=True
        ):
            roots = np.roots([1, -(1 + momentum) * q, momentum * q])
            assert factor == pytest.approx(abs(roots).max(), rel=1e-12)


@pytest.mark.parametrize("momentum", [0.0, 0.3, 0.9, 0.99])
def test_exact_momentum_limit_is_wider_than_the_papers(momentum):
    exact = largest_curvature(1e-4, momentum)
    assert exact == pytest.approx(4e8 / (1 + 2 * momentum), rel=1e-12)
    assert exact > 4e8 / 3
    assert growth_factor(0.9999 * exact, 1e-4, momentum) < 1
    assert growth_factor(1.0001 * exact, 1e-4, momentum) > 1


def test_cfl_line_and_interval():
    np.testing.assert_array_equal(cfl_learning_rate([20.0, 0.5]), [0.1, 4.0])
    assert 1.0 in Interval(0.0, 2.0)
    assert 2.0 not in Interval(0.0, 2.0)
    assert Interval(1.0, 1.0).empty


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cfl_learning_rate([1.0, 0.0]), "weight_decay is"),
        (lambda: growth_factor(1.0, 0.0), "learning_rate is 0.0"),
        (lambda: growth_factor(1.0, 0.1, 1.5), "momentum is 1.5"),
        (lambda: largest_curvature(-1.0), "learning_rate is -1.0"),
        (lambda: exact_bounds((0, 1), 0.1, residual=3.0), "residual is 3.0"),
        (lambda: bisected_bounds((0, 1), 0.1, beta=0.0), "beta is 0.0"),
        (lambda: printed_bounds(checkerboard(4), 0.0), "learning_rate is 0.0"),
        (lambda: checkerboard_eigenvalue(257), "1 to 256 pixels"),
        (lambda: checkerboard_eigenvalue([0, 1]), "1 to 256 pixels"),
        (lambda: gram_extremes(checkerboard(4), 5), "kernel_size is 5"),
        (lambda: table_2((300,)), "kernel_size is 300"),
        (lambda: lanczos_largest(FourierOperator(checkerboard(4), 1)), "at least 2"),
    ],
)
def test_bad_inputs(call, message):
    with pytest.raises(ValueError, match=message):
        call()
