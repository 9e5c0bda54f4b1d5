"""Pipelines whose components listen to the encoder of `bga_ner`."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import spacy
import torch
from spacy.language import Language
from spacy.training import Example
from spacy.util import fix_random_seed

from tests.pipeline.conftest import POSTS, aligner_of, architecture, make_example

WIDTH = 16
TRANSFORMERS = importlib.util.find_spec("spacy_transformers") is not None
KINDS = [
    "tok2vec",
    pytest.param("transformer", marks=pytest.mark.skipif(not TRANSFORMERS, reason="needs spacy-transformers")),
]
LONG = " ".join(["kevin love zed paris"] * 30)
TEXTS = [*(text for text, _ in POSTS), LONG, "", "  ", "a \n b", "\u200d", "love  paris !"]


def listener(kind: str, *, upstream: str = "bga_ner", width: int = WIDTH) -> dict[str, Any]:
    if kind == "tok2vec":
        return {"@architectures": "spacy.Tok2VecListener.v1", "width": width, "upstream": upstream}
    return {
        "@architectures": "spacy-transformers.TransformerListener.v1",
        "pooling": {"@layers": "reduce_mean.v1"},
        "grad_factor": 1.0,
        "upstream": upstream,
    }


def add_tagger(nlp: Language, kind: str, name: str = "tagger", **settings: Any) -> Any:
    model = {"@architectures": "spacy.Tagger.v2", "nO": None, "tok2vec": listener(kind, **settings)}
    return nlp.add_pipe("tagger", name=name, config={"model": model})


def add_textcat(nlp: Language, kind: str, **settings: Any) -> Any:
    tok2vec = listener(kind, **settings)
    model = {"@architectures": "spacy.TextCatCNN.v2", "exclusive_classes": True, "tok2vec": tok2vec}
    return nlp.add_pipe("textcat", config={"model": model})


def tagged_examples(nlp: Language) -> list[Example]:
    """The posts, whose tags say which words are longer than four letters, and whose categories how long they are."""
    examples = []
    for text, entities in POSTS:
        example = make_example(nlp, text, entities)
        for token in example.reference:
            token.tag_ = "NAME" if len(token.text) > 4 else "WORD"
        long = len(example.reference) > 3
        example.reference.cats = {"LONG": float(long), "SHORT": float(not long)}
        examples.append(example)
    return examples


Make = Callable[..., Language]


def build(
    text_encoder: Path,
    vision_encoder: Path,
    kind: str,
    components: Iterable[str] = ("tagger",),
    *,
    model: dict | None = None,
    images: bool = False,
    **config: Any,
) -> Language:
    """RETURNS (Language): An initialized pipeline of `bga_ner` and some that listen to it."""
    fix_random_seed(0)
    nlp = spacy.blank("en")
    settings = architecture(text_encoder, vision_encoder if images else None, window=24, overlap=8, **(model or {}))
    nlp.add_pipe("bga_ner", config={"model": settings, **config})
    width = WIDTH + (settings.get("word_components", 16) if settings.get("words") else 0)
    for name in components:
        {"tagger": add_tagger, "textcat": add_textcat}[name](nlp, kind, width=width)
    nlp.initialize(lambda: tagged_examples(nlp))
    return nlp


def weights_of(nlp: Language) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in aligner_of(nlp).state_dict().items()}


def same_weights(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)
