"""How many chapters run at a time, with how many threads, and who says so."""

import pytest

from spectral_book.budget import Budget, resolve_budget


@pytest.mark.parametrize(
    ("jobs", "threads", "environ", "cores", "expected"),
    [
        (0, 0, {}, 8, Budget(8, 1)),
        (2, 0, {}, 8, Budget(2, 4)),
        (16, 0, {}, 8, Budget(16, 1)),
        (3, 5, {}, 8, Budget(3, 5)),
        (3, 5, {"SPECTRAL_JOBS": "1"}, 8, Budget(1, 5)),
        (3, 5, {"SPECTRAL_JOBS": "0", "SPECTRAL_THREADS": " 0 "}, 8, Budget(8, 1)),
        (3, 5, {"SPECTRAL_JOBS": "", "SPECTRAL_THREADS": " "}, 8, Budget(3, 5)),
    ],
)
def test_budget_follows_settings_and_environment(
    jobs, threads, environ, cores, expected
):
    assert resolve_budget(jobs, threads, environ, cores) == expected


@pytest.mark.parametrize("value", ["-1", "two", "1.5", "²"])
@pytest.mark.parametrize("name", ["SPECTRAL_JOBS", "SPECTRAL_THREADS"])
def test_bad_environment_is_named(name, value):
    with pytest.raises(ValueError, match=f"{name} must be a whole number"):
        resolve_budget(0, 0, {name: value}, 2)


@pytest.mark.parametrize("value", [-1, 1.5, "all", None, True])
def test_bad_setting_is_named(value):
    with pytest.raises(ValueError, match="spectral_jobs must be a whole number"):
        resolve_budget(value, 0, {}, 2)


def test_kernel_environment_keeps_the_rest():
    environment = Budget(2, 3).kernel_environment(
        {"HOME": "/x", "OMP_NUM_THREADS": "9"}
    )
    assert environment["HOME"] == "/x"
    assert environment["SPECTRAL_BUILD"] == "1"
    for name in ("SPECTRAL_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        assert environment[name] == "3"
