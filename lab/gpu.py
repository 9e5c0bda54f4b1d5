"""Whether the pipeline of `configs/paper.cfg` trains and tags on a GPU as it should, and how fast, in one short run.

    python -m lab.gpu                            # docs/evidence/gpu.json, in at most 7 minutes
    python -m lab.gpu --device cpu --seconds 60  # the same code without a GPU

It trains in bf16 mixed precision on the posts and pictures of the embedded corpus, compares the entities found on the
GPU with those found on the CPU, and times training and tagging beside spaCy's `transformer` + `ner` and plain loops, in
rounds that take turns. By default the encoders are the starter's. What there was no time for, or what failed, is under
"left_out" of the JSON file, which is written anew after each part.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

import spacy
import torch
from spacy.language import Language
from thinc.api import use_ops

from lab.gpu_contenders import Bench, Meter, Post, Round, learner, learners, read_posts, taggers
from spacy_bga.benchmark.accuracy import f1
from spacy_bga.benchmark.machine import describe
from spacy_bga.benchmark.rounds import Timing, interleave
from spacy_bga.benchmark.statistics import compare, spread, wall
from spacy_bga.benchmark.texts import Text, n_words
from spacy_bga.evaluation.provenance import command_line, portable
from spacy_bga.evaluation.records import write_json
from spacy_bga.pipeline.encoders import resolve_encoder

NO_GPU = "PyTorch finds no GPU here. Run this where there is one; --device cpu runs the same code on the processor."
ENCODERS = {"text": "sentence-transformers/all-MiniLM-L6-v2", "vision": "facebook/dinov2-small"}
# By when, as shares of the time there is, the parts have to be done.
SHARES = {"training": 0.35, "agreement": 0.5, "tagging_speed": 0.7, "training_speed": 0.97}
MOST_ROUNDS = 10
TIMED_BATCHES = 8
RATIOS = "bga_bf16/bga bga/spacy bga_bf16/spacy_fp16 bga/plain bga_bf16/plain_bf16 bga_pictures_bf16/bga_pictures"
Entities = Mapping[tuple[int, int, str], float]


@dataclass
class Clock:
    """The time there is. seconds (float): All of it. left_out (list[str]): What it didn't suffice for, what failed."""

    seconds: float
    left_out: list[str] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    @property
    def used(self) -> float:
        return time.monotonic() - self.started

    def allows(self, part: str, needed: float = 0.0) -> bool:
        """RETURNS (bool): Whether what takes so many seconds is done in the time of this part."""
        return self.used + needed < SHARES[part] * self.seconds

    def attempt(self, part: str, name: str, work: Callable[[], Any]) -> Any:
        """RETURNS (Any): What the work returns; None if it failed or its time is over, which is noted. The failure of
        one contender must not cost the figures of the others: a GPU may be at hand for minutes only."""
        if not self.allows(part):
            self.left_out.append(f"{part}: {name}: no time")
            return None
        try:
            return work()
        except Exception as error:
            self.left_out.append(f"{part}: {name}: {type(error).__name__}: {str(error)[:300]}")
            return None


