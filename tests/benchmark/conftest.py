"""Texts, and pipelines on tiny encoders that were built once for the whole run."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import spacy
from spacy.tokens import Doc, DocBin, Span

from spacy_bga.benchmark import fresh
from spacy_bga.benchmark.own import build_own
from spacy_bga.benchmark.peers import build_spacy
from spacy_bga.benchmark.setting import BGA, HUGGING_FACE, QUICK, SPACY, TEXT_ONLY, Contender, Setting
from spacy_bga.benchmark.texts import read_texts

POSTS = [
    ("kevin durant joins the warriors in oakland", [(0, 2, "PER"), (4, 5, "ORG"), (6, 7, "LOC")]),
    ("love paris !", [(1, 2, "LOC")]),
    ("", []),
    ("apple is in new york", [(0, 1, "ORG"), (3, 5, "LOC")]),
    ("👍🏽 \n", []),
]
SCALE = replace(
    QUICK,
    repeats=2,
    batch_sizes=(2, 64),
    latency_texts=3,
    batch_size=2,
    stream=(4, 8),
    long_document=40,  # within the tiny encoder's positions: spaCy's windows are of 128 words
    short_document=10,
    growth_documents=80,
)


@pytest.fixture(scope="session")
def texts_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Posts, an empty one and one of an emoji and white space among them."""
    path = tmp_path_factory.mktemp("texts") / "texts.spacy"
    vocab = spacy.blank("en").vocab
    bin = DocBin()
    for text, entities in POSTS:
        doc = Doc(vocab, words=text.split(" ") if text else [])
        doc.set_ents([Span(doc, start, end, label=label) for start, end, label in entities])
        bin.add(doc)
    bin.to_disk(path)
    return path


@pytest.fixture(scope="session")
def setting(
    text_encoder_folder: Path,
    vision_encoder_folder: Path,
    texts_file: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Setting:
    """All contenders, hardly trained."""
    pytest.importorskip("spacy_transformers")
    folder = tmp_path_factory.mktemp("contenders")
    texts = read_texts(texts_file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # spacy-transformers' own
        build_own(folder / BGA, text_encoder_folder, texts, steps=1, vision=vision_encoder_folder)
        build_own(folder / TEXT_ONLY, text_encoder_folder, texts, steps=1)
        build_spacy(folder / SPACY, text_encoder_folder, texts, steps=1)
    pipelines = [Contender(name, "spacy", folder / name) for name in (BGA, TEXT_ONLY, SPACY)]
    plain = Contender(HUGGING_FACE, "huggingface", text_encoder_folder)
    return Setting(text_encoder_folder, texts_file, (*pipelines, plain), 1, SCALE)


@pytest.fixture
def own_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """What should run in fresh processes runs in this one."""
    import importlib

    def call(target: str, *, threads: int, **arguments: object) -> object:
        module, _, function = target.partition(":")
        found: Callable = getattr(importlib.import_module(f"spacy_bga.benchmark.{module}"), function)
        return found(**arguments)

    monkeypatch.setattr(fresh, "call", call)
