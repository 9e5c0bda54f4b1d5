"""A small training that has everything: images, thinc's and torch's optimizers, schedules, dropout."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.tokens import DocBin
from spacy.training.loop import train_while_improving

from spacy_bga.training import loop
from spacy_bga.training.train import train
from tests.conftest import encode_picture
from tests.pipeline.conftest import POSTS, make_example

CONFIG = """
[paths]
train = null
dev = null
pairs = null
images = null
features = null
log = null

[nlp]
lang = "en"
pipeline = ["ner","bga_ner"]

[components]

[components.ner]
factory = "ner"

[components.ner.model]
@architectures = "spacy.TransitionBasedParser.v2"
state_type = "ner"
hidden_width = 8

[components.ner.model.tok2vec]
@architectures = "spacy.HashEmbedCNN.v2"
width = 8
depth = 1
embed_size = 50
window_size = 1
maxout_pieces = 2
subword_features = true
pretrained_vectors = null

[components.bga_ner]
factory = "bga_ner"
feature_cache = ${paths.features}

[components.bga_ner.model]
@architectures = "spacy_bga.BGAModel.v1"
text_encoder = "TEXT_ENCODER"
vision_encoder = "VISION_ENCODER"
bga_layers = 2
image_size = 32
visual_grid = 2
window = 32
overlap = 8
contrast_weight = 1.0

[corpora]

[corpora.train]
@readers = "spacy_bga.MixedCorpus.v1"

[corpora.train.labelled]
@readers = "spacy_bga.ImageCorpus.v1"
path = ${paths.train}
images = ${paths.images}

[corpora.train.pairs]
@readers = "spacy_bga.ImageCorpus.v1"
path = ${paths.pairs}
images = ${paths.images}

[corpora.dev]
@readers = "spacy.Corpus.v1"
path = ${paths.dev}

[training]
seed = 7
gpu_allocator = null
dropout = 0.2
max_epochs = 0
max_steps = 13
eval_frequency = 3
train_corpus = "corpora.train"
dev_corpus = "corpora.dev"

[training.batcher]
@batchers = "spacy_bga.batch_by_length.v1"
size = 5
buffer = 2

[training.optimizer]
@optimizers = "Adam.v1"
L2 = 0.01
use_averages = true

[training.optimizer.learn_rate]
@schedules = "warmup_linear.v1"
warmup_steps = 4
total_steps = 20
initial_rate = 0.05

[training.logger]
@loggers = "spacy_bga.ConsoleLogger.v1"
output_file = ${paths.log}
"""
Overrides = dict[str, Any]
Train = Callable[..., Path]
STEPS = (0, 4, 6, 13)  # of 14: just after an evaluation, between two, and the last one


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory, text_encoder_folder: Path, vision_encoder_folder: Path) -> Path:
    """Labelled posts, most with images, and pairs without labels; a config beside them. Don't change it."""
    folder = tmp_path_factory.mktemp("project")
    nlp = spacy.blank("en")
    (folder / "photos").mkdir()
    labelled, pairs = DocBin(store_user_data=True), DocBin(store_user_data=True)
    for i, (text, ents) in enumerate(POSTS):
        (folder / "photos" / f"{i}.png").write_bytes(encode_picture(i))
        labelled.add(make_example(nlp, text, ents, image=f"{i}.png" if i % 3 else None).reference)
        pairs.add(make_example(nlp, f"{text} a b c", None, image=[f"{i}.png", encode_picture(9)]).reference)
    labelled.to_disk(folder / "train.spacy")
    labelled.add(make_example(nlp, "unheard of in oakland", [(3, 4, "LOC")]).reference)
    labelled.to_disk(folder / "dev.spacy")
    pairs.to_disk(folder / "pairs.spacy")
    config = CONFIG.replace("TEXT_ENCODER", text_encoder_folder.as_posix())
    config = config.replace("VISION_ENCODER", vision_encoder_folder.as_posix())
    (folder / "config.cfg").write_text(config, encoding="utf8")
    return folder


@pytest.fixture(scope="session")
def overrides(project: Path) -> Overrides:
    places = {
        "train": "train.spacy",
        "dev": "dev.spacy",
        "pairs": "pairs.spacy",
        "images": "photos",
        "features": "features",
    }
    return {f"paths.{name}": (project / place).as_posix() for name, place in places.items()}


@pytest.fixture(scope="session")
def whole(project: Path, overrides: Overrides, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a training that nothing disturbed has left, and beside it what each of `STEPS` had. Don't change it."""
    output = tmp_path_factory.mktemp("whole") / "whole"
    with pytest.MonkeyPatch.context() as patch:
        keep_snapshots(patch, output, STEPS)
        train(project / "config.cfg", output, overrides=overrides)
    return output


@pytest.fixture
def run(project: Path, overrides: Overrides, tmp_path: Path) -> Train:
    """Trains into a folder of the test's own, with more overrides in dot notation."""

    def run(
        output: str, *, resume: bool = False, settings: Overrides | None = None, config: Path | None = None
    ) -> Path:
        more = overrides | (settings or {})
        train(config or project / "config.cfg", tmp_path / output, resume=resume, overrides=more)
        return tmp_path / output

    return run


def keep_snapshots(patch: pytest.MonkeyPatch, output: Path, chosen: Sequence[int]) -> None:
    """Let the next training keep what a kill after some steps would leave of its folder, as `STEP` beside it."""

    def steps(*args: Any, **settings: Any) -> Iterator:
        for batch, info, is_best in train_while_improving(*args, **settings):
            yield batch, info, is_best
            if info["step"] in chosen:
                shutil.copytree(output, output.with_name(str(info["step"])))

    patch.setattr(loop, "train_while_improving", steps)
