"""A fresh process of the benchmark: see `fresh.call`."""

import sys
from pathlib import Path

from spacy_bga.benchmark.fresh import answer

if __name__ == "__main__":
    answer(Path(sys.argv[1]), Path(sys.argv[2]))
