"""Trainings with one seed: do they write the same files, bit by bit?"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from spacy_bga.errors import BGAError, Errors
from spacy_bga.evaluation.processes import last_lines, run_command
from spacy_bga.reliability.inspection import differences
from spacy_bga.reliability.tiny_project import write_tiny_project

AGAIN = ", once more, with another PYTHONHASHSEED"
TRAININGS: dict[str, tuple[str, str, int]] = {  # module, PYTHONHASHSEED, threads
    "`spacy train`": ("spacy", "0", 1),
    "`spacy_bga train`": ("spacy_bga", "0", 1),
    f"`spacy train`{AGAIN}": ("spacy", "1", 1),
    f"`spacy_bga train`{AGAIN}": ("spacy_bga", "1", 1),
    "`spacy train`, 2 threads": ("spacy", "0", 2),
    f"`spacy train`, 2 threads{AGAIN}": ("spacy", "1", 2),
}
FEW_TRAININGS = tuple(TRAININGS)[:2]


def try_trainings(work: Path, *, steps: int, names: Iterable[str], progress: Callable[[str], None]) -> dict[str, Any]:
    """Train a tiny pipeline on posts and pictures several times, from the same config and seed.

    work (Path): A folder for them. steps (int): Updates of each. names (Iterable[str]): Some of `TRAININGS`.
        progress (Callable): Told what happens.
    RETURNS (dict[str, Any]): "cells": for each training but the first one with so many threads, the files of its
        pipelines that differ from that one's; "between_threads": the files that differ between these first ones, None
        if there is one alone.
    """
    places = write_tiny_project(work / "project")
    settings = {**places, "training.max_steps": steps, "training.eval_frequency": max(1, steps // 2)}
    settings["paths.features"] = ""  # no training finds what another one has computed
    overrides = [part for name, value in settings.items() for part in (f"--{name}", str(value))]
    cells: dict[str, list[str]] = {}
    first: dict[int, Path] = {}  # of each number of threads
    for number, name in enumerate(names):
        module, hash_seed, threads = TRAININGS[name]
        output, log = work / str(number), work / f"{number}.txt"
        command = [sys.executable, "-m", module, "train", str(work / "project" / "config.cfg"), "--output", str(output)]
        variables = {"PYTHONHASHSEED": hash_seed}
        if code := run_command([*command, *overrides], log=log, threads=threads, variables=variables).exit_code:
            raise BGAError(Errors.B754.format(command=f"{module} train", code=code, lines=last_lines(log)))
        if first.setdefault(threads, output) != output:
            cells[name] = differences(first[threads], output)
            progress(f"{name}: {len(cells[name])} files differ")
    return {"cells": cells, "between_threads": differences(*first.values()) if len(first) == 2 else None}
