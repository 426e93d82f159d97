"""Say in one sentence why the pinned packages cannot be installed here, if so.

`make` asks before it makes an environment. This file must run in old Pythons too.
"""

import platform
import sys

OLDEST, NEWEST = (3, 11), (3, 14)  # constraints.txt holds for all from one to the other
OLDEST_MACOS = 14  # the pinned torch has no build for an older one,
OLDEST_GLIBC = (2, 28)  # nor for older Linux systems, nor for those of musl


def numbers(version: str) -> tuple:
    """First two numbers of a dotted version; zeros where there are none."""
    parts = [int(part) for part in version.split(".")[:2] if part.isdigit()]
    return tuple([*parts, 0, 0][:2])


def obstacle(
    python: str, system: str, machine: str, macos: str = "", glibc: str = ""
) -> str:
    """Return the sentence that says what stands in the way; empty if nothing does.

    Versions are text as in "3.11.2"; `system` and `machine` are those of `platform`.
    """
    if not OLDEST <= numbers(python) <= NEWEST:
        return (
            f"The pinned packages need Python 3.{OLDEST[1]} to 3.{NEWEST[1]}; this is "
            f"{python}. Name another, for instance: make install PYTHON=python3.12"
        )
    if system == "Windows":
        return "The book is built on Linux or macOS; on Windows, run make inside WSL2."
    if system == "Darwin" and machine != "arm64":
        return (
            "The pinned torch needs Apple silicon, and a Python that is built for it."
        )
    if system == "Darwin" and numbers(macos) < (OLDEST_MACOS, 0):
        return f"The pinned torch needs macOS {OLDEST_MACOS} or newer; this is {macos}."
    if system == "Linux" and machine not in ("x86_64", "aarch64"):
        return f"The pinned torch needs Linux on x86-64 or arm64; this is {machine}."
    if system == "Linux" and numbers(glibc) < OLDEST_GLIBC:
        here = f"glibc {glibc}" if glibc else "another C library"
        return f"The pinned torch needs glibc 2.28 or newer; this system has {here}."
    return ""


def main() -> None:
    """Exit with the sentence, or quietly."""
    library, version = platform.libc_ver()
    sentence = obstacle(
        platform.python_version(),
        platform.system(),
        platform.machine(),
        macos=platform.mac_ver()[0],
        glibc=version if library == "glibc" else "",
    )
    sys.exit(sentence or 0)


if __name__ == "__main__":
    main()