def train(bench: Bench, meter: Meter, clock: Clock, *, steps: int, batch_size: int) -> dict[str, Any]:
    """Train in bf16 mixed precision, and save the pipeline. RETURNS (dict[str, Any]): How the losses went."""
    nlp, optimizer = meter.build("training", partial(bench.paper, mixed=True, steps=steps))
    update = learner(nlp, optimizer, pictures=True)
    losses: list[dict[str, float]] = []
    batches = in_batches(bench.posts, batch_size)
    timings = []
    while len(losses) < steps and (not losses or clock.allows("training", max(wall(timings)))):
        batch = batches[len(losses) % len(batches)]
        timings.append(meter.time("training", lambda batch=batch: losses.append(update(batch))))
    if len(losses) < steps:
        clock.left_out.append(f"training: {steps - len(losses)} of {steps} steps: no time")
    nlp.to_disk(bench.work / "paper")
    some = max(1, len(losses) // 10)
    ends = {"first": losses[:some], "last": losses[-some:]}
    return {
        "steps": len(losses),
        "batch_size": batch_size,
        "precision": "bf16",
        "seconds": round(sum(wall(timings)), 2),
        "losses": {
            name: {end: round(mean(row[name] for row in rows), 3) for end, rows in ends.items()} for name in losses[0]
        },
        "memory": meter.memory("training"),
    }


def in_batches(posts: Sequence[Post], size: int) -> list[Sequence[Post]]:
    return [posts[start : start + size] for start in range(0, len(posts), size)]


def agree(bench: Bench, clock: Clock, posts: Sequence[Post]) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): How far the device finds, in either precision, what the CPU finds in fp32."""
    folder = bench.work / "paper"
    with use_ops("numpy"):  # spaCy loads onto the device of its operations
        reference = spacy.load(folder, config={"components": {"bga_ner": {"confidence": True}}})
    texts = [post.text for post in posts]
    expected = entities(reference, texts)
    found: dict[str, Any] = {"documents": len(texts), "entities": sum(map(len, expected))}
    for precision in ("fp32", "bf16"):
        nlp = bench.tagger(folder, confidence=True, precision=precision)
        rows = clock.attempt("agreement", precision, partial(entities, nlp, texts))
        found[precision] = None if rows is None else agreement(rows, expected)
    gold = [set(text.entities) for text in texts]
    return found | {"f1_on_cpu": round(f1([set(row) for row in expected], gold), 2)}


def entities(nlp: Language, texts: Sequence[Text]) -> list[Entities]:
    """RETURNS (list[dict]): The entities of each text, and how sure the pipeline is of each."""
    docs = nlp.pipe([text.to_doc(nlp.vocab) for text in texts], batch_size=128)
    return [{(ent.start, ent.end, ent.label_): ent._.bga_confidence for ent in doc.ents} for doc in docs]


def agreement(found: Sequence[Entities], expected: Sequence[Entities]) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): "same_documents", the share of documents with the same entities, and the greatest
    difference of the confidences of entities that both have."""
    pairs = list(zip(found, expected, strict=True))
    gaps = [abs(row[entity] - other[entity]) for row, other in pairs for entity in row.keys() & other.keys()]
    return {
        "same_documents": round(sum(row.keys() == other.keys() for row, other in pairs) / len(pairs), 4),
        "greatest_confidence_difference": float(f"{max(gaps):.2g}") if gaps else None,
    }


def compare_speeds(
    part: str, makers: Mapping[str, Callable[[], Round]], clock: Clock, meter: Meter, *, number: int, unit: str
) -> dict[str, Any]:
    """Time contenders in turns, as often as there is time for; a round goes forwards, the next one backwards.

    part (str): Which of `SHARES` has to do. makers (Mapping[str, Callable[[], Round]]): Build each contender.
    number (int): Of how many words or examples. unit (str): What their speed is called.
    RETURNS (dict[str, Any]): Speeds, memory and ratios.
    """
    rounds = {name: clock.attempt(part, name, partial(meter.build, name, make)) for name, make in makers.items()}
    tasks = {
        name: lambda name=name, prepare=prepare: meter.time(name, prepare())
        for name, prepare in rounds.items()
        if prepare is not None
    }
    first = {name: clock.attempt(part, name, task) for name, task in tasks.items()}  # warms up
    ready = {name: tasks[name] for name, timing in first.items() if timing is not None}
    found: dict[str, list[Timing]] = {name: [] for name in ready}
    pair = 2 * sum(timing.wall_s for timing in first.values() if timing is not None)
    done = 0
    while ready and done < MOST_ROUNDS and clock.allows(part, pair):
        for name, timings in interleave(ready, 2, warmup=0).items():
            found[name] += timings
        done += 2
        pair = sum(timings[i].wall_s for timings in found.values() for i in (-1, -2))
    if not done:
        clock.left_out.append(f"{part}: all rounds: no time")
        return {"rounds": 0}
    contenders = {
        name: {unit: spread([number / s for s in wall(timings)]), "memory": meter.memory(name)}
        for name, timings in found.items()
    }
    pairs = [pair.split("/") for pair in RATIOS.split()]
    ratios = {f"{a}/{b}": compare(found, faster=a, slower=b) for a, b in pairs if a in found and b in found}
    return {"rounds": done, "contenders": contenders, "ratios": ratios}


