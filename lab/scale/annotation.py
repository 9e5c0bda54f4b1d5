"""Annotation: the rate of one worker and of two, and a job that is killed again and again."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import psutil

IDLE = 0.5  # of the load average: beside other work, clocks say nothing of two workers
PARTS = 20  # at least, so that kills have something to hit


def measure_annotation(
    pipeline: str, texts: Sequence[str], work: Path, *, records: int, kills: int, engine: str
) -> dict[str, Any]:
    """Annotate by one worker, by two, and by two that are killed: every other time the whole job, else one worker.

    pipeline (str): The pipeline. texts (Sequence[str]): Repeated to so many `records`. work (Path): A folder for it.
    kills (int): How many. engine (str): Of two workers: "local" or "ray".
    RETURNS (dict[str, Any]): "figures" and "details", see `evidence.record`.
    """
    source = work / "posts.jsonl"
    with source.open("w", encoding="utf8") as file:
        for number, text in enumerate(islice(cycle(texts), records)):
            file.write(json.dumps({"id": f"{number:09}", "text": text}) + "\n")
    rows = min(10_000, max(1, records // PARTS))
    command = [sys.executable, "-m", "spacy_bga", "annotate", pipeline, str(source)]
    options = ["--format", "jsonl", "--part-rows", str(rows)]
    two = ["--workers", "2", "--engine", engine]
    is_idle = os.getloadavg()[0] < IDLE
    seconds = {}
    for name, workers in (("one", ["--workers", "1"]), ("two", two)):
        subprocess.run([*command, str(work / name), *options, *workers], check=True)
        seconds[name] = _seconds_between_parts(work / name)
        print(f"{name}: {records / seconds[name]:.1f} records/s", flush=True)
    killed = _kill_and_resume([*command, str(work / "killed"), *options, *two], work / "killed", kills)
    ids = Counter(json.loads(line)["id"] for path in _parts(work / "killed") for line in path.open(encoding="utf8"))
    same = _contents(work / "one") == _contents(work / "two") == _contents(work / "killed")
    return {
        "figures": {
            "records": records,
            "ids_missing": records - len(ids),
            "ids_repeated": sum(number - 1 for number in ids.values()),
            "kills": len(killed),
            "identical": same,
            "speedup_2_workers": round(seconds["one"] / seconds["two"], 2) if is_idle else None,
        },
        "details": {
            "engine": engine,
            "part_rows": rows,
            "records_per_second": {name: round(records / s, 1) for name, s in seconds.items()},
            "killed": killed,
        },
    }


def _kill_and_resume(command: list[str], output: Path, kills: int) -> list[str]:
    """RETURNS (list[str]): What was killed, each time, until the job came to its end."""
    rng, killed = random.Random(0), list[str]()
    while True:
        before = len(_parts(output))
        process = subprocess.Popen(command)
        while len(killed) < kills and process.poll() is None:
            time.sleep(0.02)
            if len(_parts(output)) > before:  # it is at work
                time.sleep(rng.uniform(0, 2))
                killed += _kill(process, worker=len(killed) % 2 == 1)
                before = len(_parts(output))
        if process.wait() == 0:
            return killed


def _kill(process: subprocess.Popen[bytes], *, worker: bool) -> list[str]:
    try:
        below = psutil.Process(process.pid).children(recursive=True)
        workers = [p for p in below if "MapWorker" in "".join(p.cmdline()) or "spawn_main" in "".join(p.cmdline())]
    except psutil.Error:  # it has just ended
        return []
    if worker and workers:
        workers[0].kill()
        return ["worker"]
    process.kill()
    process.wait()
    psutil.wait_procs(below, timeout=60)  # Ray's own processes end by themselves
    return ["job"]


def _parts(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/part-*.jsonl")) if folder.is_dir() else []


def _contents(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in _parts(folder)]


def _seconds_between_parts(folder: Path) -> float:
    """RETURNS (float): The time that all parts would take at the rate from the first to the last: without starting."""
    times = sorted(path.stat().st_mtime for path in _parts(folder))
    return (times[-1] - times[0]) * len(times) / (len(times) - 1)
