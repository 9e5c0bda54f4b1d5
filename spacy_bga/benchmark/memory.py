"""Memory: the peak of loading and tagging, how it grows with a stream, and what pipelines weigh on the disk."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from spacy_bga.benchmark import fresh
from spacy_bga.benchmark.setting import BGA, TEXT_ONLY, Contender, Setting
from spacy_bga.benchmark.statistics import slope, tidy
from spacy_bga.benchmark.taggers import load
from spacy_bga.benchmark.texts import endless, read_texts

BATCH = 64
ZONE = 1000  # documents that one memory zone lasts for
SAMPLES = 20
MEGABYTE = 1_000_000


def measure(setting: Mapping[str, Any]) -> dict[str, Any]:
    """Measure the peak of each contender in fresh processes, and the size of its folder.

    setting (Mapping[str, Any]): What `Setting.to_dict` makes.
    RETURNS (dict[str, Any]): For each: "peak_mb", "loaded_mb" and "disk_mb", in millions of bytes.
    """
    given = Setting.from_dict(setting)
    found = {}
    for contender in given.contenders:
        arguments = {"contender": _as_json(contender), "texts": str(given.texts), "limit": given.scale.texts}
        runs = [
            fresh.call("memory:peak", threads=given.threads, **arguments) for _ in range(given.scale.process_repeats)
        ]
        found[contender.name] = {key: tidy(median(run[key] for run in runs)) for key in runs[0]}
        found[contender.name]["disk_mb"] = folder_megabytes(contender.folder)
    return {"batch_size": BATCH, "contenders": found}


def measure_growth(setting: Mapping[str, Any]) -> dict[str, Any]:
    """Measure how the memory of a process grows over a long stream, each text of which has a word never seen before.

    setting (Mapping[str, Any]): What `Setting.to_dict` makes.
    RETURNS (dict[str, Any]): "memory_zone" and "plain": the growth with spaCy's `nlp.memory_zone`, and without, over a
        tenth of the documents: there the vocabulary keeps all words.
    """
    given = Setting.from_dict(setting)
    by_name = {contender.name: contender for contender in given.ours()}
    contender = by_name.get(BGA) or by_name.get(TEXT_ONLY) or next(iter(by_name.values()))
    documents = given.scale.growth_documents
    arguments = {"contender": _as_json(contender), "texts": str(given.texts)}
    ways = {
        "memory_zone": {"documents": documents, "zone": True},
        "plain": {"documents": documents // 10, "zone": False},
    }
    found = {
        name: fresh.call("memory:grow", threads=given.threads, **arguments, **way) | {"documents": way["documents"]}
        for name, way in ways.items()
    }
    return {"contender": contender.name, "documents": documents, **found}


def peak(contender: Mapping[str, Any], texts: str, limit: int | None) -> dict[str, float]:
    """RETURNS (dict[str, float]): The memory of this process after loading a contender, and its peak after tagging."""
    chosen = read_texts(Path(texts), limit)
    tagger = load(_from_json(contender))
    loaded = resident_megabytes()
    tagger.stream(tagger.prepare(chosen), BATCH)
    return {"loaded_mb": loaded, "peak_mb": peak_megabytes()}


def grow(contender: Mapping[str, Any], texts: str, documents: int, zone: bool) -> dict[str, Any]:
    """Tag a long stream, and look at the memory now and then.

    RETURNS (dict[str, Any]): "rss_mb" at even distances; "growth_mb", from a tenth of the stream, when everything has
        been used once, to its end; and "mb_per_100k_docs", the slope over that part.
    """
    tagger: Any = load(_from_json(contender))
    stream = endless(read_texts(Path(texts)))
    step = min(ZONE, max(1, documents // SAMPLES))
    seen, resident = [0], [resident_megabytes()]
    while seen[-1] < documents:
        with tagger.nlp.memory_zone() if zone else nullcontext():
            tagger.stream(tagger.prepare(list(islice(stream, step))), BATCH)
        seen.append(seen[-1] + step)
        resident.append(resident_megabytes())
    return tell_growth(seen, resident)


def tell_growth(seen: Sequence[int], resident: Sequence[float]) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): See `grow`."""
    start = next(i for i, number in enumerate(seen) if number >= seen[-1] / 10)
    kept = range(0, len(seen), max(1, len(seen) // SAMPLES))
    return {
        "growth_mb": tidy(resident[-1] - resident[start]),
        "mb_per_100k_docs": tidy(100_000 * slope(seen[start:], resident[start:])),
        "rss_mb": [[seen[i], tidy(resident[i])] for i in kept],
    }


def resident_megabytes() -> float:
    """RETURNS (float): The memory of this process."""
    import psutil

    return psutil.Process().memory_info().rss / MEGABYTE


def peak_megabytes() -> float:
    """RETURNS (float): The most memory that this process has had."""
    status = Path("/proc/self/status")
    if status.is_file():  # what `resource` says is inherited from the process that started this one
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) * 1024 / MEGABYTE
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        return psutil.Process().memory_info().peak_wset / MEGABYTE
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / MEGABYTE


def folder_megabytes(folder: Path) -> float:
    """RETURNS (float): The size of all files of a folder."""
    return tidy(sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / MEGABYTE)


def _as_json(contender: Contender) -> dict[str, str]:
    return {"name": contender.name, "kind": contender.kind, "folder": str(contender.folder)}


def _from_json(data: Mapping[str, Any]) -> Contender:
    return Contender(data["name"], data["kind"], Path(data["folder"]))
