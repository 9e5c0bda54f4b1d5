"""What the GPU script compares, on one device: `configs/paper.cfg`, spaCy's own components, and plain loops."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import spacy
import torch
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import fix_random_seed, load_config, load_model_from_config, registry
from thinc.api import Adam, Optimizer, require_gpu, set_gpu_allocator
from thinc.util import has_cupy_gpu

from spacy_bga.benchmark.huggingface import HuggingFaceTagger
from spacy_bga.benchmark.peers import build_spacy
from spacy_bga.benchmark.plain_training import PlainTrainer
from spacy_bga.benchmark.rounds import Timing, timed
from spacy_bga.benchmark.taggers import SpacyTagger
from spacy_bga.benchmark.texts import Text, labels_of
from spacy_bga.corpus.conll import read_conll
from spacy_bga.evaluation.records import read_json
from spacy_bga.pipeline.bridge import get_shim

EMBEDDED = Path("assets/embedded")
PAPER = Path("configs/paper.cfg")
BYTES = 1_000_000
DROPOUT = 0.1
PEER_STEPS = 60
LARGEST_IMAGE = 224  # as in the config; an encoder of smaller images gets its own size
NO_CUPY = "CuPy isn't installed, without which spaCy's own components know no GPU"

Batch = Sequence["Post"]
Round = Callable[[], Callable[[], Any]]
"""Prepares a round of a contender, and returns what is timed of it."""


@dataclass(frozen=True)
class Post:
    """A post of the embedded corpus. text (Text): Its text. image (Optional[str]): Its picture's file."""

    text: Text
    image: str | None


def read_posts(*parts: str, limit: int | None = None) -> list[Post]:
    """RETURNS (list[Post]): The posts of some parts of the embedded corpus, of each at most so many."""
    return [post for part in parts for post in list(_read_part(part))[:limit]]


def _read_part(part: str) -> Iterator[Post]:
    vocab = spacy.blank("en").vocab
    for row in read_conll(EMBEDDED / f"{part}.txt"):
        doc = Doc(vocab, words=list(row.words), ents=list(row.tags))
        entities = tuple((ent.start, ent.end, ent.label_) for ent in doc.ents)
        image = EMBEDDED / "images" / f"{row.image_id}.png"
        yield Post(Text(row.words, (True,) * len(row.words), entities), image.name if image.is_file() else None)


