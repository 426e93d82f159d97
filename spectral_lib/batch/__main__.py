"""The command `spectral-batch` as `python -m spectral_lib.batch`."""

import sys

from spectral_lib.batch.cli import main

if __name__ == "__main__":
    sys.exit(main())
