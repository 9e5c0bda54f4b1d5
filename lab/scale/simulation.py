"""The schedule of a large annotation, as a discrete-event simulation: workers take parts, fail and are replaced."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """What a job is made of. The first five are measured, the others assumed.

    seconds_per_record, seconds_to_load, seconds_to_write (float): Of a worker: for a record, until its pipeline is
        there, and for a part. bytes_in, bytes_out (float): Of a record.
    records, part_rows, workers (int): How many.
    hours_between_failures (float): Of one worker, on average. seconds_to_replace (float): Until there is another one.
    spread (float): The standard deviation of the logarithm of workers' speeds.
    parts_per_second (float): What the driver hands out at most.
    """

    seconds_per_record: float
    seconds_to_load: float
    seconds_to_write: float
    bytes_in: float
    bytes_out: float
    records: int = 1_000_000_000
    part_rows: int = 10_000
    workers: int = 1000
    hours_between_failures: float = 24.0
    seconds_to_replace: float = 120.0
    spread: float = 0.1
    parts_per_second: float = 50.0

    @property
    def seconds_per_part(self) -> float:
        """RETURNS (float): Of a worker of the usual speed."""
        return self.part_rows * self.seconds_per_record + self.seconds_to_write

    @property
    def demand(self) -> dict[str, float]:
        """RETURNS (dict[str, float]): What all workers ask for at once: "parts_per_second", "read_mb_per_second" and
        "write_mb_per_second"."""
        parts = self.workers / self.seconds_per_part
        records = parts * self.part_rows / 1e6
        return {
            "parts_per_second": parts,
            "read_mb_per_second": records * self.bytes_in,
            "write_mb_per_second": records * self.bytes_out,
        }


@dataclass
class Simulated:
    """What came of it.

    seconds (float): Until the last part was done. done (list[tuple[float, int]]): When parts were done, and which.
    failures (int): Of workers. lost (float): Seconds of work on parts that were done again.
    busy (float): The share of the workers' time in which they did parts that counted.
    """

    seconds: float
    done: list[tuple[float, int]]
    failures: int
    lost: float
    busy: float


def simulate(schedule: Schedule, *, seed: int = 0) -> Simulated:
    """Let workers do all parts. One that fails loses the part that it is at, which the next free worker does.

    schedule (Schedule): The job. seed (int): Of speeds and failures.
    RETURNS (Simulated): What came of it.
    """
    rng = random.Random(seed)
    parts = list(range(-(-schedule.records // schedule.part_rows) - 1, -1, -1))
    speeds = [rng.lognormvariate(0, schedule.spread) for _ in range(schedule.workers)]
    failure = [_until_failure(schedule, rng) for _ in speeds]
    # Events: when, what a worker is then done with (None: its start), and when it had begun that.
    events = [(schedule.seconds_to_load, worker, -1, 0.0) for worker in range(schedule.workers)]
    heapq.heapify(events)
    done: list[tuple[float, int]] = []
    idle: list[tuple[float, int]] = []
    failures, lost, useful, next_hand_out = 0, 0.0, 0.0, 0.0
    while events:
        now, worker, part, begun = heapq.heappop(events)
        if now >= failure[worker]:
            failures, lost = failures + 1, lost + max(0.0, failure[worker] - begun) * (part >= 0)
            parts += [part] if part >= 0 else []
            back = failure[worker] + schedule.seconds_to_replace + schedule.seconds_to_load
            failure[worker] = back + _until_failure(schedule, rng)
            heapq.heappush(events, (back, worker, -1, back))
            if parts and idle:  # who has nothing to do takes what was lost, as soon as that is seen
                _, other = heapq.heappop(idle)
                heapq.heappush(events, (now, other, -1, now))
            continue
        if part >= 0:
            done.append((now, part))
            useful += now - begun
        if not parts:
            heapq.heappush(idle, (now, worker))
            continue
        next_hand_out = max(now, next_hand_out + 1 / schedule.parts_per_second)
        end = next_hand_out + schedule.seconds_per_part * speeds[worker]
        heapq.heappush(events, (end, worker, parts.pop(), next_hand_out))
    seconds = done[-1][0]
    return Simulated(seconds, done, failures, lost, useful / (seconds * schedule.workers))


def _until_failure(schedule: Schedule, rng: random.Random) -> float:
    return rng.expovariate(1 / (3600 * schedule.hours_between_failures))
