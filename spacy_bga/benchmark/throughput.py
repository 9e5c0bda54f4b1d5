"""Words a second of `nlp.pipe`, and how much of what the processor can do that is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from statistics import median
from typing import Any

from spacy_bga.benchmark.arithmetic import encoder_flops, find_config, pipeline_flops, window_lengths
from spacy_bga.benchmark.gemm import Peak, peak_meter
from spacy_bga.benchmark.rounds import Timing, interleave
from spacy_bga.benchmark.setting import OURS, Contender, Setting
from spacy_bga.benchmark.statistics import compare, cpu, processor_share, spread, tidy, wall
from spacy_bga.benchmark.taggers import Tagger, load, time_stream
from spacy_bga.benchmark.texts import Text, n_words, read_texts
from spacy_bga.benchmark.worker import workers

WINDOW, OVERLAP = 128, 32  # of peers; ours say it themselves


def measure(setting: Mapping[str, Any]) -> dict[str, Any]:
    """Measure the throughput of all contenders at each batch size, in turns with the peak of matrix products.

    setting (Mapping[str, Any]): What `Setting.to_dict` makes.
    RETURNS (dict[str, Any]): By batch size: each contender's speed, its share of the peak, and its ratios to others.
    """
    given = Setting.from_dict(setting)
    texts = read_texts(given.texts, given.scale.texts)
    flops = {contender.name: _flops(contender, given, texts) for contender in given.contenders}
    encoder = json.loads((given.encoder / "config.json").read_text(encoding="utf8"))
    peak = peak_meter(encoder)
    sizes = []
    with workers({contender.name: partial(load, contender) for contender in given.contenders}) as taggers:
        entities = {name: tagger.call(_count_entities, texts) for name, tagger in taggers.items()}
        for size in given.scale.batch_sizes:
            tasks: dict[str, Any] = {
                name: partial(tagger.call, time_stream, texts, size) for name, tagger in taggers.items()
            }
            found = interleave(tasks | {"": peak}, given.scale.repeats)
            peaks = found.pop("")
            sizes.append({"batch_size": size, **_tell(found, peaks, flops, n_words(texts))})
    lengths = window_lengths(texts, given.encoder, window=WINDOW, overlap=OVERLAP)
    return {
        "documents": len(texts),
        "words": n_words(texts),
        "wordpieces": sum(lengths),
        "entities": {"gold": sum(len(text.entities) for text in texts), **entities},
        "mflops_per_word": {name: tidy(number / n_words(texts) / 1e6) for name, number in flops.items()},
        "by_batch_size": sizes,
    }


def _flops(contender: Contender, setting: Setting, texts: Sequence[Text]) -> int:
    """RETURNS (int): The arithmetic that the texts need; of a peer, its encoder's alone."""
    config = find_config(contender.folder) if contender.name in OURS else None
    if config is not None:
        window, overlap, unit = config.window, config.overlap, config.wordpieces_of
        lengths = window_lengths(texts, setting.encoder, window=window, overlap=overlap, wordpieces_of=unit)
        return pipeline_flops(config, lengths, n_words(texts))
    text = json.loads((setting.encoder / "config.json").read_text(encoding="utf8"))
    return sum(encoder_flops(text, n) for n in window_lengths(texts, setting.encoder, window=WINDOW, overlap=OVERLAP))


def _tell(
    found: dict[str, list[Timing]], peaks: Sequence[Peak], flops: Mapping[str, int], words: int
) -> dict[str, Any]:
    contenders = {}
    best = median(peak.cpu for peak in peaks)
    for name, timings in found.items():
        shares = [flops[name] / s / 1e9 / peak.wall for s, peak in zip(wall(timings), peaks, strict=True)]
        contenders[name] = {
            "words_per_s": spread([words / s for s in wall(timings)]),
            "words_per_cpu_s": tidy(words / median(cpu(timings))),
            "gemm_share": spread(shares),
            "gemm_share_cpu": tidy(flops[name] / median(cpu(timings)) / 1e9 / best),
            "processor_share": processor_share(timings),
        }
    ratios = {
        f"{ours}/{other}": compare(found, faster=ours, slower=other)
        for ours in found
        if ours in OURS
        for other in found
        if other != ours
    }
    return {
        "contenders": contenders,
        "gemm_gflops": spread([peak.wall for peak in peaks]),
        "gemm_gflops_cpu": tidy(best),
        "ratios": ratios,
    }


def _count_entities(tagger: Tagger, texts: Sequence[Text]) -> int | None:
    """How many entities a tagger finds: one that finds none would have an easier job."""
    documents = tagger.prepare(texts)
    tagger.stream(documents, 64)
    return tagger.count(documents)
