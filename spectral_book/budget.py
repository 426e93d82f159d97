"""How much of a machine the notebooks of one command may use."""

from collections.abc import Mapping
from dataclasses import dataclass

from spectral_lib.threads import variable, whole_number


@dataclass(frozen=True)
class Budget:
    """How many notebooks run at the same time, and how many threads each may use."""

    jobs: int
    threads: int

    def kernel_environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of a kernel: `base` with this budget written in.

        Set before the process starts, since the numerical libraries read these
        variables once, when they are first imported.
        """
        libraries = ("SPECTRAL", "OMP_NUM", "MKL_NUM", "OPENBLAS_NUM")
        threads = {f"{name}_THREADS": str(self.threads) for name in libraries}
        return {**base, **threads, "SPECTRAL_BUILD": "1"}


def resolve_budget(
    jobs: object, threads: object, environ: Mapping[str, str], cores: int
) -> Budget:
    """Return the budget that the configuration and the environment ask for.

    `SPECTRAL_JOBS` and `SPECTRAL_THREADS` in `environ` go before the configured values.
    0 jobs are one for each of the usable `cores`, 0 threads the cores divided by jobs.
    ValueError if a value is not a whole number of at least 0.
    """
    asked_jobs = whole_number("spectral_jobs", jobs)
    asked_threads = whole_number("spectral_threads", threads)
    n_jobs = variable("SPECTRAL_JOBS", environ, asked_jobs) or cores
    at_most = max(1, cores // n_jobs)
    n_threads = variable("SPECTRAL_THREADS", environ, asked_threads) or at_most
    return Budget(n_jobs, n_threads)
