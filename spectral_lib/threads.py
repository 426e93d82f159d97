"""How many threads a process may use, read alike wherever it is asked."""

import os
from collections.abc import Mapping


def usable_cores() -> int:
    """Number of processor cores this process may run on.

    That is its affinity mask where the system has one (a container or a batch
    job often gets a part of the machine), else the number of cores.
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def whole_number(name: str, value: object) -> int:
    """Setting or variable as a whole number, 0 meaning that it is worked out.

    Raises
    ------
    ValueError
        If the value is not a whole number of at least 0; the message names it.
    """
    # str(True) is no number, so a YAML "yes" is refused as well.
    text = str(value).strip()
    if not (text.isascii() and text.isdigit()):
        raise ValueError(
            f"{name} must be a whole number, 0 (automatic) or more; got {value!r}"
        )
    return int(text)


def variable(name: str, environ: Mapping[str, str], unset: object) -> int:
    """Whole number of an environment variable; `unset` where it is empty or not set."""
    return whole_number(name, environ.get(name, "").strip() or unset)


def thread_budget() -> int:
    """Threads this process may use: the variable SPECTRAL_THREADS, or one.

    One is the default because chapters run side by side and small networks lose far
    more to busy OpenMP barriers than they gain from a second thread. 0 is one a core.
    """
    return variable("SPECTRAL_THREADS", os.environ, unset=1) or usable_cores()
