"""A project folder with a plan, a config and data; and a trainer that takes no time."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import spacy
import srsly
from spacy.cli._util import parse_config_overrides
from spacy.tokens import Doc, DocBin
from spacy.util import load_config

from spacy_bga.evaluation import runs
from spacy_bga.evaluation.plan import Plan, read_plan
from spacy_bga.evaluation.processes import Usage

CONFIG = """
[paths]
train = null
dev = null

[system]
seed = 0

[nlp]
lang = "en"
pipeline = ["ner"]

[components]

[components.ner]
factory = "ner"

[components.ner.model]
@architectures = "spacy.TransitionBasedParser.v2"
state_type = "ner"
extra_state_tokens = false
hidden_width = 8
maxout_pieces = 1
use_upper = false

[components.ner.model.tok2vec]
@architectures = "spacy.HashEmbedCNN.v2"
pretrained_vectors = null
width = 8
depth = 1
embed_size = 50
window_size = 1
maxout_pieces = 1
subword_features = false

[corpora]

[corpora.train]
@readers = "spacy.Corpus.v1"
path = ${paths.train}
gold_preproc = false
max_length = 0
limit = 0
augmenter = null

[corpora.dev]
@readers = "spacy.Corpus.v1"
path = ${paths.dev}
gold_preproc = false
max_length = 0
limit = 0
augmenter = null

[training]
seed = ${system.seed}
gpu_allocator = null
train_corpus = "corpora.train"
dev_corpus = "corpora.dev"
max_steps = 9
eval_frequency = 3

[training.batcher]
@batchers = "spacy.batch_by_sequence.v1"
size = 2

[training.logger]
@loggers = "spacy_bga.ConsoleLogger.v1"

[initialize]

[initialize.components]

[initialize.components.bga_ner]
"""
PLAN = {
    "name": "small",
    "variables": {"data": "corpus"},
    "test": "${data}/test.spacy",
    "overrides": {"paths.train": "${data}/train.spacy", "paths.dev": "${data}/dev.spacy"},
    "runs": [
        {"name": "first", "config": "configs/ner.cfg", "seeds": [0, 1]},
        {"name": "second", "config": "configs/ner.cfg", "overrides": {"training.max_steps": 6}},
    ],
}
POSTS = ["Kevin joins the Warriors", "Kevin is in Oakland", "love Apple in Paris", "the Warriors in Paris"]
LABELS = {"Kevin": "PER", "Warriors": "ORG", "Apple": "ORG", "Oakland": "LOC", "Paris": "LOC"}

WritePlan = Callable[..., Plan]


def write_posts(
    path: Path, posts: Sequence[str], *, image: Callable[[int], str] | None = None, labelled: bool = True
) -> None:
    """Write posts, labelled or not; with `image`, the path of each one's image."""
    vocab = spacy.blank("en").vocab
    docs = []
    for number, post in enumerate(posts):
        words = post.split()
        tags = [f"B-{LABELS[word]}" if word in LABELS else "O" for word in words]
        docs.append(Doc(vocab, words=words, ents=tags if labelled else None))
        if image is not None:
            docs[-1].user_data["._.", "image", None, None] = image(number)
    path.parent.mkdir(parents=True, exist_ok=True)
    DocBin(docs=docs, store_user_data=True).to_disk(path)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder, made the current one."""
    root = tmp_path / "project"
    for part in ("train", "dev", "test"):
        write_posts(root / "corpus" / f"{part}.spacy", POSTS)
    (root / "configs").mkdir()
    (root / "configs" / "ner.cfg").write_text(CONFIG, encoding="utf8")
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def write_plan(project: Path) -> WritePlan:
    def write_plan(chosen: dict[str, str] | None = None, **changes: Any) -> Plan:
        srsly.write_yaml("plan.yml", {**PLAN, **changes})
        return read_plan(Path("plan.yml"), variables=chosen)

    return write_plan


class FakeTrainer:
    """Stands in for the processes of a run: leaves what they leave, and remembers what was asked for.

    commands (list[list[str]]): The training commands. measures (list[list[str]]): Those that measure the alignment.
    broken (set[str]): Folder name prefixes of runs that fail; "scores" or "alignment", if measuring them does.
    interrupted (bool): Whether the next training is killed half-way.
    """

    def __init__(self) -> None:
        self.commands: list[list[str]] = []
        self.measures: list[list[str]] = []
        self.broken: set[str] = set()
        self.interrupted = False

    @property
    def trained(self) -> list[str]:
        """RETURNS (list[str]): The runs that were trained, in order."""
        return [self.folder(command).name.partition(".partial-")[0] for command in self.commands]

    def start(self, key: str) -> str | None:
        """RETURNS (str | None): The model that the last training of a run was told to begin with."""
        command = self.commands[len(self.trained) - 1 - self.trained[::-1].index(key)]
        return dict(zip(command[7::2], command[8::2], strict=True)).get("--initialize.components.bga_ner.aligner")

    def folder(self, command: Sequence[str]) -> Path:
        return Path(command[command.index("--output") + 1])

    def __call__(self, command: Sequence[str], *, log: Path, threads: int) -> Usage:
        if "spacy_bga.evaluation.scores" in command:
            scores = {"p": 80.0, "r": 60.0, "f1": 68.57, "per_type": {"PER": {"p": 80.0, "r": 60.0, "f1": 68.57}}}
            Path(command[5]).write_text(json.dumps({**scores, "counts": [[1, 2, 3]], "contexts": {}}), encoding="utf8")
            return Usage(int("scores" in self.broken), 1.0, 1.0)
        if "spacy_bga.evaluation.alignment" in command:
            self.measures.append(list(command[1:]))
            Path(command[4]).write_text(json.dumps({"news": {"t2i": {"r10": 50.0}}}), encoding="utf8")
            return Usage(int("alignment" in self.broken), 1.0, 1.0)
        self.commands.append(list(command))
        folder = self.folder(command)
        (folder / "model-best").mkdir()
        given = parse_config_overrides(command[7:], env_var=None)
        load_config(command[4], overrides=given, interpolate=False).to_disk(folder / "model-best" / "config.cfg")
        log.write_text("reading\nout of luck\n", encoding="utf8")
        if self.interrupted:
            self.interrupted = False
            raise KeyboardInterrupt
        if any(folder.name.startswith(name) for name in self.broken):
            return Usage(3, 1.0, 1.0)
        rows = [log_row(0, 10.0, recon=4.0), log_row(3, 50.0, recon=3.0), log_row(6, 50.0), log_row(9, 40.0, recon=2.5)]
        (folder / "log.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf8")
        return Usage(0, 12.3, 11.1)


def log_row(step: int, f1: float, *, recon: float = 0.0) -> dict[str, Any]:
    losses = {"bga_ner": 9.0, "bga_ner_crf": 5.0, "bga_ner_recon": recon, "bga_ner_cycle": 0.0}
    return {"epoch": step // 2, "step": step, "losses": losses, "scores": {"ents_f": f1}, "score": f1 / 100}


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> FakeTrainer:
    fake = FakeTrainer()
    monkeypatch.setattr(runs, "run_command", fake)
    return fake
