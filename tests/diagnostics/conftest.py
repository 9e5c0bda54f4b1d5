"""A corpus with one of each defect, made on the spot, and a config that names it."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import spacy
from PIL import Image
from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span
from thinc.api import Config

from spacy_bga.corpus.images import register_image_extension
from spacy_bga.diagnostics.report import Finding, Report

Entities = Sequence[tuple[int, int, str]]

CONFIG = """
[paths]
train = null
dev = null
images = null

[nlp]
lang = "en"
pipeline = ["bga_ner"]
tokenizer = {"@tokenizers": "spacy.Tokenizer.v1"}

[components]

[components.bga_ner]
factory = "bga_ner"

[components.bga_ner.model]
@architectures = "spacy_bga.BGAModel.v1"
text_encoder = "absent/encoder"
vision_encoder = null
bga_layers = 0

[corpora]

[corpora.train]
@readers = "spacy_bga.MixedCorpus.v1"

[corpora.train.labelled]
@readers = "spacy_bga.ImageCorpus.v1"
path = ${paths.train}
images = ${paths.images}
on_missing = "warn"

[corpora.dev]
@readers = "spacy.Corpus.v1"
path = ${paths.dev}

[training]
train_corpus = "corpora.train"
dev_corpus = "corpora.dev"
dropout = 0.1

[training.batcher]
@batchers = "spacy_bga.batch_by_length.v1"
size = 4

[training.optimizer]
@optimizers = "Adam.v1"
"""


@pytest.fixture
def nlp() -> Language:
    register_image_extension()
    return spacy.blank("en")


@pytest.fixture
def make_doc(nlp: Language) -> Callable[..., Doc]:
    def make(text: str, entities: Entities | None = (), image: object = None) -> Doc:
        doc = nlp.make_doc(text)
        if entities is not None:
            doc.set_ents([Span(doc, start, end, label=label) for start, end, label in entities], default="outside")
        doc._.image = image
        return doc

    return make


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    def save(docs: Sequence[Doc], name: str) -> Path:
        path = tmp_path / name
        DocBin(attrs=["ENT_IOB", "ENT_TYPE"], docs=docs, store_user_data=True).to_disk(path)
        return path

    return save


@pytest.fixture
def make_config(tmp_path: Path) -> Callable[..., Config]:
    """Makes a config, and writes it to config.cfg."""

    def make(**overrides: object) -> Config:
        (tmp_path / "config.cfg").write_text(CONFIG, encoding="utf8")
        names = {f"paths.{name}": str(value) for name, value in overrides.items()}
        return Config().from_str(CONFIG, overrides=names, interpolate=True)

    return make


def picture(seed: int, *, size: tuple[int, int] = (96, 72)) -> Image.Image:
    """RETURNS (Image.Image): A blurred pattern of its own."""
    noise = np.random.default_rng(seed).integers(0, 255, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def encode(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """RETURNS (bytes): An encoded image."""
    stream = io.BytesIO()
    image.save(stream, format=kind, **options)
    return stream.getvalue()


def by_kind(report: Report) -> dict[str, list[Finding]]:
    """RETURNS (dict[str, list[Finding]]): The findings of a report by kind."""
    found: dict[str, list[Finding]] = {}
    for finding in report.findings:
        found.setdefault(finding.kind, []).append(finding)
    return found