@dataclass
class Meter:
    """Times work on a device, to its last kernel, and tells how much of the device's memory it takes.

    device (torch.device): The device; of a CPU no memory is told.
    """

    device: torch.device
    resident: dict[str, int] = field(default_factory=dict)
    working: dict[str, int] = field(default_factory=dict)

    def build(self, name: str, make: Callable[[], Any]) -> Any:
        """RETURNS (Any): What is made for this contender; what lies on the device since is its own."""
        before = self._allocated()
        made = make()
        self.resident[name] = self._allocated() - before
        return made

    def time(self, name: str, work: Callable[[], Any]) -> Timing:
        """RETURNS (Timing): How long a contender's work takes."""
        before = self._allocated()
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        timing = timed(lambda: (work(), self._finish()))
        after, peak = self._allocated(), self._allocated(most=True)
        self.resident[name] += after - before  # what an optimizer gathers
        self.working[name] = max(self.working.get(name, 0), peak - max(before, after))
        return timing

    def memory(self, name: str) -> dict[str, float] | None:
        """RETURNS (Optional[dict[str, float]]): "peak_mb" of one contender alone; "weights_mb" of it stay between two
        steps: weights and what an optimizer gathers."""
        if self.device.type != "cuda":
            return None
        resident, working = self.resident[name] / BYTES, self.working[name] / BYTES
        return {"weights_mb": round(resident, 1), "peak_mb": round(resident + working, 1)}

    def _allocated(self, *, most: bool = False) -> int:
        if self.device.type == "cpu":
            return 0
        return torch.cuda.max_memory_allocated() if most else torch.cuda.memory_allocated()

    def _finish(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()


@dataclass(frozen=True)
class Bench:
    """What all contenders share.

    text_encoder, vision_encoder (Path): Their folders. device (torch.device): Where they run.
    posts (Sequence[Post]): What they learn from. work (Path): A folder for pipelines.
    """

    text_encoder: Path
    vision_encoder: Path
    device: torch.device
    posts: Sequence[Post]
    work: Path

    def prepare(self) -> str | None:
        """Let spaCy use the device, as `--gpu-id 0` does. RETURNS (Optional[str]): Why it can't."""
        if self.device.type == "cpu":
            return None
        if not has_cupy_gpu:
            return NO_CUPY
        set_gpu_allocator("pytorch")
        require_gpu(0)
        return None

    def paper(self, *, mixed: bool, steps: int) -> tuple[Language, Optimizer]:
        """RETURNS (tuple[Language, Optimizer]): The pipeline of `configs/paper.cfg`, its optimizer for so many steps.
        mixed (bool): Whether it learns in bf16 mixed precision."""
        fix_random_seed(0)
        config = load_config(PAPER)
        component = config["components"]["bga_ner"]
        component |= {"image_root": str(EMBEDDED / "images"), "on_missing": "ignore"}
        size = (read_json(self.vision_encoder / "config.json") or {}).get("image_size", LARGEST_IMAGE)
        component["model"] |= {
            "text_encoder": str(self.text_encoder),
            "vision_encoder": str(self.vision_encoder),
            "image_size": min(LARGEST_IMAGE, size),
            "mixed_precision": mixed,
        }
        # The rate of starter.cfg, since there are far fewer steps than in the config.
        schedule = {"warmup_steps": max(1, steps // 10), "total_steps": steps, "initial_rate": 1e-4}
        config["training"]["optimizer"]["learn_rate"] |= schedule
        nlp = load_model_from_config(config, auto_fill=True)
        nlp.initialize(lambda: [make_example(nlp, post, pictures=True) for post in self.posts])
        return self.move(nlp), registry.resolve({"optimizer": config["training"]["optimizer"]})["optimizer"]

    def move(self, nlp: Language) -> Language:
        """RETURNS (Language): The pipeline, whose aligner is on the device, also without CuPy."""
        if self.device.type == "cuda":
            get_shim(nlp.get_pipe("bga_ner").model).to_device("gpu", 0)
        return nlp

    def tagger(self, folder: Path, **settings: Any) -> Language:
        """RETURNS (Language): A saved pipeline on the device, with settings of `bga_ner`."""
        return self.move(spacy.load(folder, config={"components": {"bga_ner": settings}}))

    def peer(self, *, mixed: bool) -> Language:
        """RETURNS (Language): spaCy's `transformer` and `ner` of the quickstart.
        mixed (bool): In fp16 mixed precision: spaCy knows no bf16."""
        folder = self.work / "spacy"
        if not folder.is_dir():
            build_spacy(folder, self.text_encoder, [post.text for post in self.posts], steps=PEER_STEPS)
        return spacy.load(folder, config={"components": {"transformer": {"model": {"mixed_precision": mixed}}}})


def make_example(nlp: Language, post: Post, *, pictures: bool) -> Example:
    """RETURNS (Example): A post to learn from, with its picture if asked for and there is one."""
    reference = post.text.to_doc(nlp.vocab, entities=True)
    if pictures and post.image is not None:
        reference._.image = post.image
    return Example(post.text.to_doc(nlp.vocab), reference)


def learner(
    nlp: Language, optimizer: Optimizer | None = None, *, pictures: bool
) -> Callable[[Batch], dict[str, float]]:
    """RETURNS (Callable[[Batch], dict[str, float]]): An update of a spaCy pipeline, which returns the losses.
    optimizer (Optional[Optimizer]): None: one like that of the plain loop."""
    if optimizer is None:
        optimizer = Adam(1e-4, L2=0.01, L2_is_weight_decay=True, grad_clip=1.0, use_averages=False)
    made: dict[int, Example] = {}

    def step(batch: Batch) -> dict[str, float]:
        for post in batch:
            if id(post) not in made:
                made[id(post)] = make_example(nlp, post, pictures=pictures)
        losses: dict[str, float] = {}
        nlp.update([made[id(post)] for post in batch], sgd=optimizer, drop=DROPOUT, losses=losses)
        optimizer.step_schedules()
        return losses

    return step


def taggers(bench: Bench, texts: Sequence[Text], peers: Mapping[str, bool]) -> dict[str, Callable[[], Round]]:
    """RETURNS (dict[str, Callable[[], Round]]): What tags texts, in batches of 256. Documents are made beforehand."""

    def stream(make: Callable[[], Any]) -> Round:
        tagger = make()
        return lambda: partial(tagger.stream, tagger.prepare(texts), 256)

    paper, plain = partial(bench.tagger, bench.work / "paper"), partial(HuggingFaceTagger, bench.text_encoder)
    makers: dict[str, Callable[[], Any]] = {
        "bga": lambda: SpacyTagger(paper()),
        "bga_bf16": lambda: SpacyTagger(paper(precision="bf16")),
        **{name: lambda mixed=mixed: SpacyTagger(bench.peer(mixed=mixed)) for name, mixed in peers.items()},
        "plain": partial(plain, device=str(bench.device)),
        "plain_bf16": partial(plain, device=str(bench.device), mixed_precision=True),
    }
    return {name: partial(stream, make) for name, make in makers.items()}


def learners(
    bench: Bench, batches: Sequence[Sequence[Post]], peers: Mapping[str, bool]
) -> dict[str, Callable[[], Round]]:
    """RETURNS (dict[str, Callable[[], Round]]): What learns from texts with pictures, and from the same texts alone."""
    labels = labels_of([post.text for post in bench.posts])
    on_device = {"dropout": DROPOUT, "device": str(bench.device)}

    def paper(*, mixed: bool, pictures: bool) -> Callable[[Any], Any]:
        return learner(bench.paper(mixed=mixed, steps=1000)[0], pictures=pictures)

    def plain(*, mixed: bool) -> Callable[[Any], Any]:
        trainer = PlainTrainer(bench.text_encoder, labels, mixed_precision=mixed, **on_device)
        return lambda batch: trainer.step([post.text for post in batch])

    def epochs(make: Callable[[], Callable[[Any], Any]]) -> Round:
        step = make()
        return lambda: lambda: [step(batch) for batch in batches]

    makers: dict[str, Callable[[], Any]] = {
        "bga_pictures": partial(paper, mixed=False, pictures=True),
        "bga_pictures_bf16": partial(paper, mixed=True, pictures=True),
        "bga": partial(paper, mixed=False, pictures=False),
        "bga_bf16": partial(paper, mixed=True, pictures=False),
        **{name: lambda mixed=mixed: learner(bench.peer(mixed=mixed), pictures=False) for name, mixed in peers.items()},
        "plain": partial(plain, mixed=False),
        "plain_bf16": partial(plain, mixed=True),
    }
    return {name: partial(epochs, make) for name, make in makers.items()}
