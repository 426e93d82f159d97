"""How many chapters run at once, and how many threads each may use."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """The processor budget of one build.

    Attributes
    ----------
    jobs
        Chapters executed at the same time, one kernel process each.
    threads
        Threads a chapter's numerical libraries may use.
    """

    jobs: int
    threads: int

    def kernel_environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of a kernel: `base` with this budget written in.

        Set before the process starts, since the numerical libraries read these
        variables once, when they are first imported.
        """
        threads = str(self.threads)
        return {
            **base,
            "SPECTRAL_BUILD": "1",
            "SPECTRAL_THREADS": threads,
            "OMP_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads,
        }


def usable_cores() -> int:
    """Return the number of processor cores this process may run on.

    That is its affinity mask where the system has one (a container or a batch
    job often gets a part of the machine), else the number of cores.
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def resolve_budget(
    jobs: object, threads: object, environ: Mapping[str, str], cores: int
) -> Budget:
    """Return the budget asked for by the configuration and the environment.

    Parameters
    ----------
    jobs
        The configured `spectral_jobs`; 0 means one per core.
    threads
        The configured `spectral_threads`; 0 means the cores divided by the jobs.
    environ
        `SPECTRAL_JOBS` and `SPECTRAL_THREADS` in it go before the configuration.
    cores
        Usable cores.

    Raises
    ------
    ValueError
        If a value is not a whole number of at least 0; the message names it.
    """
    wanted_jobs = _count("SPECTRAL_JOBS", "spectral_jobs", environ, jobs)
    wanted_threads = _count("SPECTRAL_THREADS", "spectral_threads", environ, threads)
    n_jobs = wanted_jobs or cores
    return Budget(jobs=n_jobs, threads=wanted_threads or max(1, cores // n_jobs))


def _count(
    variable: str, setting: str, environ: Mapping[str, str], configured: object
) -> int:
    """Return a whole number of at least 0 from the environment or the settings."""
    name, value = setting, configured
    if variable in environ:
        name, value = variable, environ[variable]
    # str(True) is no number, so a YAML "yes" is refused as well.
    text = str(value).strip()
    if not (text.isascii() and text.isdigit()):
        raise ValueError(
            f"{name} must be a whole number, 0 (automatic) or more; got {value!r}"
        )
    return int(text)
