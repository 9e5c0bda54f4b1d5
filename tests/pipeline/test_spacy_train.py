"""`spacy init labels`, `spacy train`, and what comes out of it: the whole way, as a user goes it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import spacy
import torch
from safetensors.torch import load_file
from spacy.cli.train import train
from spacy.tokens import Doc, DocBin
from spacy.training import Corpus
from spacy.training.initialize import init_nlp
from spacy.util import load_config

from tests.conftest import encode_picture
from tests.pipeline.conftest import POSTS, found, make_example, pipe_of

CONFIG = """
[paths]
train = null
pairs = null
images = null
features = null
log = null

[nlp]
lang = "en"
pipeline = ["bga_ner"]

[components]

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
path = ${paths.train}

[training]
seed = 0
gpu_allocator = null
dropout = 0.0
max_epochs = -1
max_steps = 40
eval_frequency = 20
train_corpus = "corpora.train"
dev_corpus = "corpora.dev"

[training.batcher]
@batchers = "spacy.batch_by_sequence.v1"
size = 8

[training.optimizer]
@optimizers = "Adam.v1"
learn_rate = 0.03
use_averages = false

[training.logger]
@loggers = "spacy_bga.ConsoleLogger.v1"
output_file = ${paths.log}
"""


@pytest.fixture
def project(tmp_path: Path, text_encoder_folder: Path, vision_encoder_folder: Path) -> Path:
    """Labelled posts, most with images, and pairs without labels; a config beside them."""
    nlp = spacy.blank("en")
    (tmp_path / "photos").mkdir()
    labelled, pairs = DocBin(store_user_data=True), DocBin(store_user_data=True)
    for i, (text, ents) in enumerate(POSTS):
        (tmp_path / "photos" / f"{i}.png").write_bytes(encode_picture(i))
        labelled.add(make_example(nlp, text, ents, image=f"{i}.png" if i % 3 else None).reference)
        pairs.add(make_example(nlp, f"{text} a b c", None, image=[f"{i}.png", encode_picture(9)]).reference)
    labelled.to_disk(tmp_path / "train.spacy")
    pairs.to_disk(tmp_path / "pairs.spacy")
    config = CONFIG.replace("TEXT_ENCODER", str(text_encoder_folder)).replace(
        "VISION_ENCODER", str(vision_encoder_folder)
    )
    (tmp_path / "config.cfg").write_text(config, encoding="utf8")
    return tmp_path


@pytest.fixture
def overrides(project: Path) -> dict[str, str]:
    places = {"train": "train.spacy", "pairs": "pairs.spacy", "images": "photos", "log": "log.jsonl"}
    return {f"paths.{name}": str(project / place) for name, place in places.items()}


def test_train(project: Path, overrides: dict[str, str], capsys: pytest.CaptureFixture):
    train(project / "config.cfg", project / "out", overrides=overrides | {"paths.features": str(project / "cache")})
    nlp = spacy.load(project / "out" / "model-best")
    assert [found(nlp(text)) for text, _ in POSTS] == [ents for _, ents in POSTS]
    assert nlp.evaluate(list(Corpus(project / "train.spacy")(nlp)))["ents_f"] == 1.0
    rows = [json.loads(line) for line in (project / "log.jsonl").read_text(encoding="utf8").splitlines()]
    assert [row["step"] for row in rows] == [0, 20, 40]
    assert rows[-1]["losses"]["bga_ner_crf"] < rows[0]["losses"]["bga_ner_crf"]
    assert rows[-1]["losses"]["bga_ner_recon"] < rows[0]["losses"]["bga_ner_recon"]
    assert rows[-1]["losses"]["bga_ner_cycle"] > 0
    assert rows[-1]["score"] == 1.0
    assert "BGA_NER_RECON" in capsys.readouterr().out
    assert len(list((project / "cache").rglob("*.npy"))) == len(POSTS)
    weights = load_file(project / "out" / "model-best" / "bga_ner" / "model" / "model.safetensors")
    assert not any(name.startswith("visual.") for name in weights)
    assert str(project) not in (project / "out" / "model-best" / "bga_ner" / "model" / "config.json").read_text("utf8")


def test_the_same_seed_gives_the_same_pipeline(project: Path, overrides: dict[str, str]):
    small = overrides | {"training.max_steps": 3, "training.eval_frequency": 3}
    weights = []
    for out in ("a", "b"):
        train(project / "config.cfg", project / out, overrides=small)
        weights.append(load_file(project / out / "model-last" / "bga_ner" / "model" / "model.safetensors"))
    assert all(torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items())


def test_accumulated_gradients(project: Path, overrides: dict[str, str]):
    few = {"training.accumulate_gradient": 3, "training.max_steps": 8, "training.eval_frequency": 8}
    few["training.optimizer.use_averages"] = True  # has no effect, and does no harm
    train(project / "config.cfg", project / "out", overrides=overrides | few)
    rows = [json.loads(line) for line in (project / "log.jsonl").read_text(encoding="utf8").splitlines()]
    assert rows[-1]["losses"]["bga_ner_crf"] < rows[0]["losses"]["bga_ner_crf"]


def test_labels_from_a_file(project: Path, overrides: dict[str, str]):
    """As `spacy init labels` writes them and `spacy train` reads them."""
    config = load_config(project / "config.cfg", overrides=overrides, interpolate=False)
    labels = pipe_of(init_nlp(config)).label_data
    (project / "bga_ner.json").write_text(json.dumps(["EVENT", *labels]), encoding="utf8")
    reader = {"@readers": "spacy.read_labels.v1", "path": str(project / "bga_ner.json")}
    config["initialize"] = {"components": {"bga_ner": {"labels": reader}}}
    assert pipe_of(init_nlp(config)).labels == ("EVENT", "LOC", "ORG", "PER")


def test_continuing_from_a_trained_pipeline(project: Path, overrides: dict[str, str], trained_folder: Path):
    """A sourced component keeps what it has learnt, instead of being initialized again."""
    text = (project / "config.cfg").read_text(encoding="utf8")
    before, _, rest = text.partition("[components.bga_ner]")
    _, _, after = rest.partition("[corpora]\n")
    source = f'[components.bga_ner]\nsource = "{trained_folder}"\n\n'
    (project / "config.cfg").write_text(f"{before}{source}[corpora]\n{after}", encoding="utf8")
    config = load_config(project / "config.cfg", overrides=overrides, interpolate=False)
    nlp = init_nlp(config)
    doc = Doc(nlp.vocab, words=POSTS[0][0].split())
    assert found(nlp(doc)) == POSTS[0][1]
    train(project / "config.cfg", project / "out", overrides=overrides | {"training.max_steps": 2})
    rows = [json.loads(line) for line in (project / "log.jsonl").read_text(encoding="utf8").splitlines()]
    assert rows[0]["losses"]["bga_ner_crf"] < 0.5
    assert rows[0]["losses"]["bga_ner_recon"] > 0
