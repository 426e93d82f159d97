"""The state of the git checkout that results come from."""

import os
import re
import subprocess
from pathlib import Path

from spectral_lib.code_hash import code_hash

CODE = (":/book", ":/params", ":/spectral_lib", ":/spectral_book")
"""What results depend on, from the top of the repository."""


def chapter_code() -> str:
    """Return the hash of the code that every chapter depends on, as it is now."""
    book = Path(__file__).parent
    return code_hash(book / "claims", book / "chapter")


def checkout(root: Path) -> tuple[str, list[str]]:
    """Return a checkout's commit, and the files of `CODE` that differ from it.

    ValueError if the folder is not the top of a git checkout, with what git said.
    """
    try:
        top = _git(root, "rev-parse", "--show-toplevel").removesuffix("\n")
    except ValueError as error:
        raise ValueError(f"{root} is not a git checkout ({error})") from error
    if not root.samefile(top):
        raise ValueError(
            f"{root} is not a git checkout (it lies in another one, {top})"
        )
    changed = _git(root, "status", "--porcelain", "--", *CODE).splitlines()
    return _git(root, "rev-parse", "HEAD").strip(), [line[3:] for line in changed]


def committed(file: Path) -> str | None:
    """Return a file's text as it is in the commit of its checkout, if it is in one."""
    try:
        return _git(file.parent, "show", f"HEAD:./{file.name}")
    except ValueError:
        return None


def knows_commit(root: Path, commit: str) -> bool | None:
    """Return whether a repository knows a commit; None where it cannot tell.

    A shallow clone and an unpacked archive do not hold the commits of before.
    """
    try:
        top = _git(root, "rev-parse", "--show-toplevel").removesuffix("\n")
        shallow = _git(root, "rev-parse", "--is-shallow-repository").strip() == "true"
    except ValueError:
        return None
    if not root.samefile(top):
        return None
    if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", commit):
        return False
    try:
        _git(root, "cat-file", "-e", f"{commit}^{{commit}}")
    except ValueError:
        return None if shallow else False
    return True


def _git(folder: Path, *words: str) -> str:
    """Return what git prints in a folder; raise ValueError with its complaint."""
    # Git's own variables, as a hook has them, would name another repository.
    others = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    try:
        ran = subprocess.run(
            ["git", "-C", str(folder), *words],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=True,
            env=others | {"LC_ALL": "C"},
        )
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        raise ValueError(" ".join(said.split())) from error
    return ran.stdout
