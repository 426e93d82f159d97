"""How many chapters run at a time, with how many threads, and who says so."""

import pytest

from spectral_book.budget import Budget, resolve_budget


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, Budget(8, 1)),
        ({"SPECTRAL_JOBS": "2"}, Budget(2, 4)),
        ({"SPECTRAL_JOBS": "16"}, Budget(16, 1)),
        ({"SPECTRAL_JOBS": "3", "SPECTRAL_THREADS": "5"}, Budget(3, 5)),
        ({"SPECTRAL_JOBS": "0", "SPECTRAL_THREADS": " 0 "}, Budget(8, 1)),
        ({"SPECTRAL_JOBS": "", "SPECTRAL_THREADS": " "}, Budget(8, 1)),
    ],
)
def test_budget_follows_the_environment(environ, expected):
    assert resolve_budget(environ, 8) == expected


@pytest.mark.parametrize("value", ["-1", "two", "1.5", "²"])
@pytest.mark.parametrize("name", ["SPECTRAL_JOBS", "SPECTRAL_THREADS"])
def test_bad_environment_is_named(name, value):
    with pytest.raises(ValueError, match=f"{name} must be a whole number"):
        resolve_budget({name: value}, 2)


def test_kernel_environment_keeps_the_rest():
    environment = Budget(2, 3).kernel_environment(
        {"HOME": "/x", "OMP_NUM_THREADS": "9"}
    )
    assert environment["HOME"] == "/x"
    assert environment["SPECTRAL_BUILD"] == "1"
    for name in ("SPECTRAL_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        assert environment[name] == "3"
