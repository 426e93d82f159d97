"""Training loops, probes and statistics behind the Spectral Bias Book."""

from importlib.metadata import PackageNotFoundError, version

__all__ = ["__version__"]

try:
    __version__ = version("spectral-bias-book")
except PackageNotFoundError:  # a folder on the path that nobody installed
    __version__ = "unknown"
