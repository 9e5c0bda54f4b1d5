"""Means over the seeds of a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean, stdev
from typing import Any

from spacy_bga.evaluation.records import Record


def by_run(records: Iterable[Record]) -> dict[str, list[Record]]:
    """RETURNS (dict[str, list[dict]]): The records of each run's seeds, in their order."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record["run"], []).append(record)
    return groups


def mean(records: Sequence[Record], *keys: str | int, digits: int = 2) -> float | None:
    """The mean over seeds.

    records (Sequence[dict]): One for each seed. keys (str | int): Where a record has the number: "f1", or "recon",
        "end"; a number for a place in a list. digits (int): Decimals.
    RETURNS (float | None): None if a seed lacks the number: a mean of some would pass for a mean of all.
    """
    values = _values(records, keys)
    return round(fmean(values), digits) if values else None


def spread(records: Sequence[Record], *keys: str | int, digits: int = 2) -> float | None:
    """RETURNS (float | None): The standard deviation over seeds of what `mean` takes; None for less than two."""
    values = _values(records, keys)
    return round(stdev(values), digits) if len(values) > 1 else None


def mean_ends(records: Sequence[Record], term: str) -> dict[str, float | None]:
    """RETURNS (dict[str, float | None]): "start" and "end" of a term of the loss, means over seeds."""
    return {end: mean(records, term, end, digits=4) for end in ("start", "end")}


def look_up(record: Any, *keys: str | int) -> Any:
    """RETURNS (Any): What is at the end of the keys; None if there is nothing on the way."""
    for key in keys:
        if isinstance(key, int):
            record = record[key] if record and key < len(record) else None
        else:
            record = (record or {}).get(key)
    return record


def _values(records: Sequence[Record], keys: Sequence[str | int]) -> list[float]:
    """All of the seeds' numbers, or none."""
    values = [look_up(record, *keys) for record in records]
    return [] if None in values else values
