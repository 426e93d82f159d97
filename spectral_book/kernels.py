"""Kernel processes for the chapters: this interpreter, ended on every way out."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from nbclient import NotebookClient
from nbformat import NotebookNode


def kernel_manager(folder: Path) -> AsyncKernelManager:
    """Return a manager for one kernel of this interpreter.

    Kernels talk over Unix sockets in a private folder where the system has them:
    TCP ports can be taken by another process between their choice and their use.
    """
    # A socket's path may have about a hundred bytes.
    is_short = len(os.fsencode(folder)) < 80
    transport = "ipc" if sys.platform != "win32" and is_short else "tcp"
    return AsyncKernelManager(
        kernel_name="python3",
        kernel_spec_manager=_ThisPython(),
        transport=transport,
        connection_file=str(folder / "kernel.json"),
    )


class _ThisPython(KernelSpecManager):
    """Kernel specifications with one entry: the interpreter of the build.

    A `python3` kernel that the user has installed elsewhere would come first in
    Jupyter's search and lack the book's packages.
    """

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return KernelSpec(
            argv=[
                sys.executable,
                *("-m", "ipykernel_launcher", "-f", "{connection_file}"),
            ],
            display_name="Python 3",
            language="python",
        )


class ChapterClient(NotebookClient):
    """A notebook client that notes the running cell and always ends its kernel."""

    current_cell: int | None = None

    def __init__(
        self, notebook: NotebookNode, kernel: AsyncKernelManager, **kw: Any
    ) -> None:
        super().__init__(notebook, km=kernel, **kw)
        self.kernel = kernel

    @asynccontextmanager
    async def async_setup_kernel(self, **kwargs: Any) -> AsyncGenerator[None, None]:
        """Start a kernel, and end it on every way out, Ctrl-C included.

        nbclient's own version installs handlers for Ctrl-C in the event loop,
        where a second notebook's handler would replace the first one's.
        """
        finished = False
        try:
            await self.async_start_new_kernel(**kwargs)
            await self.async_start_new_kernel_client()
            yield
            finished = True
        finally:
            try:
                # A cell past its time may be deep in native code and deaf to
                # requests, so only a chapter that went well may end by itself.
                await self.kernel.shutdown_kernel(now=not finished)
            finally:
                if self.kc is not None:
                    self.kc.stop_channels()

    async def async_execute_cell(
        self, cell: NotebookNode, cell_index: int, *args: Any, **kwargs: Any
    ) -> NotebookNode:
        """Execute one cell and remember which one it is."""
        self.current_cell = cell_index
        result = await super().async_execute_cell(cell, cell_index, *args, **kwargs)
        self.current_cell = None
        return result
