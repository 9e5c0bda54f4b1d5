"""`python -m lab.scale SECTION PIPELINE TEXTS`."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from lab.scale.annotation import measure_annotation
from lab.scale.page import render
from lab.scale.plan import measure_plan
from lab.scale.serving import measure_serving
from spacy_bga.benchmark.texts import read_texts
from spacy_bga.evaluation.provenance import command_line
from spacy_bga.evaluation.records import read_json, write_text
from spacy_bga.reliability.evidence import origin, record

EVIDENCE = Path("docs/evidence/scale.json")
PAGE = Path("docs/scale.md")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("section", choices=["annotate", "serve", "plan", "page"])
    parser.add_argument("pipeline", nargs="?")
    parser.add_argument("texts", type=Path, nargs="?")
    parser.add_argument("--records", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--engine", default="ray", choices=["local", "ray"])
    parser.add_argument("--seconds", type=int, default=15, help="of each load")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--output", type=Path, default=EVIDENCE)
    chosen = parser.parse_args()
    if chosen.section == "page":
        write_text(PAGE, render(read_json(chosen.output) or {}))
        return
    texts = [str(text) for text in read_texts(chosen.texts)]
    source = origin(command_line(["python", "-m", "lab.scale", *sys.argv[1:]]))
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(dir=".") as work:
        if chosen.section == "annotate":
            found = measure_annotation(
                chosen.pipeline, texts, Path(work), records=chosen.records, kills=chosen.kills, engine=chosen.engine
            )
        elif chosen.section == "plan":
            found = measure_plan(chosen.pipeline, texts, records=chosen.records)
        else:
            found = measure_serving(chosen.pipeline, texts, seconds=chosen.seconds, clients=chosen.clients)
    found["details"]["load_average"] = [round(load, 1), round(os.getloadavg()[0], 1)]
    after = record(chosen.output, chosen.section, found["figures"], found["details"], source)
    if chosen.output == EVIDENCE:
        write_text(PAGE, render(after))


if __name__ == "__main__":
    main()
