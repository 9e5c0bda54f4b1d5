"""Tiny pipelines that can align, and files of texts with images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span
from spacy.util import fix_random_seed

from spacy_bga.corpus.images import register_image_extension
from tests.conftest import encode_picture
from tests.pipeline.conftest import architecture, make_examples

Entities = list[tuple[int, int, str]]


def make_pipeline(
    text_encoder: Path, vision_encoder: Path | None, *, slim: bool = False, **settings: object
) -> Language:
    """A pipeline that was not trained, but knows the mean of a few images. `settings` are the architecture's."""
    fix_random_seed(0)
    nlp = spacy.blank("en")
    model = architecture(text_encoder, vision_encoder, **settings)
    nlp.add_pipe("bga_ner", config={"model": model, "save_visual_branch": not slim, "on_missing": "ignore"})
    nlp.initialize(lambda: make_examples(nlp, images=vision_encoder is not None))
    return nlp


def write_texts(
    path: Path, texts: Sequence[tuple[str, Entities]], *, images: Sequence[str | None] | None = None
) -> Path:
    """Write texts, whose tokens stand between spaces, with their entities and the paths of their images."""
    register_image_extension()
    vocab = spacy.blank("en").vocab
    docs = []
    for number, (text, entities) in enumerate(texts):
        doc = Doc(vocab, words=text.split())
        doc.set_ents([Span(doc, start, end, label=label) for start, end, label in entities])
        doc._.image = None if images is None else images[number]
        docs.append(doc)
    path.parent.mkdir(parents=True, exist_ok=True)
    DocBin(docs=docs, store_user_data=True).to_disk(path)
    return path


def write_images(folder: Path, names: Sequence[str], *, size: tuple[int, int] = (40, 30)) -> Path:
    """Write a picture of noise for each name, no two alike."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(names):
        (folder / name).write_bytes(encode_picture(seed, size=size))
    return folder
