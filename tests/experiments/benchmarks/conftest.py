"""The benchmarks are scripts beside each other, and import each other by that."""

import sys

from support.paths import ROOT

sys.path.insert(0, str(ROOT / "experiments" / "benchmarks"))
