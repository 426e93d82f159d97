"""Measure how far claims move between two processors: two ledgers in, one file out.

Build the book twice with the same code, the second time with other instructions, say
ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 MKL_CBWR=COMPATIBLE (without the last,
MKL's products rounded alike on an AMD processor), and give both `ledger.json`.
The file keeps the larger move where a claim was measured before: take a claim out of
it first where its science changed.
"""

import argparse
import json
from pathlib import Path

from spectral_book.claims.rounding import read_measured, spreads_file
from spectral_book.files import write_atomic

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("ledgers", nargs=2, type=Path, help="two files ledger.json")
parser.add_argument("--names", nargs=2, required=True, help="what they ran on")
parser.add_argument("--profile", default="quick")
given = parser.parse_args()
one, other = (json.loads(path.read_text("utf-8")) for path in given.ledgers)
results = Path(__file__).resolve().parents[1] / "results"
target = results / "rounding" / f"{given.profile}.json"
before = read_measured(results, given.profile)
write_atomic(target, spreads_file(one, other, tuple(given.names), before))
print(f"Written: {target}")
