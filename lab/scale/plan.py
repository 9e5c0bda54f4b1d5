"""The plan to a billion posts: what one core does, measured in processor time, and a schedule simulated from it."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from lab.scale.simulation import Schedule, Simulated, simulate
from spacy_bga.annotation.output import _to_parquet
from spacy_bga.annotation.records import Record
from spacy_bga.annotation.tagger import Tagger

FIGURE = Path("docs/figures/billion.svg")
BATCH = 256


def measure_plan(pipeline: str, texts: Sequence[str], *, records: int, figure: Path = FIGURE) -> dict[str, Any]:
    """Measure a core, and simulate a billion posts on 1,000.

    pipeline (str): The pipeline. texts (Sequence[str]): Repeated to so many `records`. figure (Path): The picture.
    RETURNS (dict[str, Any]): "figures" and "details", see `evidence.record`.
    """
    schedule = measure(pipeline, texts, records)
    cases = {
        "as measured": schedule,
        "no failures": replace(schedule, hours_between_failures=1e9),
        "a failure an hour": replace(schedule, hours_between_failures=1.0),
        "parts of 1,000": replace(schedule, part_rows=1000),
        "parts of 100,000": replace(schedule, part_rows=100_000),
    }
    found = {name: simulate(case) for name, case in cases.items()}
    draw(found, figure)
    plan = {
        name: {
            "hours": round(result.seconds / 3600, 2),
            "failures": result.failures,
            "lost_percent": round(100 * result.lost / (result.seconds * schedule.workers), 3),
            "busy_percent": round(100 * result.busy, 1),
        }
        for name, result in found.items()
    }
    return {
        "figures": {"records_per_core_second": round(1 / schedule.seconds_per_record, 1), "billion": plan},
        "details": {"schedule": asdict(schedule), "demand": {k: round(v, 2) for k, v in schedule.demand.items()}},
    }


def measure(pipeline: str, texts: Sequence[str], records: int) -> Schedule:
    """RETURNS (Schedule): With what a core takes, in seconds of its own time."""
    before = _seconds_of_children()
    load = f"from spacy_bga.annotation.tagger import Tagger; Tagger({pipeline!r})"
    subprocess.run([sys.executable, "-c", load], check=True)
    to_load = _seconds_of_children() - before
    tagger = Tagger(pipeline)
    tagger.tag([Record(0, texts[0])])
    loaded = time.process_time()
    posts = [Record(str(number), text) for number, text in enumerate(islice(cycle(texts), records))]
    rows = []
    for start in range(0, records, BATCH):
        batch = posts[start : start + BATCH]
        with tagger.nlp.memory_zone():
            found = tagger.tag(batch)
        rows += [{"id": r.id, "spans": s, "error": None} for r, s in zip(batch, found, strict=True)]
    tagged = time.process_time()
    content = _to_parquet(rows, "string")
    written = time.process_time()
    lines = sum(len(json.dumps({"id": record.id, "text": record.text})) + 1 for record in posts)
    return Schedule(
        seconds_per_record=(tagged - loaded) / records,
        seconds_to_load=to_load,
        seconds_to_write=(written - tagged) * Schedule.part_rows / records,
        bytes_in=lines / records,
        bytes_out=len(content) / records,
    )


def _seconds_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def draw(found: dict[str, Simulated], path: Path) -> None:
    """Draw how many records are done by when. found (dict[str, Simulated]): By name. path (Path): The SVG."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    matplotlib.rcParams["svg.hashsalt"] = "spacy_bga"
    axes = plt.figure(figsize=(7, 3.6)).subplots()
    for name, result in found.items():
        steps = result.done[:: max(1, len(result.done) // 200)] + result.done[-1:]
        shares = [i / 200 for i in range(len(steps) - 1)] + [1.0]
        axes.plot([when / 3600 for when, _ in steps], [min(1.0, share) for share in shares], label=name)
    axes.set(xlabel="hours", ylabel="share of a billion posts", ylim=(0, 1.02), xlim=(0, None))
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    axes.figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
    plt.close()
