"""The state of the git checkout that results come from."""

from __future__ import annotations

import subprocess
from pathlib import Path

CODE = (":/book", ":/params", ":/spectral_lib", ":/spectral_book")
"""What results depend on, from the top of the repository."""


def checkout(folder: Path) -> tuple[str, list[str]]:
    """Return a checkout's commit, and the files of `CODE` that differ from it.

    Raises
    ------
    ValueError
        If the folder is in no git checkout, with what git said.
    """

    def git(*words: str) -> str:
        command = ["git", "-C", str(folder), *words]
        try:
            ran = subprocess.run(command, capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            said = getattr(error, "stderr", "") or str(error)
            raise ValueError(f"{folder} is not a git checkout ({said.strip()})") from (
                error
            )
        return ran.stdout

    changed = git("status", "--porcelain", "--", *CODE).splitlines()
    return git("rev-parse", "HEAD").strip(), [line[3:] for line in changed]
