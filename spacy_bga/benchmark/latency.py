"""How long one text takes, from the string to the entities."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from spacy_bga.benchmark.rounds import Timing, interleave
from spacy_bga.benchmark.setting import OURS, Setting
from spacy_bga.benchmark.statistics import paired_ratio, percentile, processor_share, spread
from spacy_bga.benchmark.taggers import Tagger, load
from spacy_bga.benchmark.texts import read_texts
from spacy_bga.benchmark.worker import workers

PERCENTILES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}


def measure(setting: Mapping[str, Any]) -> dict[str, Any]:
    """Measure the latency of all contenders on texts that come one by one.

    setting (Mapping[str, Any]): What `Setting.to_dict` makes.
    RETURNS (dict[str, Any]): Percentiles of each contender, and the ratios of the medians.
    """
    given = Setting.from_dict(setting)
    texts = sample(read_texts(given.texts, given.scale.texts), given.scale.latency_texts)
    with workers({contender.name: partial(load, contender) for contender in given.contenders}) as taggers:
        strings = [str(text) for text in texts]
        tasks = {name: partial(tagger.call, _tag_all, strings) for name, tagger in taggers.items()}
        found = interleave(tasks, given.scale.repeats)
    contenders: dict[str, Any] = {}
    medians: dict[str, list[float]] = {}
    for name, rounds in found.items():
        medians[name] = [1000 * percentile(seconds, 0.5) for seconds, _ in rounds]
        contenders[name] = {
            key: spread([1000 * percentile(seconds, share) for seconds, _ in rounds])
            for key, share in PERCENTILES.items()
        } | {"processor_share": processor_share([timing for _, timing in rounds])}
    ratios = {
        f"{ours}/{other}": paired_ratio(medians[other], medians[ours])
        for ours in medians
        if ours in OURS
        for other in medians
        if other != ours
    }
    return {"documents": len(texts), "contenders": contenders, "ratios": ratios}


def sample(items: Sequence[Any], number: int) -> list[Any]:
    """RETURNS (list[Any]): So many of them at even distances, all if there are no more."""
    if len(items) <= number:
        return list(items)
    return [items[i * len(items) // number] for i in range(number)]


def _tag_all(tagger: Tagger, texts: Sequence[str]) -> tuple[list[float], Timing]:
    seconds = []
    cpu = time.process_time()
    for text in texts:
        start = time.perf_counter()
        tagger.tag(text)
        seconds.append(time.perf_counter() - start)
    return seconds, Timing(sum(seconds), time.process_time() - cpu)
