"""What an epoch of the config will take: measured on some batches of it, and multiplied."""

from __future__ import annotations

import heapq
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

from spacy import registry, util
from spacy.language import Language
from spacy.schemas import ConfigSchemaTraining
from spacy.training import Example
from spacy.util import resolve_dot_names
from thinc.api import Config

from spacy_bga.corpus.images import get_images
from spacy_bga.diagnostics.component import bga_component
from spacy_bga.diagnostics.report import Finding, Section
from spacy_bga.pipeline.bga_ner import BGANer

# Enough for a few batches of any config; of them, so many are measured, or as many as fit into the time.
SAMPLE = 256
BATCHES = 8
SECONDS = 60.0
LONGEST = 64
IMAGES = 16
_GIGABYTE = 1_000_000_000


@dataclass(frozen=True)
class Sample:
    """Some examples of an epoch, drawn without holding the others.

    examples (list[Example]): A fair sample. longest (list[Example]): Those with the most tokens.
    size (int): Examples of the epoch. images (int): Images of the epoch, crops not counted; a path counts once.
    """

    examples: list[Example]
    longest: list[Example]
    size: int
    images: int


@dataclass(frozen=True)
class Measure:
    """What was measured.

    examples_per_s (float), batches (int), batch_size (float): Updates.
    images_per_s (float | None): Of a frozen vision encoder; None: there is none.
    gigabytes (float): The peak of memory, a batch of the longest documents included. device (str): "cpu" or "cuda".
    """

    examples_per_s: float
    batches: int
    batch_size: float
    images_per_s: float | None
    gigabytes: float
    device: str


def estimate(config: Config) -> Section:
    """Estimate time and memory of an epoch, by training on a sample of it. Nothing is written.

    config (Config): The interpolated config.
    RETURNS (Section): The estimate, or why there is none.
    """
    try:
        findings = _tell(*measure(config))
    except Exception as error:  # no encoder, no data that can be trained on, no memory: whatever stops training, too
        message = f"Nothing could be measured: {type(error).__name__}: {str(error)[:300]}"
        fix = "see the message; training stops there, too"
        findings = [Finding("estimate-skipped", "warning", message, fix)]
    return Section("Estimate of an epoch", tuple(findings))


def draw(examples: Iterable[Example], *, seed: int = 0, attr: str = "image") -> Sample:
    """Draw a sample of a stream.

    examples (Iterable[Example]): The epoch. seed (int): The seed. attr (str): The extension that holds images.
    RETURNS (Sample): Each example is in it with the same probability.
    """
    rng = random.Random(seed)
    chosen: list[Example] = []
    longest: list[tuple[int, int, Example]] = []
    paths: set[str] = set()
    encoded = size = 0
    order = count()  # so that examples of one length are never compared
    for example in examples:
        size += 1
        for image in get_images(example.reference, attr=attr)[:1]:
            paths.update([image] if isinstance(image, str) else [])
            encoded += isinstance(image, bytes)
        if len(chosen) < SAMPLE:
            chosen.append(example)
        elif (place := rng.randrange(size)) < SAMPLE:
            chosen[place] = example
        heapq.heappush(longest, (len(example.reference), next(order), example))
        if len(longest) > LONGEST:
            heapq.heappop(longest)
    rng.shuffle(chosen)
    return Sample(chosen, [example for *_, example in longest], size, len(paths) + encoded)


def measure(config: Config) -> tuple[Sample, Measure | None]:
    """Train on a sample of an epoch.

    config (Config): The interpolated config.
    RETURNS (tuple[Sample, Measure | None]): What was drawn, and what was measured on it; None if it is empty.
    """
    config = config.copy()
    name = bga_component(config)
    settings = {} if name is None else config["components"][name]
    if name is not None:
        settings["feature_cache"] = None  # what is measured must not lie in a cache already
    nlp = util.load_model_from_config(config, auto_fill=True)
    filled = nlp.config.interpolate()
    training = registry.resolve(filled["training"], schema=ConfigSchemaTraining)
    [corpus] = resolve_dot_names(filled, [training["train_corpus"]])
    attr = settings.get("image_attr", "image")
    sample = draw(corpus(nlp), attr=attr)
    if not sample.size:
        return sample, None
    if name is not None:  # to align takes updates as well, whose number depends on all the data
        nlp.config["initialize"]["components"].setdefault(name, {})["align_steps"] = 0
    nlp.initialize(lambda: _with_few_images(sample.examples, attr))
    usable, images_per_s = _encode_images(nlp, name, sample.examples)

    def update(batch: Iterable[Example]) -> None:
        nlp.update(list(batch), sgd=training["optimizer"], drop=training["dropout"], losses={})

    timed = time_updates(training["batcher"](usable), update)
    number, seconds = sum(n for n, _ in timed), sum(seconds for _, seconds in timed)
    for batch in islice(training["batcher"](sample.longest), 1):
        update(batch)
    device, gigabytes = _peak()
    return sample, Measure(number / seconds, len(timed), number / len(timed), images_per_s, gigabytes, device)