def describe_device(device: torch.device) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): What a device is, and whether it rounds what it multiplies in single precision."""
    if device.type == "cpu":
        return {"type": "cpu"}
    facts, tf32 = torch.cuda.get_device_properties(device), torch.backends.cuda.matmul.allow_tf32
    memory = round(facts.total_memory / 1e9, 1)
    return {"type": "cuda", "name": facts.name, "memory_gb": memory, "cuda": torch.version.cuda, "tf32": tf32}


def run(given: argparse.Namespace, clock: Clock, work: Path, command: str) -> None:
    """Do all parts in turn, and write the file after each."""
    device = torch.device(given.device)
    places = [resolve_encoder(name) for name in (given.text_encoder, given.vision_encoder)]
    posts, others = read_posts("train", limit=given.posts), read_posts("dev", "test", limit=given.posts)
    bench, meter = Bench(places[0], places[1], device, posts, work), Meter(device)
    record = describe(threads={"torch": torch.get_num_threads()}, quick=False, command=command) | {
        "device": describe_device(device),
        "encoders": {"text": portable(given.text_encoder), "vision": portable(given.vision_encoder)},
    }
    peers = {"spacy": False} | ({"spacy_fp16": True} if device.type == "cuda" else {})  # thinc autocasts CUDA alone
    if (reason := bench.prepare()) is not None:
        clock.left_out += [f"all speeds: {name}: {reason}" for name in peers]
        peers = {}
    texts = [post.text for post in (*posts, *others)]
    batches = in_batches(posts, given.batch_size)[:TIMED_BATCHES]
    n_examples, n_tagged = sum(map(len, batches)), n_words(texts)
    tags, learns = taggers(bench, texts, peers), learners(bench, batches, peers)
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "training": lambda: train(bench, meter, clock, steps=given.steps, batch_size=given.batch_size),
        "agreement": lambda: agree(bench, clock, others),
        "tagging_speed": lambda: (
            {"documents": len(texts), "words": n_tagged}
            | compare_speeds("tagging_speed", tags, clock, meter, number=n_tagged, unit="words_per_s")
        ),
        "training_speed": lambda: (
            {"batches": len(batches), "examples": n_examples}
            | compare_speeds("training_speed", learns, clock, meter, number=n_examples, unit="examples_per_s")
        ),
    }
    for part, do in parts.items():
        record[part] = clock.attempt(part, "all", do)
        seconds = {"allowed": given.seconds, "used": round(clock.used, 1)}
        write_json(given.output, record | {"seconds": seconds, "left_out": clock.left_out})
        print(f"{part}: done after {clock.used:.0f} s", flush=True)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m lab.gpu", description=__doc__)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--text-encoder", default=ENCODERS["text"], help="A name or a folder.")
    parser.add_argument("--vision-encoder", default=ENCODERS["vision"], help="A name or a folder.")
    parser.add_argument("--steps", type=int, default=300, help="Updates of the training.")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--posts", type=int, help="The most posts of each part of the corpus.")
    parser.add_argument("--seconds", type=float, default=420.0, help="The time there is.")
    parser.add_argument("--output", type=Path, default=Path("docs/evidence/gpu.json"))
    given = parser.parse_args(arguments)
    if given.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit(NO_GPU)
    clock = Clock(given.seconds)
    with tempfile.TemporaryDirectory() as work:
        run(given, clock, Path(work), command_line(["python", "-m", "lab.gpu", *arguments]))
    for line in clock.left_out:
        print("left out:", line)


if __name__ == "__main__":
    main(sys.argv[1:])
