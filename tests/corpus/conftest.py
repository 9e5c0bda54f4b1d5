from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
import spacy
from PIL import Image
from spacy.language import Language
from spacy.tokens import Doc, DocBin

from spacy_bga.corpus.images import register_image_extension

Encode = Callable[..., bytes]


@pytest.fixture
def nlp() -> Language:
    register_image_extension()
    return spacy.blank("en")


@pytest.fixture
def encode() -> Encode:
    def encode(
        image: Image.Image | None = None, format: str = "JPEG", *, size: tuple[int, int] = (40, 30), **options
    ) -> bytes:
        file = io.BytesIO()
        (image or Image.new("RGB", size, (200, 30, 30))).save(file, format, **options)
        return file.getvalue()

    return encode


@pytest.fixture
def photos(tmp_path: Path, encode: Encode) -> Path:
    """An image root with four good photos, 0.jpg to 3.jpg."""
    root = tmp_path / "photos"
    root.mkdir()
    for i in range(4):
        (root / f"{i}.jpg").write_bytes(encode(size=(40 + i, 30)))
    return root


@pytest.fixture
def write_docs(tmp_path: Path) -> Callable[..., Path]:
    def write_docs(docs: list[Doc], name: str = "docs.spacy") -> Path:
        path = tmp_path / name
        DocBin(docs=docs, store_user_data=True).to_disk(path)
        return path

    return write_docs
