"""Run a command in a process of its own, and measure the time it takes."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Usage:
    """How a command went.

    exit_code (int): 0 if it went well. wall_s (float): Seconds by the clock.
    cpu_s (float | None): Seconds of CPU time of the process and its own ones; None where it can't be had (Windows).
    """

    exit_code: int
    wall_s: float
    cpu_s: float | None


def run_command(
    command: Sequence[str],
    *,
    log: Path | None = None,
    threads: int | None = None,
    variables: Mapping[str, str] | None = None,
) -> Usage:
    """Run a command and wait for it.

    command (Sequence[str]): The program and its arguments.
    log (Path | None): A file for all its output, appended to; None: the console.
    threads (int | None): How many threads its numerics may use; None: as many as they like.
    variables (Mapping[str, str] | None): More of its environment.
    RETURNS (Usage): Its exit code and its time.
    """
    environment = dict(os.environ)
    environment.pop("SPACY_CONFIG_OVERRIDES", None)  # what a run's config is, its plan says
    environment["PYTHONUNBUFFERED"] = "1"  # or a killed process takes the end of its log along
    if threads is not None:
        environment |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    environment |= variables or {}
    started, before = time.perf_counter(), _children_cpu()
    if log is None:
        done = subprocess.run(command, env=environment, check=False)
    else:
        with log.open("a", encoding="utf8") as output:
            done = subprocess.run(command, env=environment, stdout=output, stderr=subprocess.STDOUT, check=False)
    after = _children_cpu()
    cpu = None if before is None or after is None else round(after - before, 1)
    return Usage(done.returncode, round(time.perf_counter() - started, 1), cpu)


def last_lines(log: Path, number: int = 15) -> str:
    """RETURNS (str): The end of a log."""
    if not log.is_file():
        return ""
    lines = log.read_text(encoding="utf8", errors="replace").splitlines()
    return "\n".join([line for line in lines if line.strip()][-number:])


def _children_cpu() -> float | None:
    try:
        import resource
    except ImportError:
        return None
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
