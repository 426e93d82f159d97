"""Kernels: this interpreter, a private folder to talk in, and no one's own settings."""

import hashlib
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
import psutil
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager

from spectral_book import strays


def prefix() -> str:
    """Return how the names of this machine's folders begin.

    Machines may share a folder for temporary files, and containers count processes
    each for itself. Names are short, since a socket's path must be.
    """
    machine = hashlib.sha256(platform.node().encode()).hexdigest()[:6]
    return f"kernel-{machine}-"


def remove_abandoned() -> None:
    """Remove the folders of processes on this machine that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix()}*-*"):
        pid = folder.name.removeprefix(prefix()).partition("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            # It may be another user's, or another process may be doing the same.
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def kernel_folder() -> Iterator[Path]:
    """Give a new empty folder, and remove it afterwards."""
    remove_abandoned()
    with tempfile.TemporaryDirectory(prefix=f"{prefix()}{os.getpid()}-") as name:
        yield Path(name)


def kernel_manager(folder: Path) -> AsyncKernelManager:
    """Return a manager for one kernel of this interpreter.

    Kernels talk over Unix sockets in a private folder where the system has them:
    TCP ports can be taken by another process between their choice and their use.
    """
    # A socket's path may have about a hundred bytes.
    is_short = len(os.fsencode(folder)) < 80
    return AsyncKernelManager(
        kernel_name="python3",
        kernel_spec_manager=_ThisPython(),
        transport="ipc" if is_short else "tcp",
        connection_file=str(folder / "kernel.json"),
    )


def without_user_setup(environment: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Return a kernel's environment without what its user set up for other work.

    IPython runs startup files, and matplotlib reads settings, which would change a
    notebook's results on one machine. `SPECTRAL_IPYTHONDIR` names a folder for
    IPython, to watch what happens in kernels.
    """
    ipython, drawing = folder / "ipython", folder / "matplotlib"
    ipython.mkdir()
    drawing.mkdir()
    # What matplotlib knows of the fonts; it would take long to find them each time.
    for fonts in Path(mpl.get_cachedir()).glob("fontlist-*.json"):
        (drawing / fonts.name).symlink_to(fonts)
    private = {
        "IPYTHONDIR": environment.get("SPECTRAL_IPYTHONDIR", str(ipython)),
        "MPLCONFIGDIR": str(drawing),
        # Another one would print figures as text.
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    }
    users = {"PYTHONSTARTUP", "MATPLOTLIBRC"}
    return {k: v for k, v in environment.items() if k not in users} | private


class _ThisPython(KernelSpecManager):
    """Kernel specifications with one entry: this process's interpreter.

    A `python3` kernel that the user has installed elsewhere would come first in
    Jupyter's search and lack the book's packages.
    """

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return KernelSpec(
            argv=[
                sys.executable,
                *("-m", "ipykernel_launcher", "-f", "{connection_file}"),
                *("--ext", strays.__name__),
            ],
            display_name="Python 3",
            language="python",
        )
