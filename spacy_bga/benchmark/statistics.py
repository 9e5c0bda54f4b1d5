"""What is told of several rounds: medians, percentiles and paired ratios."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from spacy_bga.benchmark.rounds import Timing

DIGITS = 4  # significant ones: more would pretend to a precision that no clock of a shared machine has

Spread = dict[str, float]
"""A median with the extremes: "median", "min" and "max"."""


def spread(values: Sequence[float]) -> Spread:
    """RETURNS (dict[str, float]): The median of the rounds, with the lowest and the highest one."""
    return {"median": tidy(median(values)), "min": tidy(min(values)), "max": tidy(max(values))}


def paired_ratio(numerators: Sequence[float], denominators: Sequence[float]) -> Spread:
    """Compare two that took turns.

    numerators, denominators (Sequence[float]): One number a round each.
    RETURNS (dict[str, float]): The median of the rounds' own ratios, which what happened to a whole round can't move,
        with the lowest and the highest one.
    """
    return spread([above / below for above, below in zip(numerators, denominators, strict=True)])


def percentile(values: Sequence[float], share: float) -> float:
    """RETURNS (float): The value below which a share (0 to 1) of them lies, interpolated between neighbours."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """RETURNS (float): The slope of the straight line that is nearest to the points, by least squares."""
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    above = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return above / sum((a - mean_x) ** 2 for a in x)


def wall(timings: Sequence[Timing]) -> list[float]:
    """RETURNS (list[float]): The seconds by the clock of each round."""
    return [timing.wall_s for timing in timings]


def cpu(timings: Sequence[Timing]) -> list[float]:
    """RETURNS (list[float]): The seconds of the processor of each round."""
    return [timing.cpu_s for timing in timings]


def processor_share(timings: Sequence[Timing]) -> float:
    """RETURNS (float): How much of the time the work had a processor: 1 on a quiet machine, 2 if it ran two threads."""
    return tidy(median(timing.cpu_s / timing.wall_s for timing in timings))


def compare(timings: dict[str, list[Timing]], *, faster: str, slower: str) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): How many times as fast one is as the other, by the clock, and "cpu", the same by the
    time that they had a processor, which other processes disturb less."""
    return {
        **paired_ratio(wall(timings[slower]), wall(timings[faster])),
        "cpu": paired_ratio(cpu(timings[slower]), cpu(timings[faster]))["median"],
    }


def tidy(value: float) -> float:
    """RETURNS (float): A number with a few significant digits."""
    return float(f"{value:.{DIGITS}g}")
