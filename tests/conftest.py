"""Tiny encoders, pictures and pipelines, made on the spot: no test needs a network or a download."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import spacy
import torch
from hypothesis import settings
from PIL import Image
from spacy.language import Language
from transformers import (
    BertConfig,
    BertModel,
    BertTokenizerFast,
    Dinov2Config,
    Dinov2Model,
)

torch.set_num_threads(1)
# How long an example takes depends on what else the machine does; pytest's own time-out ends what hangs.
settings.register_profile("spacy_bga", deadline=None)
settings.load_profile("spacy_bga")

WORDS = [*"kevin durant joins the warriors in oakland new york apple paris love is a b c e n s".split(), *"!.,#@"]  # noqa: SIM905


@pytest.fixture(scope="session")
def text_encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT of 3 layers and width 16, with a WordPiece tokenizer that knows a few words and all of a-z."""
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    return write_text_encoder(tmp_path_factory.mktemp("text_encoder"), words=WORDS, letters=letters)


def write_text_encoder(folder: Path, *, words: Iterable[str], letters: Iterable[str]) -> Path:
    """RETURNS (Path): The folder, with a random BERT of 3 layers and width 16 that knows these words and letters."""
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


@pytest.fixture(scope="session")
def vision_encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random DINOv2 of 3 layers and width 12, unlike the text encoder's, on images of 32 x 32 pixels."""
    folder = tmp_path_factory.mktemp("vision_encoder")
    config = Dinov2Config(
        hidden_size=12, num_hidden_layers=3, num_attention_heads=2, image_size=32, patch_size=8, mlp_ratio=2
    )
    with torch.random.fork_rng():
        torch.manual_seed(1)
        Dinov2Model(config).save_pretrained(folder)
    return folder


@pytest.fixture
def bga_config(text_encoder_folder: Path, vision_encoder_folder: Path) -> dict:
    """The settings of a `bga_ner` component on the tiny encoders, for `nlp.add_pipe("bga_ner", config=...)`."""
    return {
        "max_wordpieces": 512,
        "model": {
            "@architectures": "spacy_bga.BGAModel.v1",
            "text_encoder": str(text_encoder_folder),
            "vision_encoder": str(vision_encoder_folder),
            "bga_layers": 2,
            "image_size": 32,
            "visual_grid": 2,
            "window": 32,
            "overlap": 8,
        },
    }


@pytest.fixture
def text_only_config(text_encoder_folder: Path) -> dict:
    """The settings of a `bga_ner` component that knows no images."""
    return {
        "max_wordpieces": 512,
        "model": {
            "@architectures": "spacy_bga.BGAModel.v1",
            "text_encoder": str(text_encoder_folder),
            "vision_encoder": None,
            "bga_layers": 0,
            "window": 32,
            "overlap": 8,
        },
    }


@pytest.fixture
def nlp() -> Language:
    return spacy.blank("en")


@pytest.fixture(scope="session")
def data() -> Path:
    """The real data of acceptance runs, which is not part of the repository."""
    repository = Path(__file__).parents[1]
    path = Path(os.environ.get("SPACY_BGA_DATA", repository.parent / "shared" / "data"))
    if not path.is_dir():
        pytest.skip(f"no data at {path}; set SPACY_BGA_DATA to its folder")
    return path


def encode_picture(seed: int, *, size: tuple[int, int] = (40, 30), kind: str = "PNG") -> bytes:
    """RETURNS (bytes): A small picture of noise, encoded."""
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format=kind)
    return stream.getvalue()
