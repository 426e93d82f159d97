"""The book around the library: claims, chapters, pages and sweeps."""

import sys

from spectral_lib import __version__

__all__ = ["__version__"]

if sys.platform == "win32":
    raise ImportError("spectral_book runs on Linux and macOS; on Windows, inside WSL2.")
