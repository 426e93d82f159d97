"""How much of a machine the notebooks of one command may use."""

from collections.abc import Mapping
from dataclasses import dataclass

from spectral_lib.threads import variable


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


def resolve_budget(environ: Mapping[str, str], cores: int) -> Budget:
    """Return the budget that `SPECTRAL_JOBS` and `SPECTRAL_THREADS` ask for.

    Without them, or with 0, jobs are one for each of the usable `cores`, and threads
    the cores divided by jobs. ValueError if one is not a whole number of at least 0.
    """
    jobs = variable("SPECTRAL_JOBS", environ, unset=0) or cores
    threads = variable("SPECTRAL_THREADS", environ, unset=0) or max(1, cores // jobs)
    return Budget(jobs, threads)
