"""The command `spectral-batch` as `python -m spectral_book.sweeps`."""

import sys

from spectral_book.sweeps.cli import main

if __name__ == "__main__":
    sys.exit(main())
