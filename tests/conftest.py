"""Tiny encoders, pictures and pipelines, made on the spot: no test needs a network or a download."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
import spacy
import torch
from hypothesis import settings
from PIL import Image
from spacy.language import Language

from spacy_bga.reliability.tiny import component_config, write_text_encoder, write_vision_encoder

torch.set_num_threads(1)
# How long an example takes depends on what else the machine does; pytest's own time-out ends what hangs.
settings.register_profile("spacy_bga", deadline=None)
settings.load_profile("spacy_bga")


@pytest.fixture(scope="session")
def text_encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT of 3 layers and width 16, with a WordPiece tokenizer that knows a few words and all of a-z."""
    return write_text_encoder(tmp_path_factory.mktemp("text_encoder"))


@pytest.fixture(scope="session")
def vision_encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random DINOv2 of 3 layers and width 12, unlike the text encoder's, on images of 32 x 32 pixels."""
    return write_vision_encoder(tmp_path_factory.mktemp("vision_encoder"))


@pytest.fixture
def bga_config(text_encoder_folder: Path, vision_encoder_folder: Path) -> dict:
    """The settings of a `bga_ner` component on the tiny encoders, for `nlp.add_pipe("bga_ner", config=...)`."""
    return component_config(text_encoder_folder, vision_encoder_folder)


@pytest.fixture
def text_only_config(text_encoder_folder: Path) -> dict:
    """The settings of a `bga_ner` component that knows no images."""
    return component_config(text_encoder_folder, None)


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
