"""A process that has imported what a chapter imports and forks kernels from itself.

Importing torch and the rest takes seconds, a fork milliseconds. Each kernel is a new
process forked from one that has run nothing but imports, so it starts from the same
state as every other; see :mod:`spectral_book.sweeps.warm` for the side that asks.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Sequence
from typing import Any

_KERNEL = ("ipykernel.kernelapp", "ipykernel.ipkernel", "ipykernel.zmqshell")
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)


def preload(modules: Sequence[str]) -> None:
    """Import modules; one that cannot be imported is left to the notebook to report."""
    for name in modules:
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    gc.collect()
    # The collector would otherwise write to, and so copy, every inherited page.
    gc.freeze()


def serve(listener: socket.socket) -> dict[str, Any]:
    """Fork a process for each request; return the request, in the forked process.

    A request is one line of JSON with `argv`, `env` and `cwd`; the answer is the
    number of the process. The parent never returns: when its standard input closes,
    because the process that started it has ended, it ends all kernels and itself.
    """
    children: set[int] = set()
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [], 1.0)
        children -= _ended()
        if sys.stdin in ready:
            for pid in children:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
            os._exit(0)
        if listener not in ready:
            continue
        connection, _ = listener.accept()
        with connection, connection.makefile("rw", encoding="utf-8") as stream:
            line = stream.readline()
            if not line:
                continue
            # Nothing may be buffered, or the child would write it a second time.
            sys.stdout.flush()
            sys.stderr.flush()
            pid = os.fork()
            if pid == 0:
                listener.close()
                return json.loads(line)
            children.add(pid)
            stream.write(f"{pid}\n")


def become_kernel(request: dict[str, Any]) -> None:
    """Turn this forked process into a Jupyter kernel, as new as one can be."""
    os.setsid()
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    # Fresh processes seed their global generators differently each; Python's `random`
    # does so by itself after a fork.
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()
    if "torch" in sys.modules:
        sys.modules["torch"].default_generator.seed()
    from ipykernel.kernelapp import IPKernelApp

    # A kernel that knows of no parent tells its user how to end it.
    argv = [*request["argv"], f"--IPKernelApp.parent_handle={os.getppid()}"]
    sys.argv = ["ipykernel_launcher", *argv]
    IPKernelApp.launch_instance(argv)


def _ended() -> set[int]:
    """Collect the children that have ended."""
    ended = set()
    with contextlib.suppress(ChildProcessError):
        while (pid := os.waitpid(-1, os.WNOHANG)[0]) != 0:
            ended.add(pid)
    return ended


def main(address: str, modules: Sequence[str]) -> None:
    """Listen first, so that requests can queue, then import and serve."""
    # As in ipykernel_launcher: the folder we were started in is not to be searched.
    if sys.path[0] in ("", os.getcwd()):
        del sys.path[0]
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(128)
    preload([*_KERNEL, *modules])
    become_kernel(serve(listener))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
