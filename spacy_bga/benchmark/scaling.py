"""Cost against the length of documents, and against their number."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import cycle, islice
from typing import Any

from spacy_bga.benchmark.rounds import interleave
from spacy_bga.benchmark.setting import OURS, SPACY, Setting
from spacy_bga.benchmark.statistics import paired_ratio, spread, wall
from spacy_bga.benchmark.taggers import load, time_stream
from spacy_bga.benchmark.texts import cut, n_words, read_texts

BATCH = 64


def measure(setting: Mapping[str, Any]) -> dict[str, Any]:
    """Measure what a word of a long document costs, in words of short ones, and a document of a long stream.

    setting (Mapping[str, Any]): What `Setting.to_dict` makes.
    RETURNS (dict[str, Any]): For each pipeline: "length_ratio", cost a word of the long document over that of the same
        words in short ones; "stream_ratio", cost a document of the longest stream over that of the shortest.
    """
    given = Setting.from_dict(setting)
    scale = given.scale
    texts = read_texts(given.texts, scale.texts)
    lengths = {
        "long": cut(texts, scale.long_document, scale.long_document),
        "short": cut(texts, scale.long_document, scale.short_document),
    }
    streams = {number: list(islice(cycle(texts), number)) for number in scale.stream}
    contenders = {}
    for contender in given.contenders:
        if contender.name not in (*OURS, SPACY):
            continue
        tagger = load(contender)
        tasks = {name: partial(time_stream, tagger, parts, BATCH) for name, parts in lengths.items()}
        length = interleave(tasks, scale.repeats)
        ways = {str(number): partial(time_stream, tagger, parts, BATCH) for number, parts in streams.items()}
        stream = {name: wall(timings) for name, timings in interleave(ways, scale.repeats).items()}
        each = {n: [s / n_words(streams[n]) for s in stream[str(n)]] for n in scale.stream}
        contenders[contender.name] = {
            "length_ratio": paired_ratio(wall(length["long"]), wall(length["short"])),
            "stream_ratio": paired_ratio(each[scale.stream[-1]], each[scale.stream[0]]),
            "us_per_word": {str(n): spread([1e6 * s for s in seconds]) for n, seconds in each.items()},
        }
    return {
        "long_document": scale.long_document,
        "short_document": scale.short_document,
        "streams": list(scale.stream),
        "contenders": contenders,
    }
