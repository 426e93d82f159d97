"""The state of the git checkout that results come from."""

from __future__ import annotations

import re
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
    try:
        changed = _git(folder, "status", "--porcelain", "--", *CODE).splitlines()
        head = _git(folder, "rev-parse", "HEAD")
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        raise ValueError(f"{folder} is not a git checkout ({said.strip()})") from error
    return head, [line[3:] for line in changed]


def knows_commit(root: Path, commit: str) -> bool | None:
    """Return whether a repository knows a commit; None where it cannot tell.

    A shallow clone and an unpacked archive do not hold the commits of before.
    """
    try:
        if Path(_git(root, "rev-parse", "--show-toplevel")).resolve() != root.resolve():
            return None
        shallow = _git(root, "rev-parse", "--is-shallow-repository") == "true"
    except (OSError, subprocess.CalledProcessError):
        return None
    if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", commit):
        return False
    try:
        _git(root, "cat-file", "-e", f"{commit}^{{commit}}")
    except subprocess.CalledProcessError:
        return None if shallow else False
    return True


def _git(folder: Path, *words: str) -> str:
    """Run git and return what it says."""
    command = ["git", "-C", str(folder), *words]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return ran.stdout.rstrip("\n")