def _with_few_images(examples: Sequence[Example], attr: str) -> Iterator[Example]:
    """All examples, but images of the first ones only: to initialize encodes every one, and that is yet to be timed."""
    for i, example in enumerate(examples):
        if i < IMAGES:
            yield example
        else:
            bare = example.reference.copy()
            bare._.set(attr, None)
            yield Example(example.predicted, bare)


def _encode_images(nlp: Language, name: str | None, examples: list[Example]) -> tuple[list[Example], float | None]:
    """RETURNS (tuple[list[Example], float | None]): The examples whose images are encoded now, all if none need that,
    and how many images a second that was, of a frozen vision encoder."""
    component: Any = None if name is None else nlp.get_pipe(name)
    if not isinstance(component, BGANer) or not any(component.images.of(example) for example in examples):
        return examples, None
    features = component.images.features()
    if features is None or features.branch.config.train_vision:
        return examples, None
    images = [component.images.of(example) for example in examples]
    features.prepare(images[:IMAGES])  # a warm-up; to initialize has encoded them
    done, encoded, started = IMAGES, 0, time.perf_counter()
    while done < len(images) and (encoded == 0 or time.perf_counter() - started < SECONDS / 2):
        part = images[done : done + IMAGES]
        features.prepare(part)
        encoded += sum(bool(sources) for sources in part)
        done += IMAGES
    return examples[:done], encoded / (time.perf_counter() - started) if encoded else None


def time_updates(
    batches: Iterable[Iterable[Example]], update: Callable[[list[Example]], None]
) -> list[tuple[int, float]]:
    """Time updates. The first one warms up, and counts only if there is no other.

    batches (Iterable[Iterable[Example]]): The batches. update (Callable): What to do with each.
    RETURNS (list[tuple[int, float]]): Examples and seconds of each.
    """
    timed: list[tuple[int, float]] = []
    begun = time.perf_counter()
    for batch in islice(batches, BATCHES + 1):
        examples = list(batch)
        started = time.perf_counter()
        update(examples)
        timed.append((len(examples), time.perf_counter() - started))
        if len(timed) > 1 and time.perf_counter() - begun > SECONDS:
            break
    return timed[1:] or timed


def _peak() -> tuple[str, float]:
    """RETURNS (tuple[str, float]): The device, and the most memory that training has taken there."""
    import torch
    from thinc.util import get_torch_default_device

    if get_torch_default_device().type == "cuda":
        return "cuda", torch.cuda.max_memory_allocated() / _GIGABYTE
    from spacy_bga.benchmark.memory import peak_megabytes

    return "cpu", peak_megabytes() / 1000


def _tell(sample: Sample, measured: Measure | None) -> list[Finding]:
    if measured is None:
        return [Finding("estimate-skipped", "info", "There is no example to train on, so nothing was measured")]
    found = []
    seconds = sample.size / measured.examples_per_s
    message = (
        f"An epoch of {sample.size:,} examples takes about {_duration(seconds)}, the machine as busy as it is: "
        f"{measured.examples_per_s:.1f} examples/s in batches of {measured.batch_size:.0f}, {measured.batches} measured"
    )
    found.append(Finding("epoch-seconds", "info", message, count=round(seconds)))
    if measured.images_per_s:
        once = sample.images / measured.images_per_s
        message = (
            f"Before it, {sample.images:,} images are encoded in about {_duration(once)} ({measured.images_per_s:.1f} "
            "images/s), once if `feature_cache` names a folder; images in several splits and cached ones are counted"
        )
        found.append(Finding("encode-seconds", "info", message, count=round(once)))
    message = (
        f"The most memory was {measured.gigabytes:.1f} GB ({measured.device}), a batch of the longest documents "
        "included; spaCy also keeps all examples and, without a cache, features in memory"
    )
    found.append(Finding("peak-megabytes", "info", message, count=round(1000 * measured.gigabytes)))
    return found


def _duration(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.1f} h"
    )
