"""Tiny encoders with random weights, and a pipeline on them: what a campaign can load and run thousands of times."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import spacy
import torch
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.util import fix_random_seed

WORDS = [*"kevin durant joins the warriors in oakland new york apple paris love is a b c e n s".split(), *"!.,#@"]  # noqa: SIM905
LETTERS = "abcdefghijklmnopqrstuvwxyz"
IMAGE_SIZE = 32
POST = ("kevin durant joins the warriors in oakland", [(0, 2, "PER"), (4, 5, "ORG"), (6, 7, "LOC")])


def write_text_encoder(folder: Path, *, words: Iterable[str] = WORDS, letters: Iterable[str] = LETTERS) -> Path:
    """Write a random BERT of 3 layers and width 16, with a WordPiece tokenizer that knows these words and letters.

    folder (Path): A folder that is there. words, letters (Iterable[str]): By default, a few words and all of a-z.
    RETURNS (Path): The folder.
    """
    from transformers import BertConfig, BertModel, BertTokenizerFast

    letters = list(letters)
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    pieces += [p for p in [*letters, *(f"##{letter}" for letter in letters)] if p not in pieces]
    (folder / "vocab.txt").write_text("\n".join(pieces), encoding="utf8")
    BertTokenizerFast(str(folder / "vocab.txt"), do_lower_case=True).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(pieces),
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


def write_vision_encoder(folder: Path) -> Path:
    """Write a random DINOv2 of 3 layers and width 12, unlike the text encoder's, on images of 32 x 32 pixels.

    folder (Path): A folder that is there. RETURNS (Path): The same.
    """
    from transformers import Dinov2Config, Dinov2Model

    config = Dinov2Config(
        hidden_size=12, num_hidden_layers=3, num_attention_heads=2, image_size=IMAGE_SIZE, patch_size=8, mlp_ratio=2
    )
    with torch.random.fork_rng():
        torch.manual_seed(1)
        Dinov2Model(config).save_pretrained(folder)
    return folder


def component_config(text_encoder: Path, vision_encoder: Path | None) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): Settings of a `bga_ner` on tiny encoders; without a vision encoder, of text only."""
    return {
        "max_wordpieces": 512,
        "model": {
            "@architectures": "spacy_bga.BGAModel.v1",
            "text_encoder": str(text_encoder),
            "vision_encoder": str(vision_encoder) if vision_encoder else None,
            "bga_layers": 2 if vision_encoder else 0,
            "image_size": IMAGE_SIZE,
            "visual_grid": 2,
            "window": 32,
            "overlap": 8,
        },
    }


def make_example(nlp: Language) -> Example:
    """RETURNS (Example): An annotated text."""
    text, entities = POST
    reference = Doc(nlp.vocab, words=text.split())
    reference.set_ents([Span(reference, start, end, label=label) for start, end, label in entities])
    return Example(Doc(nlp.vocab, words=text.split()), reference)


def make_pipeline(text_encoder: Path, vision_encoder: Path | None, *, lang: str = "en", **settings: Any) -> Language:
    """RETURNS (Language): An initialized pipeline of random weights, which finds entities in nearly every text."""
    fix_random_seed(0)
    nlp = spacy.blank(lang)
    nlp.add_pipe("bga_ner", config=component_config(text_encoder, vision_encoder) | settings)
    nlp.initialize(lambda: [make_example(nlp)])
    return nlp
