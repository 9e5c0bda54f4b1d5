"""Interleaved rounds: what is compared is measured in turns, so that a slow minute is slow for everybody."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Timing:
    """How long some work took.

    wall_s (float): Seconds by the clock. cpu_s (float): Seconds of the processor, all threads of the process together:
        much less than by the clock, and other processes were in the way; more, and there were several threads.
    """

    wall_s: float
    cpu_s: float


def interleave(tasks: Mapping[str, Callable[[], T]], repeats: int, *, warmup: int = 1) -> dict[str, list[T]]:
    """Run tasks in turns. Every other round goes backwards, so that none always comes first or after the same one.

    tasks (Mapping[str, Callable[[], T]]): What to run, by name; each returns what it measured.
    repeats (int): Rounds that count. warmup (int): Rounds before these, which don't.
    RETURNS (dict[str, list[T]]): What each task returned, by round.
    """
    found: dict[str, list[T]] = {name: [] for name in tasks}
    for number in range(warmup + repeats):
        order = list(tasks) if number % 2 == 0 else list(tasks)[::-1]
        for name in order:
            measured = tasks[name]()
            if number >= warmup:
                found[name].append(measured)
    return found


def timed(work: Callable[[], Any]) -> Timing:
    """RETURNS (Timing): How long the work took. The garbage collector does what it does outside of benchmarks."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Timing(time.perf_counter() - wall, time.process_time() - cpu)
