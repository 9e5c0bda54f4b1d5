"""What it costs to tell how sure each entity is: `confidence = true`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from spacy_bga.benchmark.latency import sample
from spacy_bga.benchmark.rounds import Timing, interleave, timed
from spacy_bga.benchmark.setting import Setting
from spacy_bga.benchmark.statistics import cpu, paired_ratio, wall
from spacy_bga.benchmark.taggers import SpacyTagger, load, time_stream
from spacy_bga.benchmark.texts import Text, read_texts
from spacy_bga.pipeline.confidence import ask_for_confidence

BATCH = 64


def measure(setting: Mapping[str, Any]) -> dict[str, Any]:
    """Measure our pipelines with `confidence` and without, in turns.

    setting (Mapping[str, Any]): What `Setting.to_dict` makes.
    RETURNS (dict[str, Any]): For each pipeline: "one_ratio", the time of texts one by one with it over that without;
        "batch_ratio", the same of batches; each with "cpu", the same by the time that they had a processor.
    """
    given = Setting.from_dict(setting)
    texts = read_texts(given.texts, given.scale.texts)
    few = sample(texts, given.scale.latency_texts)
    contenders = {}
    for contender in given.ours():
        tagger = load(contender)
        assert isinstance(tagger, SpacyTagger)
        contenders[contender.name] = {
            "one_ratio": _ratio(tagger, partial(_one_by_one, tagger, few), given.scale.repeats),
            "batch_ratio": _ratio(tagger, partial(time_stream, tagger, texts, BATCH), given.scale.repeats),
        }
    return {"documents": len(texts), "single": len(few), "batch_size": BATCH, "contenders": contenders}


def _one_by_one(tagger: SpacyTagger, texts: Sequence[Text]) -> Timing:
    return timed(lambda: [tagger.tag(str(text)) for text in texts])


def _ratio(tagger: SpacyTagger, work: Callable[[], Timing], repeats: int) -> dict[str, float]:
    def run(confidence: bool) -> Timing:
        ask_for_confidence(tagger.nlp, confidence)
        return work()

    found = interleave({"with": partial(run, True), "without": partial(run, False)}, repeats)
    ratio = paired_ratio(wall(found["with"]), wall(found["without"]))
    return {**ratio, "cpu": paired_ratio(cpu(found["with"]), cpu(found["without"]))["median"]}
