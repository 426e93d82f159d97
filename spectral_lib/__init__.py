"""Training loops, probes and statistics behind the Spectral Bias Book."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("spectral-bias-book")
except PackageNotFoundError:  # a folder on the path that nobody installed
    __version__ = "unknown"
