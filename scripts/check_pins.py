"""Check that the pinned packages can be had for every Python and platform of the book.

Asks the package index for metadata and installs nothing. Three things are wrong: pins
that exclude each other or have no wheel somewhere, packages that an install brings
without a pin, and pins that no install needs. With ``--move`` constraints.txt is first
written anew: the newest versions that the oldest Python takes, but for the packages in
`MOVED_ON_PURPOSE`.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from check_machine import NEWEST, OLDEST, OLDEST_MACOS

ROOT = Path(__file__).parents[1]
PINS = ROOT / "constraints.txt"
MOVED_ON_PURPOSE = ("torch", "jupyter-book")

# 3.11.2 is Debian 12's own.
PYTHONS = [
    f"{OLDEST[0]}.{OLDEST[1]}.0",
    "3.11.2",
    *(f"3.{minor}" for minor in range(OLDEST[1] + 1, NEWEST[1] + 1)),
]
PLATFORMS = ["x86_64-manylinux_2_28", "aarch64-manylinux_2_28", "aarch64-apple-darwin"]


def read_pins(text: str) -> dict[str, str]:
    """Versions by normalised name, of lines ``name==version``."""
    pairs = [line.split("==") for line in text.splitlines() if "==" in line]
    return {normalised(name): version.strip() for name, version in pairs}


def normalised(name: str) -> str:
    """Name of a package as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def resolve(constraints: Path, python: str, platform: str) -> dict[str, str]:
    """Versions that an install with all extras would bring, from wheels alone.

    Raises
    ------
    ValueError
        If there is no such set; the message is uv's own.
    """
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet"]
    command += [str(ROOT / "pyproject.toml"), "--all-extras", "-c", str(constraints)]
    command += ["--python-version", python, "--python-platform", platform]
    command += ["--only-binary", ":all:", "--no-header", "--no-annotate"]
    settings = os.environ | {"MACOSX_DEPLOYMENT_TARGET": f"{OLDEST_MACOS}.0"}
    run = subprocess.run(command, capture_output=True, encoding="utf-8", env=settings)
    if run.returncode != 0:
        raise ValueError(run.stderr.strip())
    return read_pins(run.stdout)


def check() -> list[str]:
    """Sentences on what is wrong with the pins; prints one line a combination."""
    pins = read_pins(PINS.read_text("utf-8"))
    needed: dict[str, str] = {}
    wrong: list[str] = []
    for python in PYTHONS:
        for platform in PLATFORMS:
            where = f"Python {python} on {platform}"
            try:
                resolved = resolve(PINS, python, platform)
            except ValueError as error:
                print(f"{where}: no")
                wrong.append(f"{where}: {error}")
                continue
            print(f"{where}: {len(resolved)} packages", flush=True)
            needed |= resolved
    if not wrong:  # else `needed` is not whole
        missing, idle = needed.keys() - pins.keys(), pins.keys() - needed.keys()
        wrong += [f"without a pin: {name}=={needed[name]}" for name in sorted(missing)]
        wrong += [f"pinned and not needed: {name}" for name in sorted(idle)]
    return wrong


def move() -> None:
    """Write the newest pins that the oldest Python takes, on all platforms together."""
    pins = read_pins(PINS.read_text("utf-8"))
    chosen = {name: pins[name] for name in MOVED_ON_PURPOSE}
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        for platform in PLATFORMS:  # each takes what the ones before it have chosen
            constraints.write_text(as_text(chosen), "utf-8")
            chosen |= resolve(constraints, PYTHONS[0], platform)
    PINS.write_text(as_text(chosen), "utf-8")


def as_text(pins: dict[str, str]) -> str:
    """Pins as the lines of a constraints file, in order of their names."""
    return "".join(f"{name}=={version}\n" for name, version in sorted(pins.items()))


def main() -> int:
    """Check the pins, or move them first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--move", action="store_true", help="write newer pins first")
    if parser.parse_args().move:
        move()
    wrong = check()
    print("\n".join(wrong) or "The pins hold everywhere.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
