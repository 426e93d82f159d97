"""One hash of code, the same for checkpoints, sweeps and records."""

import hashlib
from pathlib import Path

LIBRARY = Path(__file__).parent
"""The folder of the library."""


def code_hash(*folders: Path) -> str:
    """Hash of all Python files of the library and of further folders, 12 hex digits.

    Names and contents count, times do not. The files are read at each call, so that a
    change while a process runs is seen.
    """
    digest = hashlib.sha256()
    for root in (LIBRARY, *folders):
        for path in sorted(root.rglob("*.py")):
            name = f"{root.name}/{path.relative_to(root).as_posix()}"
            digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]
