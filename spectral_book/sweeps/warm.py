"""Kernels forked from a warm process instead of started anew.

A :class:`ForkServer` is the process of :mod:`spectral_book.sweeps.forkserver`;
:func:`warm_manager` gives a kernel manager whose kernels come from it.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from jupyter_client import AsyncKernelManager
from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner
from traitlets import Unicode

from spectral_book.kernels import kernel_manager

_NAME = "spectral-warm"
_LISTEN_SECONDS = 30
_STARTUP_SECONDS = 180  # it imports before it answers


def can_fork() -> bool:
    """Return whether kernels can be forked here: on Linux.

    Elsewhere a fork after the first import of a graphics or numerics library is not
    safe, and a process cannot be watched by a descriptor.
    """
    return sys.platform == "linux" and hasattr(os, "pidfd_open")


class ForkServer:
    """A warm process to fork kernels from; it ends with this process at the latest.

    Parameters
    ----------
    modules
        What it imports first.
    environment
        Its environment; the numerical libraries take their thread counts from it.
    """

    def __init__(self, modules: Sequence[str], environment: Mapping[str, str]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="warm-")
        self.address = str(Path(self._folder.name) / "fork")
        # Matplotlib reads its backend when it is imported, before there is a kernel.
        inline = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
        server = "spectral_book.sweeps.forkserver"
        self.process = subprocess.Popen(
            [sys.executable, "-m", server, self.address, *modules],
            env={**environment, **inline},
            stdin=subprocess.PIPE,
        )

    def is_alive(self) -> bool:
        """Return whether kernels can still be had from it."""
        return self.process.poll() is None

    def close(self) -> None:
        """End the process and every kernel it has forked."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()
        self._folder.cleanup()


def warm_manager(folder: Path, server: ForkServer) -> AsyncKernelManager:
    """Return a manager for one kernel that is forked from a warm process."""
    provisioners = KernelProvisionerFactory.instance().provisioners
    provisioners[_NAME] = EntryPoint(
        _NAME, f"{__name__}:WarmProvisioner", KernelProvisionerFactory.GROUP_NAME
    )
    manager = kernel_manager(folder)
    manager.kernel_spec_manager = _WarmPython(server.address)
    return manager


class _WarmPython(KernelSpecManager):
    """Kernel specifications with one entry: a fork of the warm process."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        config = {"provisioner_name": _NAME, "config": {"address": self.address}}
        return KernelSpec(
            argv=["-f", "{connection_file}"],
            display_name="Python 3",
            language="python",
            metadata={"kernel_provisioner": config},
        )


class WarmProvisioner(LocalProvisioner):
    """Starts a kernel by asking the warm process for a fork."""

    address = Unicode()

    async def launch_kernel(
        self, cmd: list[str], **kwargs: Any
    ) -> KernelConnectionInfo:
        """Launch a kernel; `cmd` holds the arguments of its application."""
        cwd = kwargs.get("cwd") or os.getcwd()
        request = {"argv": cmd, "env": dict(kwargs["env"]), "cwd": str(cwd)}
        process = ForkedProcess(_ask(self.address, request))
        self.process = process  # type: ignore[assignment]
        self.pid = self.pgid = process.pid
        return self.connection_info


class ForkedProcess:
    """A process that is no child of this one, with the methods of a Popen object."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        try:
            self._descriptor: int | None = os.pidfd_open(pid)
        except ProcessLookupError:
            self._descriptor, self.returncode = None, 1

    def poll(self) -> int | None:
        """Return None while it runs; what it ended with is not known here."""
        if self._descriptor is not None:
            if not select.select([self._descriptor], [], [], 0)[0]:
                return None
            os.close(self._descriptor)
            self._descriptor, self.returncode = None, 1
        return self.returncode

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for its end."""
        if self._descriptor is not None:
            select.select([self._descriptor], [], [], timeout)
        return self.poll()

    def send_signal(self, number: int) -> None:
        """Send a signal to the process, if it still runs."""
        if self.poll() is None:
            assert self._descriptor is not None
            signal.pidfd_send_signal(self._descriptor, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def __del__(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)


def _ask(address: str, request: Mapping[str, Any]) -> int:
    """Send a request to the warm process and return the number of the new one.

    Raises
    ------
    RuntimeError
        If the warm process does not answer.
    """
    deadline = time.monotonic() + _LISTEN_SECONDS
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_STARTUP_SECONDS)
        while True:
            try:
                connection.connect(address)
                break
            except (FileNotFoundError, ConnectionRefusedError) as error:
                # The process may not have come as far as to listen.
                if time.monotonic() > deadline or not Path(address).parent.is_dir():
                    raise RuntimeError(
                        "the warm process is gone; --cold does without one"
                    ) from error
                time.sleep(0.02)
        with connection.makefile("rw", encoding="utf-8") as stream:
            stream.write(json.dumps(request) + "\n")
            stream.flush()
            answer = stream.readline()
    if not answer:
        raise RuntimeError("the warm process ended; --cold does without one")
    return int(answer)
