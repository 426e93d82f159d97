"""Measure how far claims move between two processors: two ledgers in, one file out.

Build the book twice with the same code, the second time with other instructions, say
ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2, and give both `ledger.json`.
"""

import argparse
import json
from pathlib import Path

from spectral_book.claims.rounding import spreads_file
from spectral_book.files import write_atomic

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("ledgers", nargs=2, type=Path, help="two files ledger.json")
parser.add_argument("--names", nargs=2, required=True, help="what they ran on")
parser.add_argument("--profile", default="quick")
given = parser.parse_args()
one, other = (json.loads(path.read_text("utf-8")) for path in given.ledgers)
root = Path(__file__).resolve().parents[1]
target = root / "results" / "rounding" / f"{given.profile}.json"
write_atomic(target, spreads_file(one, other, tuple(given.names)))
print(f"Written: {target}")
