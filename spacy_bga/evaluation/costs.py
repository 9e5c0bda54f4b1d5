"""What a run costs: its own CPU time, and that of the run that it starts from."""

from __future__ import annotations

from collections.abc import Iterable

from spacy_bga.evaluation.records import Record


def base_cpu(record: Record, records: Iterable[Record]) -> float | None:
    """Sum up the training that had to come before a run.

    record (dict): The run. records (Iterable[dict]): All of its plan.
    RETURNS (float | None): CPU seconds; 0 for a run that starts from pretrained encoders, None if they aren't known.
    """
    start = record.get("starts_from")
    if not start:
        return 0.0
    records = list(records)
    bases = [other for other in records if (other["run"], other["seed"]) == (start["run"], start["seed"])]
    return total_cpu(bases[0], records) if bases else None


def total_cpu(record: Record, records: Iterable[Record]) -> float | None:
    """RETURNS (float | None): The CPU seconds of a run and of all that had to come before; None if not known."""
    before, own = base_cpu(record, records), record.get("cpu_s")
    return None if before is None or own is None else round(before + own, 1)
