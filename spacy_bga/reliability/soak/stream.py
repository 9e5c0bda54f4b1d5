"""One process tags a stream of posts for a long time, and watches its memory."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from spacy_bga.benchmark.memory import resident_megabytes
from spacy_bga.benchmark.statistics import slope
from spacy_bga.reliability.fresh import call_fresh
from spacy_bga.reliability.soak.memory import COLUMNS, sample, trim
from spacy_bga.reliability.soak.posts import posts
from spacy_bga.reliability.subject import Answer, Subject, entities_of, tag, with_odd_ones

PIPED, ONE_BY_ONE = 240, 16  # posts of a memory zone
BATCH = 64
SAMPLES = 60
WARM_UP = 0.1  # of the time: by then everything has been used once
PROBES = 20  # texts whose entities have to stay the same


def run_soak(subject: Subject, *, minutes: float, share: float = 1.0, seed: int = 0) -> dict[str, Any]:
    """Let a fresh process tag a stream.

    subject (Subject): The pipeline, and the texts that posts are made of. minutes (float): How long.
    share, seed: See `soak`.
    RETURNS (dict[str, Any]): "figures" and "details", see `evidence.record`.
    """
    found = call_fresh(soak, subject.pipeline, subject.texts, 60 * minutes, share, seed)
    return {
        "figures": {
            "soak_hours": round(found["seconds"] / 3600, 3),
            "soak_documents": found["documents"],
            "soak_changed_answers": found["changed_answers"],
            "rss_growth_mb": found["growth"]["rss_mb"],
        },
        "details": {"seed": seed, "share": share, **found},
    }


def soak(pipeline: Path, texts: Sequence[str], seconds: float, share: float, seed: int) -> dict[str, Any]:
    """Tag posts in memory zones, by `nlp.pipe` and by `nlp`, for a while. To be called in a fresh process.

    pipeline (Path): The pipeline's folder. texts (Sequence[str]): What posts are made of.
    seconds (float): How long. share (float): How much of one processor's time to use, above 0 and up to 1.
    seed (int): Draws the posts.
    RETURNS (dict[str, Any]): What `summarize` tells of the samples, and "zones", "entities", "changed_answers": how
        often one of the same few texts, tagged again at each sample, had other entities than at first.
    """
    import spacy
    import torch

    torch.set_num_threads(1)
    nlp = spacy.load(pipeline)
    probes = with_odd_ones(list(texts[:PROBES]))
    stream = posts(texts, seed)
    with nlp.memory_zone():
        expected = tag(nlp, probes)
    rows = [sample(nlp, 0, 0)]
    started = time.monotonic()
    zones = entities = changed = 0
    busy = 0.0
    while (passed := time.monotonic() - started) < seconds:
        before = time.process_time()
        with nlp.memory_zone():
            entities += _tag_zone(nlp, stream)
        spent = time.process_time() - before
        zones, busy = zones + 1, busy + spent
        if passed >= len(rows) * seconds / SAMPLES:
            changed += _count_changed(nlp, probes, expected)
            rows.append(sample(nlp, passed, zones * (PIPED + ONE_BY_ONE)))
            print(", ".join(f"{name} {value}" for name, value in zip(COLUMNS, rows[-1], strict=True)), file=sys.stderr)
        time.sleep(spent * (1 / share - 1))
    changed += _count_changed(nlp, probes, expected)
    rows.append(sample(nlp, time.monotonic() - started, zones * (PIPED + ONE_BY_ONE)))
    told = summarize(rows, busy)
    if trim():
        told["rss_mb_after_malloc_trim"] = round(resident_megabytes(), 2)
    return told | {"zones": zones, "entities": entities, "changed_answers": changed}


def _tag_zone(nlp: Any, stream: Iterator[str]) -> int:
    """RETURNS (int): How many entities were found in the next posts."""
    found = sum(len(entities_of(doc)) for doc in nlp.pipe(islice(stream, PIPED), batch_size=BATCH))
    return found + sum(len(entities_of(nlp(text))) for text in islice(stream, ONE_BY_ONE))


def _count_changed(nlp: Any, texts: Sequence[str], expected: Answer) -> int:
    """RETURNS (int): How many texts have other entities than expected."""
    with nlp.memory_zone():
        return sum(found != answer for found, answer in zip(tag(nlp, texts), expected, strict=True))


def summarize(rows: Sequence[Sequence[Any]], busy: float) -> dict[str, Any]:
    """Tell what grew after the warm-up.

    rows (Sequence[Sequence[Any]]): Samples, in the form of `COLUMNS`. busy (float): Seconds of the processor.
    RETURNS (dict[str, Any]): "seconds", "documents", "documents_per_cpu_second"; from the end of the warm-up to the
        end, the "growth" of each column, and "rss_mb_per_hour", the slope; the "samples" and their "columns".
    """
    seconds, documents = rows[-1][:2]
    late = [row for row in rows if row[0] >= WARM_UP * seconds]
    growth = {
        name: None if first is None or last is None else round(last - first, 2)
        for name, first, last in zip(COLUMNS, late[0], late[-1], strict=True)
    }
    times, resident = [row[0] / 3600 for row in late], [row[2] for row in late]
    return {
        "seconds": seconds,
        "documents": documents,
        "documents_per_cpu_second": round(documents / busy, 1) if busy else None,
        "growth": growth,
        "rss_mb_per_hour": round(slope(times, resident), 2) if len(late) > 1 else None,
        "columns": list(COLUMNS),
        "samples": [list(row) for row in rows],
    }
