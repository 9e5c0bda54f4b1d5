"""By how much a run's F1 differs from that of the run it is compared to, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from spacy_bga.evaluation.averages import by_run
from spacy_bga.evaluation.bootstrap import Interval, f1, paired_bootstrap, seed_interval
from spacy_bga.evaluation.records import Record

Pair = tuple[Record, Record]


@dataclass(frozen=True)
class Difference:
    """The F1 of a run minus that of another, in points.

    run, other (str): Their names. seeds (tuple[int, ...]): Those that both have. mean (float): The mean over seeds.
    interval (Interval | None): Of `paired_bootstrap`, over documents and seeds; None without counts of entities.
    over_seeds (Interval | None): Of `seed_interval`; None for a single seed.
    """

    run: str
    other: str
    seeds: tuple[int, ...]
    mean: float
    interval: Interval | None
    over_seeds: Interval | None


def find_differences(records: Iterable[Record]) -> dict[str, Difference]:
    """Compare the runs of a plan that say what they compare to.

    records (Iterable[dict]): The records of the plan.
    RETURNS (dict[str, Difference]): By the name of the run; without those that have no seed in common with the other.
    """
    groups = by_run(records)
    found = {}
    for name, ours in groups.items():
        other = ours[0].get("compare_to", "")
        if pairs := pair_up(ours, groups.get(other, [])):
            found[name] = _compare(name, other, pairs)
    return found


def with_image(record: Record) -> Record:
    """RETURNS (dict): A record, as if its scores with real images were its scores."""
    return record | record["contexts"]["real"]


def image_differences(records: Iterable[Record]) -> list[Difference]:
    """Compare runs that look at images with themselves without, and with those that they say they compare to.

    records (Iterable[dict]): The records of the plan.
    RETURNS (list[Difference]): Of each run that was scored with real images.
    """
    groups = by_run(records)
    found = []
    for name, group in groups.items():
        seeing = [with_image(record) for record in group if "real" in (record.get("contexts") or {})]
        for other in dict.fromkeys((name, group[0].get("compare_to", name))):
            if pairs := pair_up(seeing, groups.get(other, [])):
                found.append(_compare(name, other, pairs))
    return found


def pair_up(ours: Iterable[Record], theirs: Iterable[Record]) -> list[Pair]:
    """RETURNS (list[tuple[dict, dict]]): The records of both with the same seed and scored on the same test file."""
    others = {record["seed"]: record for record in theirs}
    pairs = [(record, others[record["seed"]]) for record in ours if record["seed"] in others]
    return [
        (one, other)
        for one, other in pairs
        if one["f1"] is not None and other["f1"] is not None and _test(one) == _test(other)
    ]


def _compare(run: str, other: str, pairs: list[Pair]) -> Difference:
    seeds = tuple(record["seed"] for record, _ in pairs)
    if not all(record.get("counts") for pair in pairs for record in pair):
        values = [one["f1"] - other["f1"] for one, other in pairs]
        return Difference(run, other, seeds, fmean(values), None, seed_interval(values))
    first, second = ([np.array(pair[side]["counts"]) for pair in pairs] for side in (0, 1))
    values = [f1(one) - f1(other) for one, other in zip(first, second, strict=True)]
    interval = paired_bootstrap(first, second)
    return Difference(run, other, seeds, interval.mean, interval, seed_interval(values))


def _test(record: Record) -> str | None:
    return (record.get("files") or {}).get("test")
